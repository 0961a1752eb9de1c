package gateway

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// waitLimit bounds every wait for something that must happen.
const waitLimit = 20 * time.Second

// world is a gateway with its data folder and an HTTPS address, whose every answer
// is checked against the API document.
type world struct {
	t      testing.TB
	dir    string
	id     *identity.Identity
	clock  *clock
	g      *Gateway
	server *httptest.Server
	client *http.Client
	stop   func()
	config func(*Config) // changes what start uses; may be nil
}

// clock runs, and can be moved ahead.
type clock struct{ ahead atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Now().Add(time.Duration(c.ahead.Load())) }
func (c *clock) Advance(d time.Duration) { c.ahead.Add(int64(d)) }

func newWorld(t testing.TB) *world {
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	w := &world{t: t, dir: t.TempDir(), id: id, clock: &clock{}}
	w.start()
	t.Cleanup(func() { w.stop() })
	return w
}

// start opens the state and serves; after stop it is a restart.
func (w *world) start() {
	w.t.Helper()
	s, err := state.Open(context.Background(), state.Config{Dir: w.dir, Now: w.clock.Now})
	if err != nil {
		w.t.Fatal(err)
	}
	c := Config{
		Identity: w.id, Name: "Test gateway", Version: "0.0.1", State: s, Now: w.clock.Now,
		Addresses: []string{"gateway.example:18603"}, Log: slog.New(slog.DiscardHandler),
		Web: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.WriteString(w, "the app") }),
	}
	if w.config != nil {
		w.config(&c)
	}
	w.g, err = New(c)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	served := make(chan error, 1)
	go func() { served <- w.g.Serve(ctx) }()
	w.server = httptest.NewTLSServer(accesstest.Validate(w.t, w.g.Handler()))
	w.client = w.server.Client()
	w.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-served; err != nil {
			w.t.Errorf("Serve = %v, want nil", err)
		}
		w.client.CloseIdleConnections()
		w.server.Close()
		if err := s.Close(); err != nil {
			w.t.Error(err)
		}
	})
}

// signIn makes a session with a role and returns its token.
func (w *world) signIn(role api.Role) string {
	w.t.Helper()
	return accesstest.Session(w.t, w.g.guard, w.g.Handler(), access.RoadPublic, role).Token
}

// newRequest makes a request of whoever has the token.
func (w *world) newRequest(token, method, path string, body any) *http.Request {
	w.t.Helper()
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		content = bytes.NewReader(b)
	}
	ctx, cancel := context.WithTimeout(context.Background(), waitLimit)
	w.t.Cleanup(cancel)
	r, err := http.NewRequestWithContext(ctx, method, w.server.URL+path, content)
	if err != nil {
		w.t.Fatal(err)
	}
	if body != nil {
		r.Header.Set("Content-Type", "application/json")
	}
	r.Header.Set("Authorization", "Bearer "+token)
	return r
}

func (w *world) send(r *http.Request) *http.Response {
	w.t.Helper()
	answer, err := w.client.Do(r)
	if err != nil {
		w.t.Fatalf("%s %s: %v", r.Method, r.URL.Path, err)
	}
	w.t.Cleanup(func() { answer.Body.Close() })
	return answer
}

// do sends a request and reads the JSON answer into out, if it has the status.
func (w *world) do(token, method, path string, body any, status int, out any) {
	w.t.Helper()
	answer := w.send(w.newRequest(token, method, path, body))
	text, err := io.ReadAll(answer.Body)
	if err != nil {
		w.t.Fatalf("%s %s: %v", method, path, err)
	}
	if answer.StatusCode != status {
		w.t.Fatalf("%s %s: status %d, want %d (%s)", method, path, answer.StatusCode, status, text)
	}
	if out != nil {
		if err := json.Unmarshal(text, out); err != nil {
			w.t.Fatalf("%s %s: %v in %s", method, path, err, text)
		}
	}
}

