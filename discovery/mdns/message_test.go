package mdns

import (
	"reflect"
	"slices"
	"testing"

	"github.com/miekg/dns"
)

// wrongNSEC is one as some programs send it: its bitmap is longer than it says.
var wrongNSEC = []byte{0xc0, 12, 0, 47, 0x80, 1, 0, 0, 0, 120, 0, 6, 0xc0, 12, 0, 1, 0x40, 0}

func TestUnpackLeavesOut(t *testing.T) {
	m := &dns.Msg{}
	m.Response, m.Authoritative = true, true
	m.SetQuestion("p.local.", dns.TypeA)
	good, err := dns.NewRR("p.local. 120 IN A 192.0.2.7")
	if err != nil {
		t.Fatal(err)
	}
	m.Answer, m.Ns, m.Extra = []dns.RR{good}, []dns.RR{good}, []dns.RR{good}
	data, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	strict := new(dns.Msg)
	if err := strict.Unpack(data); err != nil {
		t.Fatal(err)
	}
	if got := unpack(data); !reflect.DeepEqual(got, strict) {
		t.Errorf("unpack() = %v, want %v", got, strict)
	}
	with := append(slices.Clone(data), wrongNSEC...)
	with[11]++
	if new(dns.Msg).Unpack(with) == nil {
		t.Fatal("the NSEC record of this test is not wrong")
	}
	if got := unpack(with); !reflect.DeepEqual(got, strict) {
		t.Errorf("unpack() with a wrong NSEC = %v, want %v", got, strict)
	}
	wrong := slices.Clone(with)
	wrong[len(data)+3] = byte(dns.TypeA)
	if got := unpack(wrong); got != nil {
		t.Errorf("unpack() with a wrong A = %v, want malformed", got)
	}
	for n := range data {
		if got := unpack(data[:n]); got != nil {
			t.Errorf("unpack() of the first %d bytes = %v, want malformed", n, got)
		}
	}
}
