package discovery

import (
	"cmp"
	"maps"
	"slices"
	"strings"
)

// Clone is a copy that shares nothing with r.
func (r Record) Clone() Record {
	r.Text = maps.Clone(r.Text)
	r.Addrs = slices.Clone(r.Addrs)
	return r
}

// Clone is a copy of the list that shares nothing with it.
func Clone(records []Record) []Record {
	list := make([]Record, len(records))
	for i, r := range records {
		list[i] = r.Clone()
	}
	return list
}

// Equal reports whether both lists say the same in the same order.
func Equal(a, b []Record) bool {
	return slices.EqualFunc(a, b, func(x, y Record) bool {
		return x.Type == y.Type && x.Name == y.Name && x.Host == y.Host && x.Port == y.Port &&
			x.Interface == y.Interface && maps.Equal(x.Text, y.Text) && slices.Equal(x.Addrs, y.Addrs)
	})
}

// compare orders records by type, name and interface. It is 0 for two that speak of the
// same thing: case is no difference in a name of DNS.
func compare(a, b Record) int {
	return cmp.Or(strings.Compare(a.Type, b.Type), strings.Compare(fold(a.Name), fold(b.Name)), strings.Compare(a.Interface, b.Interface))
}

// Sort puts records in the order in which a Browser shows them.
func Sort(records []Record) { slices.SortStableFunc(records, compare) }

// fold makes names that DNS takes for the same equal: upper and lower case of ASCII only
// (RFC 6762, section 16).
func fold(name string) string {
	if !strings.ContainsFunc(name, func(r rune) bool { return 'A' <= r && r <= 'Z' }) {
		return name
	}
	low := []byte(name)
	for i, b := range low {
		if 'A' <= b && b <= 'Z' {
			low[i] = b + 'a' - 'A'
		}
	}
	return string(low)
}
