package mdns

import (
	"context"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

// lan is a network in memory. Interface numbers are the same everywhere: those of one
// number hear each other.
type lan struct {
	mu    sync.Mutex
	ports []*port
	sent  []heard
	// bridged: interfaces 1 and 2 are on one network
	bridged bool
}

// heard is a message that was sent.
type heard struct {
	at   time.Time
	by   *port
	to   netip.AddrPort // zero: to all
	size int
	msg  *dns.Msg
}

// port is a machine on the lan, and the wire of its Advertiser.
type port struct {
	lan  *lan
	addr netip.Addr
	in   chan packet

	mu     sync.Mutex
	joined map[link]bool
	nets   []network
	poke   chan struct{}
}

func (l *lan) port(addr string, more ...string) *port {
	p := &port{lan: l, addr: netip.MustParseAddr(addr), in: make(chan packet, 4096), joined: map[link]bool{}, poke: make(chan struct{}, 1)}
	p.plug(append([]string{addr + "/24"}, more...)...)
	l.mu.Lock()
	defer l.mu.Unlock()
	l.ports = append(l.ports, p)
	return p
}

// plug makes these the addresses of interface 1; none: its cable is out.
func (p *port) plug(prefixes ...string) {
	var nets []network
	if len(prefixes) > 0 {
		nets = append(nets, card(1, prefixes...))
	}
	p.have(nets...)
}

func (p *port) have(nets ...network) {
	p.mu.Lock()
	p.nets = nets
	p.mu.Unlock()
	notify(p.poke)
}

func card(index int, prefixes ...string) network {
	n := network{Index: index, Name: "eth" + string(rune('0'+index))}
	for _, s := range prefixes {
		n.Prefixes = append(n.Prefixes, netip.MustParsePrefix(s))
	}
	return n
}

func (p *port) list() ([]network, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return slices.Clone(p.nets), nil
}

func (p *port) packets() <-chan packet { return p.in }

func (p *port) open(at *place) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.joined[at.link] = true
	return nil
}

func (p *port) close(at link) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.joined, at)
}

func (p *port) send(at *place, to netip.AddrPort, data []byte) error {
	p.lan.deliver(p, at.link, groupV4.Port(), to, data)
	return nil
}

func (l *lan) deliver(by *port, at link, from uint16, to netip.AddrPort, data []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	m := new(dns.Msg)
	if m.Unpack(data) == nil {
		l.sent = append(l.sent, heard{time.Now(), by, to, len(data), m})
	}
	for _, p := range l.ports {
		p.mu.Lock()
		for there := range p.joined {
			if (there == at || l.bridged && there.six == at.six) && (!to.IsValid() || to.Addr() == p.addr) {
				select {
				case p.in <- packet{there, netip.AddrPortFrom(by.addr, from), slices.Clone(data)}:
				default:
				}
			}
		}
		p.mu.Unlock()
	}
}

// say sends a message from a machine without an Advertiser to all.
func (p *port) say(t testing.TB, m *dns.Msg) { p.sayFrom(t, groupV4.Port(), m) }

func (p *port) sayFrom(t testing.TB, from uint16, m *dns.Msg) {
	t.Helper()
	data, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	p.lan.deliver(p, link{index: 1}, from, netip.AddrPort{}, data)
}

// by are the messages of a machine since a time.
func (l *lan) by(p *port, since time.Time) []heard {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []heard
	for _, h := range l.sent {
		if h.by == p && !h.at.Before(since) {
			list = append(list, h)
		}
	}
	return list
}

func responses(list []heard) []heard {
	return slices.DeleteFunc(slices.Clone(list), func(h heard) bool { return !h.msg.Response })
}

// start runs an Advertiser on a machine until the returned function is called.
func start(t *testing.T, p *port, host string, records ...discovery.Record) (*Advertiser, func()) {
	t.Helper()
	a, err := NewAdvertiser(Config{Host: host})
	if err != nil {
		t.Fatal(err)
	}
	a.Announce(records)
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { a.run(ctx, p, p.list, p.poke); close(done) }()
	return a, func() { cancel(); <-done }
}

// settled is long after everything is claimed and announced.
func settled() {
	time.Sleep(5 * time.Second)
	synctest.Wait()
}

func question1(name string, qtype uint16) *dns.Msg {
	return &dns.Msg{Question: []dns.Question{{Name: name, Qtype: qtype, Qclass: dns.ClassINET}}}
}

// find is the record of a type and name; nil: there is none.
func find(rrs []dns.RR, rrtype uint16, name string) dns.RR {
	for _, rr := range rrs {
		if rr.Header().Rrtype == rrtype && strings.EqualFold(rr.Header().Name, name) {
			return rr
		}
	}
	return nil
}

func everywhere(m *dns.Msg) []dns.RR { return slices.Concat(m.Answer, m.Ns, m.Extra) }

func names(records []discovery.Record) []string {
	var list []string
	for _, r := range records {
		list = append(list, r.Type+" "+r.Name)
	}
	return list
}

var (
	shared    = discovery.Record{Type: discovery.TypeScanner, Name: "Scanner", Port: 18630, Text: map[string]string{"rs": "eSCL", "txtvers": "1", "ty": "Bär \"x\" \\ 1"}}
	sharedTLS = discovery.Record{Type: discovery.TypeSecureScanner, Name: "Scanner", Port: 18631, Text: shared.Text}
)

const (
	scannerList = "_uscan._tcp.local."
	scannerName = "Scanner._uscan._tcp.local."
	secureName  = "Scanner._uscans._tcp.local."
)
