// Package relaytest is the conformance suite of links and roads: an adapter that passes
// it carries pages as package relay promises. The tests of a link's adapter call Run, those
// of a road's RunRoad.
package relaytest

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"errors"
	"io"
	"math/rand/v2"
	"net/http"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
)

// Patience is how long a test waits for what must happen soon.
const Patience = 2 * time.Minute

// Harness is a gateway that accepts links, and the way to it.
type Harness struct {
	Dialer relay.Dialer
	Target relay.Target // with the gateway's true pin and a node's identity
	// Gateway is the gateway's key.
	Gateway ed25519.PublicKey
	// Links brings each link that the gateway accepts.
	Links <-chan relay.Link
	// Allow sets what the gateway asks about a node's key; at first it allows all.
	Allow func(func(ed25519.PublicKey) error)
	// Shake dials the gateway's port with a TLS configuration of one's own and
	// reports whether the gateway took it; nil: there is no TLS.
	Shake func(ctx context.Context, c *tls.Config) error
	// Narrow says that the gateway's windows are a browser's: stalled readers may then
	// hold up others until they are reset.
	Narrow bool
}

// Run checks the adapter behind connect, which makes a fresh harness; what it
// opens must be closed by t.Cleanup.
func Run(t *testing.T, connect func(t *testing.T) Harness) {
	run(t, both, func(t *testing.T) harness { return connect(t) })
	run(t, []row[Harness]{
		{"many in turn", testSequence},
		{"headers that cross and headers that do not", testHeaders},
		{"only paths", testOnlyPaths},
		{"a canceled request resets its stream only", testCancel},
		{"stalled readers", testStalledReaders},
		{"the gateway closes in flight", testGatewayCloses},
		{"the node closes in flight", testNodeCloses},
		{"the node's context ends", testContextEnds},
		{"both ends know each other", testPeers},
		{"a gateway with another key", testWrongGateway},
		{"a node that is not allowed", testNotAllowed},
		{"a node revoked in flight", testRevoked},
		{"a dial that is given up", testDialCanceled},
		{"foreign certificates", testForeignCertificates},
		{"drain with a transfer in flight", testDrain},
	}, connect)
}

// both are the rows of links and roads alike.
var both = []row[harness]{
	{"first bytes arrive before the last are written", testGrowing},
	{"a large body arrives whole", testLarge},
	{"many at once", testParallel},
	{"request bodies", testRequestBodies},
	{"an answer before the request body ends", testEarlyAnswer},
	{"ranges", testRanges},
	{"answers without a body", testBodiless},
	{"a closed body ends its handler only", testCloseBody},
	{"a storm of closed bodies", testCloseStorm},
	{"a handler that panics", testPanic},
	{"a short body is not taken for a whole one", testShortBody},
	{"a stalled body is reset", testStallReset},
}

// harness is what Harness and RoadHarness have in common.
type harness interface {
	// serve answers with h until the test ends. What it returns asks, over one link or by
	// one session.
	serve(t *testing.T, h http.HandlerFunc) http.RoundTripper
	atOnce() int  // requests
	large() int64 // bytes of a large body
}

func (hs Harness) serve(t *testing.T, h http.HandlerFunc) http.RoundTripper {
	t.Helper()
	l, _ := up(t, hs, h)
	return l
}

func (Harness) atOnce() int  { return relay.MaxRequests }
func (Harness) large() int64 { return largeBody }

const largeBody = 64 << 20

type row[H any] struct {
	name string
	test func(*testing.T, H)
}

// run tests each row with a harness of its own.
func run[H any](t *testing.T, rows []row[H], connect func(t *testing.T) H) {
	for _, row := range rows {
		t.Run(row.name, func(t *testing.T) {
			leaks := goleak.IgnoreCurrent()
			t.Cleanup(func() { goleak.VerifyNone(t, leaks) }) // the harness' own clean-up runs before
			row.test(t, connect(t))
		})
	}
}

// up dials a link and serves it with h until the test ends.
func up(t *testing.T, hs Harness, h http.HandlerFunc) (relay.Link, *node) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), Patience)
	defer cancel()
	conn, err := hs.Dialer.Dial(ctx, hs.Target)
	if err != nil {
		t.Fatalf("Dial: %v", err)
	}
	n := &node{conn: conn, done: make(chan struct{})}
	serveCtx, end := context.WithCancel(context.Background())
	n.end = end
	go func() {
		defer close(n.done)
		n.err = conn.Serve(serveCtx, h)
	}()
	t.Cleanup(func() { end(); n.wait(t) })
	select {
	case l := <-hs.Links:
		return l, n
	case <-ctx.Done():
		t.Fatal("the gateway got no link")
		return nil, nil
	}
}

// node is a node's end that serves.
type node struct {
	conn relay.Conn
	end  context.CancelFunc
	done chan struct{}
	err  error // of Serve, once done
}

// wait returns Serve's error.
func (n *node) wait(t *testing.T) error {
	t.Helper()
	await(t, n.done, "Serve to return")
	return n.err
}

// await waits for a channel to be closed or to bring something.
func await[T any](t *testing.T, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(Patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

// request makes a request with a deadline.
func request(t *testing.T, method, path string, body io.Reader) *http.Request {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), Patience)
	t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, "http://ignored.example"+path, body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

// do makes a request that must be answered.
func do(t *testing.T, c http.RoundTripper, r *http.Request) *http.Response {
	t.Helper()
	answer, err := c.RoundTrip(r)
	if err != nil {
		t.Fatalf("RoundTrip(%s %s): %v", r.Method, r.URL.Path, err)
	}
	t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// text is a whole small body.
func text(t *testing.T, answer *http.Response) string {
	t.Helper()
	b, err := io.ReadAll(answer.Body)
	if err != nil {
		t.Fatalf("reading the body: %v", err)
	}
	answer.Body.Close()
	return string(b)
}

// works fails the test unless the link or road answers.
func works(t *testing.T, c http.RoundTripper) {
	t.Helper()
	if got := text(t, do(t, c, request(t, "GET", "/ping", nil))); got != "pong" {
		t.Errorf("GET /ping = %q, want pong", got)
	}
}

// ping answers works.
func ping(w http.ResponseWriter, r *http.Request) bool {
	if r.URL.Path != "/ping" {
		return false
	}
	io.WriteString(w, "pong")
	return true
}

// endless writes until it cannot, and counts.
func endless(w http.ResponseWriter, wrote func(n int)) error {
	block := bytes.Repeat([]byte("page"), 8<<10)
	for {
		n, err := w.Write(block)
		wrote(n)
		if err != nil {
			return err
		}
	}
}

// pattern is a reader of n bytes, the same for the same seed.
func pattern(n int64, seed byte) io.Reader {
	return io.LimitReader(rand.NewChaCha8([32]byte{seed}), n)
}

// NewIdentity makes an identity.
func NewIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// isLost fails the test unless err says that the link went away in flight.
func isLost(t *testing.T, err error) {
	t.Helper()
	if !errors.Is(err, relay.ErrLinkLost) {
		t.Errorf("error = %v, want %v", err, relay.ErrLinkLost)
	}
}
