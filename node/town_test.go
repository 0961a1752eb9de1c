package node

import (
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"log"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/discovery"
	"github.com/platen-scan/platen/discovery/memdisco"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

// town is a local network in memory: gateways at addresses, what is announced, and a
// node that has found its way there.
type town struct {
	*rig
	lan   *memdisco.LAN
	links chan relay.Link
	news  chan GatewayNews

	mu      sync.Mutex
	at      map[string]*townPort
	byes    []func()
	met     []string // addresses that somebody was looked for at
	dialed  []string // addresses that links were dialed at
	running sync.WaitGroup
}

// townPort is the node side of a gateway at an address.
type townPort struct {
	key    *identity.Identity
	conns  chan net.Conn
	server *http.Server
	ended  chan struct{}
}

func newTown(t *testing.T) *town {
	t.Helper()
	w := &town{rig: newRig(t, &fakeWorkers{}), lan: memdisco.NewLAN(), links: make(chan relay.Link, 16),
		news: make(chan GatewayNews, 64), at: map[string]*townPort{}}
	w.config = func(c *Config) {
		c.Find, c.OnGateway = w.lan.Browser(), func(n GatewayNews) { w.news <- n }
		c.Dialers = []relay.Dialer{townDialer{w}}
		c.meet, c.client = w.meet, w.client
	}
	t.Cleanup(w.close)
	return w
}

// close ends everything that serves; a bubble of synctest waits for it.
func (w *town) close() {
	w.mu.Lock()
	all, byes := w.at, w.byes
	w.mu.Unlock()
	for _, p := range all {
		p.close()
	}
	for _, goodbye := range byes {
		goodbye()
	}
	w.running.Wait()
}

func (p *townPort) close() {
	p.server.Close()
	<-p.ended
}

// open has a handler answer nodes at an address.
func (w *town) open(address string, key *identity.Identity, h http.HandlerFunc) {
	w.t.Helper()
	config, err := key.AcceptTLS(relay.ALPNNode)
	need(w.t, err)
	p := &townPort{key: key, conns: make(chan net.Conn), ended: make(chan struct{})}
	p.server = &http.Server{Handler: h, ErrorLog: log.New(io.Discard, "", 0)}
	l := plainListener{tls.NewListener(&pipeListener{conns: p.conns, closed: make(chan struct{})}, config)}
	go func() { defer close(p.ended); p.server.Serve(l) }()
	w.mu.Lock()
	defer w.mu.Unlock()
	w.at[address] = p
}

// shut takes what is at an address away.
func (w *town) shut(address string) {
	w.mu.Lock()
	p := w.at[address]
	delete(w.at, address)
	w.mu.Unlock()
	p.close()
}

// pipeListener accepts connections in memory.
type pipeListener struct {
	conns  chan net.Conn
	once   sync.Once
	closed chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.closed:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { l.once.Do(func() { close(l.closed) }); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.TCPAddr{} }

// dial connects as a network does.
func (w *town) dial(ctx context.Context, address string, config *tls.Config) (*tls.Conn, error) {
	w.mu.Lock()
	p := w.at[address]
	w.mu.Unlock()
	if p == nil {
		return nil, errors.New("nobody is there")
	}
	near, far := net.Pipe()
	ctx, cancel := context.WithTimeout(ctx, relay.HandshakeTimeout) // as long as a refused handshake takes: the pipe has no room for both ends' last words
	defer cancel()
	select {
	case p.conns <- far:
	case <-p.ended:
		return nil, errors.New("nobody is there any more")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	conn := tls.Client(near, config)
	if err := conn.HandshakeContext(ctx); err != nil {
		near.Close()
		return nil, err
	}
	return conn, nil
}

// meet is relay.Meet on this network.
func (w *town) meet(ctx context.Context, address string, id *identity.Identity) (pin string, err error) {
	w.mu.Lock()
	w.met = append(w.met, address)
	w.mu.Unlock()
	config, err := id.MeetTLS(func(key ed25519.PublicKey) { pin = identity.PinOf(key) }, relay.ALPNNode)
	if err != nil {
		return "", err
	}
	conn, err := w.dial(ctx, address, config)
	if err != nil {
		return "", err
	}
	return pin, conn.Close()
}

// client is relay.NodeClient on this network.
func (w *town) client(t relay.Target) (*http.Client, error) {
	config, err := t.Identity.DialTLS(t.Pins(), relay.ALPNNode)
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &http.Transport{
		DialTLSContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return w.dial(ctx, t.Addr, config) },
	}}, nil
}

// townDialer opens links to the gateway that is at the address.
type townDialer struct{ *town }

func (d townDialer) Kind() relay.Kind { return relay.KindMem }

func (d townDialer) Dial(ctx context.Context, t relay.Target) (relay.Conn, error) {
	d.mu.Lock()
	d.dialed = append(d.dialed, t.Addr)
	p := d.at[t.Addr]
	d.mu.Unlock()
	if p == nil {
		return nil, errors.New("nobody is there")
	}
	gate := &memlink.Gateway{Key: p.key.Public(), OnLink: func(l relay.Link) { d.links <- l }}
	return gate.Dialer().Dial(ctx, t)
}

// visited are the addresses that were spoken to without a link.
func (w *town) visited() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Clone(w.met)
}

// record is what a gateway announces.
func record(name string, key *identity.Identity, address string) discovery.Record {
	at := netip.MustParseAddrPort(address)
	return discovery.Record{Type: discovery.TypeGateway, Name: name, Port: at.Port(), Addrs: []netip.Addr{at.Addr()}, Text: map[string]string{
		discovery.TextVersion: "1", discovery.TextAPI: "1",
		discovery.TextID: key.NodeID(), discovery.TextFingerprint: identity.ShortFingerprint(key.Pin()),
	}}
}

// announce has a host of its own announce records until the answer is called.
func (w *town) announce(records ...discovery.Record) (goodbye func()) {
	a := w.lan.Advertiser("host")
	a.Announce(records)
	ctx, cancel := context.WithCancel(context.Background())
	w.running.Go(func() { a.Serve(ctx) })
	w.mu.Lock()
	defer w.mu.Unlock()
	w.byes = append(w.byes, cancel)
	return cancel
}

// gateway is a gateway of the town that asks a person about each node.
func (w *town) gateway(name, address string) (*reception, func()) {
	w.t.Helper()
	g := newReceptionAt(w.t.(*testing.T), address)
	w.open(address, g.id, g.answer)
	return g, w.announce(record(name, g.id, address))
}

// told is the next news, which must come within a time.
func (w *town) told(kind NewsKind, within time.Duration) GatewayNews {
	w.t.Helper()
	select {
	case n := <-w.news:
		if n.Kind != kind {
			w.t.Fatalf("news %s %+v, want %s", n.Kind, n, kind)
		}
		return n
	case <-time.After(within):
		w.t.Fatalf("no news within %v, want %s", within, kind)
	}
	return GatewayNews{}
}

// quiet lets time pass in which nobody is told anything.
func (w *town) quiet(d time.Duration) {
	w.t.Helper()
	select {
	case n := <-w.news:
		w.t.Fatalf("news %s: %+v, want none", n.Kind, n)
	case <-time.After(d):
	}
}
