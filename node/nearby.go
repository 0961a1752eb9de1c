package node

import (
	"cmp"
	"math/rand/v2"
	"net/netip"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/scan"
)

// Bounds of what records make a node keep.
const (
	maxNearby      = 64                             // gateways
	maxNearbyAddrs = maxNearby * discovery.MaxAddrs // addresses of one
)

// nearby is a gateway as the records say that name one ID and one fingerprint, or as the
// configuration says. It does not change: what is new is a copy.
type nearby struct {
	id, fingerprint string // "": the configuration names it, and no key is known
	name            string
	addresses       []string  // host:port, the best first; never empty
	gone            time.Time // since when no record names it; zero: one does
}

func (g *nearby) same(other *nearby) bool {
	return g.id == other.id && g.fingerprint == other.fingerprint
}

// FoundGateway is a gateway nearby, as it announces itself: nothing of it is proven.
type FoundGateway struct {
	Name        string
	Address     string // host:port
	Fingerprint string // the first 8 hexadecimal digits of its key's; "" of one that the configuration names
}

func (g *nearby) found() FoundGateway {
	return FoundGateway{Name: g.name, Address: g.addresses[0], Fingerprint: g.fingerprint}
}

func foundOf(list []*nearby) []FoundGateway {
	var all []FoundGateway
	for _, g := range list {
		all = append(all, g.found())
	}
	return all
}

// gatewaysIn finds the gateways that records name, in the records' order. Of records that
// are malformed it takes none.
func gatewaysIn(records []discovery.Record) []*nearby {
	var list []*nearby
	addresses := map[*nearby][]netip.AddrPort{}
	for _, r := range records {
		seen := &nearby{id: r.Text[discovery.TextID], fingerprint: r.Text[discovery.TextFingerprint], name: nameIn(r)}
		at := addressesIn(r)
		if r.Type != discovery.TypeGateway || len(at) == 0 || scan.ParseNodeID(seen.id) != nil || !identity.IsShortFingerprint(seen.fingerprint) {
			continue
		}
		g := seen
		if i := slices.IndexFunc(list, seen.same); i >= 0 {
			g = list[i]
		} else if len(list) < maxNearby {
			list = append(list, g)
		} else {
			continue
		}
		addresses[g] = append(addresses[g], at...)
	}
	for _, g := range list {
		g.addresses = inOrder(addresses[g])
	}
	return list
}

// inOrder is addresses as text, those of IPv4 first, each once.
func inOrder(all []netip.AddrPort) []string {
	rank := func(a netip.AddrPort) int {
		switch {
		case a.Addr().Is4():
			return 1
		case !a.Addr().IsLinkLocalUnicast():
			return 2
		}
		return 3 // says something on this computer only
	}
	slices.SortStableFunc(all, func(a, b netip.AddrPort) int { return cmp.Compare(rank(a), rank(b)) })
	var list []string
	has := map[netip.AddrPort]bool{}
	for _, a := range all {
		if !has[a] && len(list) < maxNearbyAddrs {
			has[a] = true
			list = append(list, a.String())
		}
	}
	return list
}

// some is n of a list, in its order if it has no more. Else somebody lies about where a
// gateway is, and nobody shall know which of them are next.
func some(list []string, n int) []string {
	if len(list) <= n {
		return list
	}
	list = slices.Clone(list)
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	return list[:n]
}

// metadata is where clouds tell a machine its secrets.
var metadata = netip.AddrFrom4([4]byte{169, 254, 169, 254})

// addressesIn are where a record says that its service is. No record may send a node to
// the computer that it runs on, nor to many others at once.
func addressesIn(r discovery.Record) []netip.AddrPort {
	var list []netip.AddrPort
	for _, a := range r.Addrs[:min(len(r.Addrs), discovery.MaxAddrs)] {
		a = a.Unmap()
		switch {
		case r.Port == 0, a == metadata:
		case a.Is6() && a.IsLinkLocalUnicast() && a.Zone() == "":
		case a.IsGlobalUnicast() || a.IsLinkLocalUnicast():
			list = append(list, netip.AddrPortFrom(a, r.Port))
		}
	}
	return list
}

// nameIn is what a service calls itself, fit for a terminal.
func nameIn(r discovery.Record) string {
	return discovery.Cut(strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) || c == unicode.ReplacementChar {
			return -1
		}
		return c
	}, r.Name), discovery.MaxName)
}
