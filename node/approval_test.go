package node

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

// reception is the part of a gateway that nodes ask for approval.
type reception struct {
	t        *testing.T
	id       *identity.Identity
	nonce    string // the gateway's
	address  string
	asked    chan api.JoinRequest
	revealed chan string                    // the node's nonce
	word     chan func(http.ResponseWriter) // what a person decides
}

func newReception(t *testing.T) *reception {
	r := newReceptionAt(t, "")
	r.address = gatewayPort(t, r.id, r.answer)
	return r
}

// newReceptionAt is one that nobody serves yet.
func newReceptionAt(t *testing.T, address string) *reception {
	t.Helper()
	id, err := identity.New()
	need(t, err)
	return &reception{
		t: t, id: id, address: address, nonce: access.JoinNonce(), asked: make(chan api.JoinRequest, 8), revealed: make(chan string, 8),
		word: make(chan func(http.ResponseWriter), 8),
	}
}

func (g *reception) answer(w http.ResponseWriter, r *http.Request) {
	switch r.Method + " " + r.URL.Path {
	case "POST /api/v1/node/join":
		var body api.JoinRequest
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			g.t.Error(err)
		}
		g.asked <- body
		access.WriteJSON(w, http.StatusAccepted, api.JoinWait{Nonce: g.nonce})
	case "POST /api/v1/node/join/reveal":
		var body api.JoinReveal
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			g.t.Error(err)
		}
		g.revealed <- body.Nonce
		access.WriteJSON(w, http.StatusAccepted, api.JoinWait{Nonce: g.nonce})
	case "POST /api/v1/node/leave":
		w.WriteHeader(http.StatusNoContent)
	case "GET /api/v1/node/join/state":
		select {
		case decide := <-g.word:
			decide(w)
		case <-time.After(20 * time.Second):
			g.notYet(w)
		case <-r.Context().Done():
		}
	default:
		g.t.Errorf("asked for %s %s", r.Method, r.URL.Path)
	}
}

func (g *reception) notYet(w http.ResponseWriter) {
	access.WriteJSON(w, http.StatusAccepted, api.JoinWait{Nonce: g.nonce})
}

func (g *reception) yes(w http.ResponseWriter) {
	access.WriteJSON(w, http.StatusOK, scan.Node{Name: "Reception"})
}

func (g *reception) no(w http.ResponseWriter) { problem.Write(w, problem.NodeRevoked.Error()) }

func TestAsk(t *testing.T) {
	gateway := newReception(t)
	r := newRig(t, &fakeWorkers{})
	links := make(chan relay.Link, 8)
	gate := &memlink.Gateway{Key: gateway.id.Public(), OnLink: func(l relay.Link) { links <- l }}
	r.config = func(c *Config) { c.Dialers = []relay.Dialer{gate.Dialer()} }
	r.start()
	if _, _, waiting := r.node.Approval(); waiting {
		t.Error("the node waits before it has asked")
	}
	need(t, r.node.AwaitApproval(t.Context())) // for nothing
	need(t, r.node.Ask(t.Context(), gateway.address))
	request, nonce := <-gateway.asked, <-gateway.revealed
	if request.Token != "" || !access.Reveals(request.Commit, nonce) || request.Name != "Reception" {
		t.Errorf("asked with %+v, then revealed %s", request, nonce)
	}
	address, check, waiting := r.node.Approval()
	if want := access.JoinCheck(gateway.id.Pin(), r.self.Pin(), gateway.nonce, nonce); !waiting || address != gateway.address || check != want {
		t.Errorf("Approval() = %s, %s, %v, want the symbols %s", address, check, waiting, want)
	}
	if address, _ := r.node.Gateway(); address != "" {
		t.Error("the gateway counts as joined before anybody approved the node")
	}
	gateway.word <- gateway.notYet
	gateway.word <- gateway.notYet
	gateway.word <- gateway.yes
	need(t, r.node.AwaitApproval(t.Context()))
	<-links
	if address, _ := r.node.Gateway(); address != gateway.address {
		t.Errorf("Gateway() = %q, want %q", address, gateway.address)
	}
	if _, _, waiting := r.node.Approval(); waiting {
		t.Error("the node still waits")
	}
	if stored, err := readJoined(r.dir); err != nil || stored.Pin != gateway.id.Pin() {
		t.Errorf("stored: %+v, %v, want the pin that was compared", stored, err)
	}
}

