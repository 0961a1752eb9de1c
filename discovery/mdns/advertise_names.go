package mdns

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

const (
	domain   = "local."
	metaName = "_services._dns-sd._udp." + domain // lists the types (RFC 6763, section 9)
)

// instanceName is the full name of a service, written as miekg/dns writes what it reads,
// so that names can be compared.
func instanceName(instance, typ string) (string, error) {
	var b strings.Builder
	for i := range len(instance) {
		fmt.Fprintf(&b, `\%03d`, instance[i])
	}
	return canonical(b.String() + "." + typ + "." + domain)
}

func canonical(name string) (string, error) {
	buf := make([]byte, 256)
	if _, err := dns.PackDomainName(name, buf, 0, nil, false); err != nil {
		return "", err
	}
	name, _, err := dns.UnpackDomainName(buf, 0)
	return name, err
}

// key is equal for names that DNS holds for equal: only ASCII letters have cases there.
func key(name string) string {
	return strings.Map(func(c rune) rune {
		if 'A' <= c && c <= 'Z' {
			return c + 'a' - 'A'
		}
		return c
	}, name)
}

// numbered is a service's instance name with a number: "name (2)".
func numbered(name string, n int) string {
	if n < 2 {
		return name
	}
	suffix := fmt.Sprintf(" (%d)", n)
	return discovery.Cut(name, discovery.MaxName-len(suffix)) + suffix
}

// numberOf takes a name apart that already has a number.
func numberOf(name string) (string, int) {
	open := strings.LastIndex(name, " (")
	if open < 1 || !strings.HasSuffix(name, ")") {
		return name, 1
	}
	digits := name[open+2 : len(name)-1]
	n, err := strconv.Atoi(digits)
	if err != nil || n < 2 || n > 999 || strconv.Itoa(n) != digits {
		return name, 1
	}
	return name[:open], n
}

// hostLabel is a host name with a number: "platen-2".
func hostLabel(label string, n int) string {
	if n < 2 {
		return label
	}
	return fmt.Sprintf("%s-%d", label, n)
}

// validHost reports whether a label can be a host name everywhere (RFC 1123).
func validHost(label string) bool {
	if label == "" || len(label) > discovery.MaxName-4 || label[0] == '-' || label[len(label)-1] == '-' {
		return false
	}
	for _, c := range label {
		if (c < 'a' || c > 'z') && (c < 'A' || c > 'Z') && (c < '0' || c > '9') && c != '-' {
			return false
		}
	}
	return true
}

// validType reports whether a service type is one of DNS-SD (RFC 6763, section 7).
func validType(typ string) bool {
	name, proto, ok := strings.Cut(typ, ".")
	return ok && (proto == "_tcp" || proto == "_udp") && len(name) > 1 && len(name) <= 16 && name[0] == '_' && validHost(name[1:])
}
