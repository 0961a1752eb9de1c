package relaytest

import (
	"context"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"log/slog"
	"math/big"
	"net/http"
	"strconv"
	"testing"
	"time"

	"crypto"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// inFlight is a link with one endless answer under way.
func inFlight(t *testing.T, hs Harness) (l relay.Link, n *node, body io.ReadCloser, ended chan struct{}) {
	h, all := endlessAnswers()
	l, n = up(t, hs, h)
	answer := do(t, l, request(t, "GET", "/a", nil))
	flows(t, answer.Body)
	return l, n, answer.Body, all["/a"]
}

// isGone fails the test unless a link is closed at the gateway: what was under way
// fails as lost, what comes later may be sent elsewhere.
func isGone(t *testing.T, l relay.Link, body io.Reader) {
	t.Helper()
	await(t, l.Done(), "the link's Done")
	if body != nil {
		_, err := io.Copy(io.Discard, body)
		isLost(t, err)
	}
	r := request(t, "POST", "/late", http.NoBody)
	_, err := l.RoundTrip(r)
	if !errors.Is(err, problem.NodeOffline.Error()) {
		t.Errorf("RoundTrip over a closed link: %v, want %v", err, problem.NodeOffline)
	}
}

func testGatewayCloses(t *testing.T, hs Harness) {
	l, n, body, ended := inFlight(t, hs)
	l.Close("")
	l.Close("again")
	isGone(t, l, body)
	await(t, ended, "the handler to end")
	if err := n.wait(t); err == nil {
		t.Error("Serve = nil, want the reason")
	}
}

func testNodeCloses(t *testing.T, hs Harness) {
	l, n, body, ended := inFlight(t, hs)
	n.conn.Close()
	n.conn.Close()
	isGone(t, l, body)
	await(t, ended, "the handler to end")
	n.wait(t)
}

func testContextEnds(t *testing.T, hs Harness) {
	l, n, body, ended := inFlight(t, hs)
	n.end()
	if err := n.wait(t); !errors.Is(err, context.Canceled) {
		t.Errorf("Serve = %v, want %v", err, context.Canceled)
	}
	select {
	case <-ended:
	default:
		t.Error("Serve returned before its handler")
	}
	isGone(t, l, body)
}

func testPeers(t *testing.T, hs Harness) {
	saw := make(chan ed25519.PublicKey, 1)
	l, n := up(t, hs, func(w http.ResponseWriter, r *http.Request) {
		saw <- relay.PeerKeyOf(r.Context())
	})
	do(t, l, request(t, "GET", "/", nil))
	if got := await(t, saw, "the request"); !got.Equal(hs.Gateway) {
		t.Errorf("the node sees gateway %x, want %x", got, hs.Gateway)
	}
	if want := hs.Target.Identity.Public(); !l.Peer().Equal(want) {
		t.Errorf("the gateway sees node %x, want %x", l.Peer(), want)
	}
	if l.Kind() != hs.Dialer.Kind() || n.conn.Kind() != hs.Dialer.Kind() {
		t.Errorf("kinds %q and %q, want %q", l.Kind(), n.conn.Kind(), hs.Dialer.Kind())
	}
	if l.RemoteAddr() == nil {
		t.Error("the link has no address")
	}
}

// dial dials and expects to fail.
func dial(t *testing.T, hs Harness, target relay.Target) error {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	conn, err := hs.Dialer.Dial(ctx, target)
	if err == nil {
		conn.Close()
		t.Fatal("Dial succeeded")
	}
	if ctx.Err() != nil {
		t.Errorf("Dial took until its deadline: %v", err)
	}
	return err
}

func noLink(t *testing.T, hs Harness) {
	t.Helper()
	select {
	case l := <-hs.Links:
		l.Close("")
		t.Error("the gateway got a link")
	default:
	}
}

func testWrongGateway(t *testing.T, hs Harness) {
	target := hs.Target
	target.Pin = NewIdentity(t).Pin()
	if err := dial(t, hs, target); !errors.Is(err, identity.ErrWrongPeer) {
		t.Errorf("Dial = %v, want %v", err, identity.ErrWrongPeer)
	}
	noLink(t, hs)
	target.Pin = ""
	dial(t, hs, target)
	noLink(t, hs)
}

func testNotAllowed(t *testing.T, hs Harness) {
	asked := make(chan ed25519.PublicKey, 1)
	hs.Allow(func(key ed25519.PublicKey) error {
		asked <- key
		return problem.New(problem.NodeUnknown, "nobody knows %s", identity.PinOf(key))
	})
	if err := dial(t, hs, hs.Target); !errors.Is(err, problem.NodeUnknown.Error()) {
		t.Errorf("Dial = %v, want %s", err, problem.NodeUnknown)
	}
	if got := await(t, asked, "the gateway to be asked"); !got.Equal(hs.Target.Identity.Public()) {
		t.Error("the gateway was asked about another key")
	}
	noLink(t, hs)
}

func testRevoked(t *testing.T, hs Harness) {
	l, n, body, _ := inFlight(t, hs)
	hs.Allow(func(ed25519.PublicKey) error { return problem.NodeRevoked.Error() })
	l.Close(string(problem.NodeRevoked))
	isGone(t, l, body)
	n.wait(t)
	if err := dial(t, hs, hs.Target); !errors.Is(err, problem.NodeRevoked.Error()) {
		t.Errorf("Dial = %v, want %s", err, problem.NodeRevoked)
	}
	noLink(t, hs)
}

func testDialCanceled(t *testing.T, hs Harness) {
	ctx, cancel := context.WithCancel(t.Context())
	hs.Allow(func(ed25519.PublicKey) error {
		cancel()
		<-ctx.Done()
		return problem.Unavailable.Error()
	})
	if conn, err := hs.Dialer.Dial(ctx, hs.Target); err == nil {
		conn.Close()
		t.Error("Dial succeeded")
	}
}

func testForeignCertificates(t *testing.T, hs Harness) {
	if hs.Shake == nil {
		return // there is no TLS to get wrong
	}
	ecKey, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	rsaKey, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	good := func() *tls.Config {
		c, err := hs.Target.Identity.DialTLS(hs.Target.Pins(), relay.ALPNLink)
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	for _, row := range []struct {
		name   string
		change func(*tls.Config)
		taken  bool
	}{
		{"our own", func(*tls.Config) {}, true},
		{"ECDSA", func(c *tls.Config) { c.Certificates = []tls.Certificate{selfSigned(t, ecKey)} }, false},
		{"RSA", func(c *tls.Config) { c.Certificates = []tls.Certificate{selfSigned(t, rsaKey)} }, false},
		{"no certificate", func(c *tls.Config) { c.Certificates = nil }, false},
		{"another protocol", func(c *tls.Config) { c.NextProtos = []string{"platen-link/0"} }, false},
		{"TLS 1.2", func(c *tls.Config) { c.MinVersion, c.MaxVersion = tls.VersionTLS12, tls.VersionTLS12 }, false},
	} {
		config := good()
		row.change(config)
		ctx, cancel := context.WithTimeout(t.Context(), Patience)
		err := hs.Shake(ctx, config)
		if taken := err == nil; taken != row.taken || ctx.Err() != nil {
			t.Errorf("%s: taken = %v (%v), want %v", row.name, taken, err, row.taken)
		}
		cancel()
		if row.taken {
			await(t, hs.Links, "the link").Close("")
		} else {
			noLink(t, hs)
		}
	}
}

func selfSigned(t *testing.T, key crypto.Signer) tls.Certificate {
	t.Helper()
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

// testDrain runs the node's Keeper: a body under way crosses a drain whole, while
// the next link already answers.
func testDrain(t *testing.T, hs Harness) {
	const size = 8 << 20
	streamEnded := make(chan struct{})
	keeper, err := relay.NewKeeper(relay.Config{
		Dialers: []relay.Dialer{hs.Dialer},
		Target:  func(context.Context) (relay.Target, error) { return hs.Target, nil },
		Log:     slog.New(slog.DiscardHandler),
		Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch {
			case ping(w, r):
			case r.URL.Path == "/events":
				http.NewResponseController(w).Flush()
				<-relay.Draining(r.Context())
				close(streamEnded)
			default:
				w.Header().Set("Content-Length", strconv.Itoa(size))
				io.Copy(w, pattern(size, 9))
			}
		}),
	})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	stopped := make(chan error, 1)
	go func() { stopped <- keeper.Serve(ctx) }()

	first := await(t, hs.Links, "the first link")
	page := do(t, first, request(t, "GET", "/page", nil))
	events := do(t, first, request(t, "GET", "/events", nil))
	keeper.Redial(0)
	second := await(t, hs.Links, "the next link")
	works(t, second)
	await(t, streamEnded, "the event stream to be told of the drain")
	if got := text(t, events); got != "" {
		t.Errorf("events = %q", got)
	}
	select {
	case <-first.Done():
		t.Error("the old link closed with an answer under way")
	default:
	}
	if got, want := digest(t, page.Body), digest(t, pattern(size, 9)); got != want {
		t.Errorf("digest of the body under way = %s, want %s", got, want)
	}
	await(t, first.Done(), "the old link to close after its last answer")
	works(t, second)
	cancel()
	if err := await(t, stopped, "the keeper to stop"); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	await(t, second.Done(), "the last link to close")
}