func TestAskRefused(t *testing.T) {
	gateway := newReception(t)
	r := newRig(t, &fakeWorkers{}).start()
	for _, bad := range []string{"", "gateway.example", "https://gateway.example:1", "gateway.example:0"} {
		if err := r.node.Ask(t.Context(), bad); !errors.Is(err, problem.BadRequest.Error()) {
			t.Errorf("Ask(%q) = %v, want bad-request", bad, err)
		}
	}
	if err := r.node.Ask(t.Context(), closedPort(t)); err == nil {
		t.Error("Ask of nobody succeeded")
	}
	need(t, r.node.Ask(t.Context(), gateway.address))
	r.node.uplink.mu.Lock()
	a := r.node.uplink.asked
	r.node.uplink.mu.Unlock()
	gateway.word <- gateway.no
	<-a.done
	if !errors.Is(a.err, problem.NodeRevoked.Error()) {
		t.Errorf("the wait ended with %v, want node-revoked", a.err)
	}
	if _, _, waiting := r.node.Approval(); waiting {
		t.Error("a node that was refused still waits")
	}
	if address, _ := r.node.Gateway(); address != "" {
		t.Error("a gateway that refused is remembered")
	}
}

// Asking anew, and leaving, end a wait.
func TestAskEnds(t *testing.T) {
	first, second := newReception(t), newReception(t)
	r := newRig(t, &fakeWorkers{}).start()
	awaits := func() chan error {
		ended := make(chan error, 1)
		begun := make(chan struct{})
		go func() {
			r.node.uplink.mu.Lock()
			a := r.node.uplink.asked
			r.node.uplink.mu.Unlock()
			close(begun)
			<-a.done
			ended <- a.err
		}()
		<-begun
		return ended
	}
	need(t, r.node.Ask(t.Context(), first.address))
	ended := awaits()
	need(t, r.node.Ask(t.Context(), second.address))
	if err := <-ended; !errors.Is(err, errAskedAnew) {
		t.Errorf("the first wait ended with %v, want %v", err, errAskedAnew)
	}
	if address, _, _ := r.node.Approval(); address != second.address {
		t.Errorf("the node waits for %s, want %s", address, second.address)
	}
	ended = awaits()
	need(t, r.node.Leave(t.Context()))
	if err := <-ended; !errors.Is(err, errGatewayLeft) {
		t.Errorf("the second wait ended with %v, want %v", err, errGatewayLeft)
	}
	canceled, cancel := context.WithCancel(t.Context())
	need(t, r.node.Ask(t.Context(), first.address))
	cancel()
	if err := r.node.AwaitApproval(canceled); !errors.Is(err, context.Canceled) {
		t.Errorf("AwaitApproval = %v, want canceled", err)
	}
}

// Leaving works also where the gateway cannot be told.
func TestLeave(t *testing.T) {
	gateway, err := identity.New()
	need(t, err)
	asked := make(chan string, 8)
	address := gatewayPort(t, gateway, func(w http.ResponseWriter, r *http.Request) {
		asked <- r.Method + " " + r.URL.Path
		w.WriteHeader(http.StatusNoContent)
	})
	links := make(chan relay.Link, 8)
	gate := &memlink.Gateway{Key: gateway.Public(), OnLink: func(l relay.Link) { links <- l }}
	for name, address := range map[string]string{"reachable": address, "gone": closedPort(t)} {
		r := newRig(t, &fakeWorkers{})
		need(t, (&joined{Addresses: []string{address}, Pin: gateway.Pin()}).write(r.dir))
		r.config = func(c *Config) { c.Dialers = []relay.Dialer{gate.Dialer()} }
		r.start()
		link := <-links
		need(t, r.node.Leave(t.Context()))
		<-link.Done()
		if got, connected := r.node.Gateway(); got != "" || connected {
			t.Errorf("%s: after Leave Gateway() = %q, %v", name, got, connected)
		}
		if g, err := readJoined(r.dir); g != nil || err != nil {
			t.Errorf("%s: after Leave the file holds %+v, %v", name, g, err)
		}
		need(t, r.node.Leave(t.Context()))
	}
	if got := <-asked; got != "POST /api/v1/node/leave" || len(asked) > 0 {
		t.Errorf("the gateway was asked for %s and %d more, want one leave", got, len(asked))
	}
}