// refused sends a request that must be answered with a problem.
func (w *world) refused(token, method, path string, body any, code problem.Code) *problem.Error {
	w.t.Helper()
	p := &problem.Error{}
	w.do(token, method, path, body, code.Status(), p)
	if p.Code != code {
		w.t.Errorf("%s %s: problem %q, want %q", method, path, p.Code, code)
	}
	return p
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(waitLimit); !holds(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it did not come to pass: %s", what)
		}
	}
}

// join enrols a node through the node's side of the gateway.
func (w *world) join(n *fakeNode) scan.Node {
	w.t.Helper()
	token, err := w.g.newJoinToken(context.Background(), api.JoinTokenRequest{})
	if err != nil {
		w.t.Fatal(err)
	}
	answer := w.askToJoin(n.id.Public(), n.name, token.Token)
	var node scan.Node
	if err := json.Unmarshal(answer.Body.Bytes(), &node); err != nil || answer.Code != http.StatusCreated {
		w.t.Fatalf("joining: status %d, %s", answer.Code, answer.Body)
	}
	return node
}

func (w *world) askToJoin(key ed25519.PublicKey, name, token string) *httptest.ResponseRecorder {
	w.t.Helper()
	credential := token
	if parsed, err := access.ParseJoinToken(token); err == nil {
		credential = parsed.Credential()
	}
	return w.nodeAsks(key, http.MethodPost, "/api/v1/node/join", map[string]any{"token": credential, "name": name, "version": "0.0.1", "later": true})
}

// nodeAsks sends what the node with a key asks over mutual TLS.
func (w *world) nodeAsks(key ed25519.PublicKey, method, path string, body any) *httptest.ResponseRecorder {
	w.t.Helper()
	return w.nodeAsksFrom("", key, method, path, body)
}

// nodeAsksFrom is nodeAsks from an address; "": one of its own.
func (w *world) nodeAsksFrom(address string, key ed25519.PublicKey, method, path string, body any) *httptest.ResponseRecorder {
	w.t.Helper()
	text := ""
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			w.t.Fatal(err)
		}
		text = string(b)
	}
	r := accesstest.NewRequest(access.RoadNode, method, path, text)
	if address != "" {
		r.RemoteAddr = netip.AddrPortFrom(netip.MustParseAddr(address), 50000).String()
	}
	return accesstest.Do(w.g.NodeHandler(), r.WithContext(relay.WithPeerKey(r.Context(), key)))
}

// connect gives the gateway a link to the node and waits until it takes requests.
func (w *world) connect(n *fakeNode) (cut func()) {
	w.t.Helper()
	link, served := w.dial(n)
	cut = func() { link.Close(""); <-served }
	before := n.eventStreams()
	w.g.AddLink(link)
	eventually(w.t, "the gateway follows the node's events", func() bool { return n.eventStreams() > before })
	eventually(w.t, "the node is online over its newest link", func() bool {
		reg, _ := w.g.registry.get(n.nodeID())
		w.g.registry.mu.RLock()
		defer w.g.registry.mu.RUnlock()
		return reg.link != nil && reg.link.Link == link
	})
	return cut
}

// dial opens a link that the node serves. served then says, once, why it ended.
func (w *world) dial(n *fakeNode) (link relay.Link, served <-chan error) {
	w.t.Helper()
	link, conn := w.unserved(n)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	var serving sync.WaitGroup
	serving.Go(func() {
		defer close(ended)
		ended <- conn.Serve(ctx, n.handler)
	})
	w.t.Cleanup(func() { cancel(); serving.Wait() })
	return link, ended
}

// unserved opens a link that nobody serves at the node.
func (w *world) unserved(n *fakeNode) (relay.Link, relay.Conn) {
	return memlink.New(w.id.Public(), n.id.Public())
}

// newNode makes a node with one scanner, enrols it and connects it.
func (w *world) newNode(name string) *fakeNode {
	w.t.Helper()
	n := w.joined(name)
	w.connect(n)
	return n
}

// joined makes a node with one scanner and enrols it.
func (w *world) joined(name string) *fakeNode {
	w.t.Helper()
	n := newFakeNode(w.t, name)
	w.join(n)
	n.verifier.Trust(w.id.Pin())
	return n
}
