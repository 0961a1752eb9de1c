package mdns

import (
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

// Lives of records in others' caches (RFC 6762, section 10): short for what names an
// address, long for the rest.
const (
	shortTTL  = 120
	longTTL   = 4500
	legacyTTL = 10 // for resolvers that are none of multicast DNS (section 6.7)
)

// flush is the bit of the class that says: this is all that there is (section 10.2).
const flush = 1 << 15

// host is a host name of ours, with addresses.
type host struct {
	claim
	label string
	n     int          // as in hostLabel
	only  []netip.Addr // empty: every address of the link's interface
}

// service is an instance of ours.
type service struct {
	claim
	want  discovery.Record // as it was asked for
	group *group
	host  *host
}

// group is the services that share an instance name: those of one scanner, of several types.
type group struct {
	base string // without a number
	n    int
}

func (g *group) name() string { return numbered(g.base, g.n) }

func header(name string, rrtype uint16, ttl uint32) dns.RR_Header {
	return dns.RR_Header{Name: name, Rrtype: rrtype, Class: dns.ClassINET, Ttl: ttl}
}

// ptr lists the service under its type.
func (s *service) ptr() dns.RR {
	return &dns.PTR{Hdr: header(s.want.Type+"."+domain, dns.TypePTR, longTTL), Ptr: s.name}
}

func (s *service) records(*place) []dns.RR {
	return []dns.RR{
		&dns.SRV{Hdr: header(s.name, dns.TypeSRV, shortTTL), Port: s.want.Port, Target: s.host.name},
		&dns.TXT{Hdr: header(s.name, dns.TypeTXT, longTTL), Txt: texts(s.want.Text)},
	}
}

func (h *host) records(p *place) []dns.RR {
	var rrs []dns.RR
	for _, addr := range h.addrs(p) {
		if addr.Is4() {
			rrs = append(rrs, &dns.A{Hdr: header(h.name, dns.TypeA, shortTTL), A: addr.AsSlice()})
		} else {
			rrs = append(rrs, &dns.AAAA{Hdr: header(h.name, dns.TypeAAAA, shortTTL), AAAA: addr.AsSlice()})
		}
	}
	return rrs
}

// addrs are what the host tells on a link: of its interface only (section 6.2), and link-local
// ones only if there is no other, because most programs can do nothing with them.
func (h *host) addrs(p *place) []netip.Addr {
	var wide, local []netip.Addr
	for _, prefix := range p.Prefixes {
		addr := prefix.Addr()
		switch {
		case !h.tells(addr):
		case addr.IsLinkLocalUnicast() && !slices.Contains(h.only, addr):
			local = append(local, addr)
		default:
			wide = append(wide, addr)
		}
	}
	if len(wide) == 0 {
		wide = local
	}
	return wide[:min(len(wide), discovery.MaxAddrs)]
}

// tells reports whether an address is one of those to tell. As for a listener 0.0.0.0
// stands for those of IPv4 and :: for all.
func (h *host) tells(addr netip.Addr) bool {
	return len(h.only) == 0 || slices.Contains(h.only, addr) || slices.Contains(h.only, netip.IPv6Unspecified()) ||
		addr.Is4() && slices.Contains(h.only, netip.IPv4Unspecified())
}

// rest says that a name has no records but these (section 6.1).
func rest(name string, rrs []dns.RR) dns.RR {
	var has []uint16
	for _, rr := range rrs {
		has = append(has, rr.Header().Rrtype)
	}
	slices.Sort(has)
	return &dns.NSEC{Hdr: header(name, dns.TypeNSEC, shortTTL), NextDomain: name, TypeBitMap: slices.Compact(has)}
}

// texts are the strings of a TXT record, the version of its keys first (RFC 6763, section 6.7).
func texts(text map[string]string) []string {
	keys := slices.Sorted(maps.Keys(text))
	if i := slices.Index(keys, discovery.TextVersion); i > 0 {
		keys = append([]string{discovery.TextVersion}, slices.Delete(keys, i, i+1)...)
	}
	out := make([]string, 0, max(1, len(keys)))
	for _, k := range keys {
		out = append(out, escapeText(k+"="+text[k]))
	}
	if len(out) == 0 {
		out = append(out, "") // there is none without a string (section 6.1)
	}
	return out
}

// escapeText writes a string as miekg/dns writes those of TXT records that it reads.
func escapeText(s string) string {
	var b strings.Builder
	for i := range len(s) {
		switch c := s[i]; {
		case c == '\\' || c == '"':
			b.WriteByte('\\')
			b.WriteByte(c)
		case c < ' ' || c > '~':
			fmt.Fprintf(&b, `\%03d`, c)
		default:
			b.WriteByte(c)
		}
	}
	return b.String()
}

// validText reports whether a TXT record can hold these.
func validText(text map[string]string) bool {
	size := 0
	for k, v := range text {
		if k == "" || len(k)+1+len(v) > 255 {
			return false
		}
		size += len(k) + len(v) + 2
	}
	return size <= discovery.MaxText
}
