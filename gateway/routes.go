package gateway

import (
	"net/http"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
)

// How much one session, and one node, may have under way. How many requests a
// second a session may send is the guard's business.
const (
	jobsPerMinute    = 20
	bodiesPerSession = 8
	bodiesPerNode    = 128
)

// Bytes of the bodies that clients may send.
const (
	maxSmallBody    = 4 << 10
	maxJobBody      = 64 << 10
	maxDocumentBody = access.MaxJSON
)

// Routes is the gateway's route table: its own resources, and what it passes on to
// the node that the identifier in the path belongs to. Every node judges again.
func (g *Gateway) Routes() []access.Route {
	anybody := access.AtLeast(api.RoleKiosk)
	watches := access.AtLeast(api.RoleOperator)
	rules := access.AtLeast(api.RoleAdmin)
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	const v1 = "/api/v1"

	own := []access.Route{
		{Method: get, Path: v1 + "/scanners", Policy: anybody, Handle: g.listScanners},
		{Method: get, Path: v1 + "/jobs", Policy: anybody, Handle: g.listJobs},
		{Method: get, Path: v1 + "/documents", Policy: anybody, Handle: g.listDocuments},
		{Method: post, Path: v1 + "/documents", Policy: anybody, MaxBody: maxDocumentBody, Handle: g.postDocument},
		{Method: get, Path: v1 + "/events", Policy: anybody.Parallel(bodiesPerSession), Handle: g.getEvents},
		{Method: get, Path: v1 + "/nodes", Policy: watches, Handle: g.listNodes},
		{Method: get, Path: v1 + "/nodes/{node}", Policy: watches, Handle: g.getNode},
		{Method: patch, Path: v1 + "/nodes/{node}", Policy: rules, MaxBody: maxSmallBody, Handle: g.patchNode},
		{Method: del, Path: v1 + "/nodes/{node}", Policy: rules, Handle: g.deleteNode},
		{Method: get, Path: v1 + "/join-tokens", Policy: rules, Handle: g.listJoinTokens},
		{Method: post, Path: v1 + "/join-tokens", Policy: rules.Limit(jobsPerMinute, time.Minute), MaxBody: maxSmallBody, Handle: g.postJoinToken},
		{Method: del, Path: v1 + "/join-tokens/{token}", Policy: rules, Handle: g.deleteJoinToken},
		{Method: post, Path: v1 + "/node/join", Policy: access.NodeOnly(), MaxBody: maxSmallBody, Handle: g.postJoin},
	}

	const scanner, job, page, document = v1 + "/scanners/{scanner}", v1 + "/jobs/{job}", v1 + "/jobs/{job}/pages/{n}", v1 + "/documents/{document}"
	call := func(name string) access.Handler { return g.toOwner(name, briefly) }
	body := func(name string) access.Handler { return g.toOwner(name, streaming) }
	passed := []access.Route{
		{Method: get, Path: scanner, Policy: anybody, Handle: call("scanner")},
		{Method: get, Path: scanner + "/capabilities", Policy: anybody, Handle: call("scanner")},
		{Method: get, Path: scanner + "/status", Policy: anybody, Handle: call("scanner")},
		{Method: post, Path: scanner + "/jobs", Policy: anybody.Limit(jobsPerMinute, time.Minute), MaxBody: maxJobBody, Handle: call("scanner")},
		{Method: get, Path: job, Policy: anybody, Handle: call("job")},
		{Method: del, Path: job, Policy: anybody, Handle: call("job")},
		{Method: post, Path: job + "/cancel", Policy: anybody, Handle: call("job")},
		{Method: post, Path: job + "/resume", Policy: anybody, Handle: call("job")},
		{Method: post, Path: job + "/finish", Policy: anybody, Handle: call("job")},
		{Method: get, Path: job + "/events", Policy: anybody.Parallel(bodiesPerSession), Handle: body("job")},
		{Method: get, Path: job + "/pages", Policy: anybody, Handle: call("job")},
		{Method: get, Path: page, Policy: anybody.Parallel(bodiesPerSession), Handle: body("job")},
		{Method: post, Path: page + "/ack", Policy: anybody, MaxBody: maxSmallBody, Handle: call("job")},
		{Method: get, Path: document, Policy: anybody, Handle: call("document")},
		{Method: patch, Path: document, Policy: anybody, MaxBody: maxDocumentBody, Handle: call("document")},
		{Method: del, Path: document, Policy: anybody, Handle: call("document")},
		{Method: get, Path: document + "/content", Policy: anybody.Parallel(bodiesPerSession), Handle: body("document")},
	}
	return append(append(access.SignInRoutes(g.guard), own...), passed...)
}
