package gateway

import (
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
)

// A ticket passes as a request of whoever asked for it, and stays at the gateway itself.
func TestPassTicket(t *testing.T) {
	w := newWorld(t)
	session := accesstest.Session(t, w.g.guard, w.g.Handler(), access.RoadPublic, api.RoleUser)
	n := w.newNode("n")
	query := make(chan string, 1)
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
		query <- r.URL.RawQuery
		w.Header().Set("Content-Type", "image/jpeg")
		_, err := io.WriteString(w, "the page")
		return err
	})
	path := "/api/v1/jobs/" + n.addJobs(time.Now(), 1)[0] + "/pages/1?width=300"
	var ticket api.Ticket
	w.do(session.Token, http.MethodPost, "/api/v1/tickets", api.TicketRequest{Path: path}, http.StatusCreated, &ticket)
	embed := func() *http.Response {
		r := w.newRequest("", http.MethodGet, ticket.Url, nil)
		r.Header.Del("Authorization")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		r.Header.Set("Sec-Fetch-Mode", "no-cors")
		r.Header.Set("Sec-Fetch-Dest", "image")
		return w.send(r)
	}
	answer := embed()
	if got := answer.Header.Get("Cross-Origin-Resource-Policy"); answer.StatusCode != http.StatusOK || got != "cross-origin" {
		t.Fatalf("status %d, Cross-Origin-Resource-Policy %q", answer.StatusCode, got)
	}
	if got := <-query; got != "width=300" {
		t.Errorf("the node gets the query %q", got)
	}
	if caller := n.lastCaller(); caller.Gateway != w.id.Pin() || !strings.Contains(caller.Subject, session.Id) {
		t.Errorf("the node sees %+v, want the session that asked for the ticket", caller)
	}
	before := n.requests()
	if answer := embed(); answer.StatusCode != http.StatusForbidden || n.requests() != before {
		t.Errorf("the second time: status %d, %d requests at the node, want none", answer.StatusCode, n.requests()-before)
	}
}

// What the gateway allows is not enough: the node has a list of its own. The page may
// read its refusal.
func TestNodeRefusesOrigin(t *testing.T) {
	w := newWorld(t)
	accesstest.AllowPages(w.g.guard.Origins)
	session := accesstest.PageSession(t, w.g.guard, w.g.Handler(), access.RoadPublic, api.RoleUser, accesstest.ShopOrigin)
	n := w.newNode("n")
	before := n.requests()
	r := w.newRequest(session.Token, http.MethodGet, "/api/v1/scanners/"+n.scannerID(), nil)
	r.Header.Set("Origin", accesstest.ShopOrigin)
	answer := w.send(r)
	if answer.StatusCode != http.StatusForbidden || answer.Header.Get("Access-Control-Allow-Origin") != accesstest.ShopOrigin {
		t.Errorf("status %d, Access-Control-Allow-Origin %q", answer.StatusCode, answer.Header.Get("Access-Control-Allow-Origin"))
	}
	if n.requests() != before {
		t.Error("the node's handler ran")
	}
}
