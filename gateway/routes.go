package gateway

import (
	"net/http"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// How much one session, and one node, may have under way. How many requests a
// second a session may send is the guard's business.
const (
	jobsPerMinute    = 20
	bodiesPerSession = 8
	bodiesPerNode    = 128
)

// Bytes of the bodies that clients and nodes may send.
const (
	maxSmallBody    = 4 << 10
	maxJobBody      = 64 << 10
	maxDocumentBody = access.MaxJSON
	maxJoinBody     = 64 << 10 // with every change of the node's key
)

const v1 = "/api/v1"

// Who may.
var (
	anybody = access.AtLeast(api.RoleKiosk)
	watches = access.AtLeast(api.RoleOperator).OwnPages()
	rules   = access.AtLeast(api.RoleAdmin).OwnPages()
)

// Routes is the gateway's route table: its own resources, what it passes on to the
// node that the identifier in the path belongs to, and what others serve here. Every
// node judges again.
func (g *Gateway) Routes() []access.Route {
	routes := slices.Concat(access.SignInRoutes(g.guard), g.listRoutes(), g.nodeRoutes(), g.joinRoutes(), g.passedRoutes(), g.moduleRoutes(), g.roadRoutes())
	if g.cfg.Extra != nil {
		routes = append(routes, g.cfg.Extra(g.guard)...)
	}
	return routes
}

// listRoutes are what the gateway merges from all nodes.
func (g *Gateway) listRoutes() []access.Route {
	const get, post = http.MethodGet, http.MethodPost
	return []access.Route{
		{Method: get, Path: v1 + "/scanners", Policy: anybody, Handle: g.listScanners},
		{Method: get, Path: v1 + "/jobs", Policy: anybody, Handle: g.listJobs},
		{Method: get, Path: v1 + "/documents", Policy: anybody, Handle: g.listDocuments},
		{Method: post, Path: v1 + "/documents", Policy: anybody, MaxBody: maxDocumentBody, Handle: g.postDocument},
		{Method: get, Path: v1 + "/events", Policy: anybody.Parallel(bodiesPerSession), Handle: g.getEvents},
	}
}

// nodeRoutes are for those who look after the nodes and the gateway's own key.
func (g *Gateway) nodeRoutes() []access.Route {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	const nodes, node, tokens, rotation = v1 + "/nodes", v1 + "/nodes/{node}", v1 + "/join-tokens", v1 + "/identity/rotation"
	return []access.Route{
		{Method: get, Path: nodes, Policy: watches, Handle: g.listNodes},
		{Method: get, Path: node, Policy: watches, Handle: g.getNode},
		{Method: patch, Path: node, Policy: rules, MaxBody: maxSmallBody, Audit: "node.edit", Handle: g.patchNode},
		{Method: del, Path: node, Policy: rules, Audit: "node.revoke", Handle: g.deleteNode},
		{Method: post, Path: node + "/approve", Policy: rules, MaxBody: maxSmallBody, Audit: "node.approve", Handle: g.approveNode},
		{Method: post, Path: node + "/reinstate", Policy: rules, Audit: "node.reinstate", Handle: g.reinstateNode},

		{Method: get, Path: tokens, Policy: rules, Handle: g.listJoinTokens},
		{Method: post, Path: tokens, Policy: rules.Limit(jobsPerMinute, time.Minute), MaxBody: maxSmallBody, Audit: "join-token.create", Handle: g.postJoinToken},
		{Method: del, Path: tokens + "/{token}", Policy: rules, Audit: "join-token.void", Handle: g.deleteJoinToken},

		{Method: get, Path: rotation, Policy: rules, Handle: g.getRotation},
		{Method: post, Path: rotation, Policy: rules, Audit: "identity.rotate", Handle: g.postRotation},
		{Method: del, Path: rotation, Policy: rules, Audit: "identity.keep", Handle: g.deleteRotation},
	}
}

// joinRoutes are what nodes ask over mutual TLS.
func (g *Gateway) joinRoutes() []access.Route {
	const get, post = http.MethodGet, http.MethodPost
	const join = v1 + "/node/join"
	return []access.Route{
		{Method: post, Path: join, Policy: access.NodeOnly(), MaxBody: maxJoinBody, Audit: "node.join", Handle: g.postJoin},
		{Method: post, Path: join + "/reveal", Policy: access.NodeOnly(), MaxBody: maxSmallBody, Handle: g.postReveal},
		{Method: get, Path: join + "/state", Policy: access.NodeOnly(), Handle: g.getJoinState},
		{Method: post, Path: v1 + "/node/key", Policy: access.NodeOnly(), MaxBody: maxSmallBody, Audit: "node.rotate", Handle: g.postNodeKey},
		{Method: post, Path: v1 + "/node/presents", Policy: access.NodeOnly(), MaxBody: maxSmallBody, Handle: g.postPresents},
		{Method: post, Path: v1 + "/node/leave", Policy: access.NodeOnly(), Audit: "node.leave", Handle: g.postLeave},
	}
}

// passedRoutes are answered by the node that owns what the path names.
func (g *Gateway) passedRoutes() []access.Route {
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	const scanner, job, page, document = v1 + "/scanners/{scanner}", v1 + "/jobs/{job}", v1 + "/jobs/{job}/pages/{n}", v1 + "/documents/{document}"
	call := func(name string) access.Handler { return g.toOwner(name, briefly) }
	sees, scans := anybody.Needs(scan.See), anybody.Needs(scan.Use).Limit(jobsPerMinute, time.Minute)
	configures := watches.Needs(scan.Configure)
	streams := anybody.Parallel(bodiesPerSession)
	mine := anybody.Nodes() // of whoever made the job: a person, or a node that presents the scanner
	return []access.Route{
		{Method: get, Path: scanner, Policy: sees.Nodes(), Handle: call("scanner")},
		{Method: patch, Path: scanner, Policy: configures, MaxBody: maxSmallBody, Audit: "scanner.edit", Handle: call("scanner")},
		{Method: get, Path: scanner + "/capabilities", Policy: sees.Nodes(), Handle: call("scanner")},
		{Method: get, Path: scanner + "/status", Policy: sees.Nodes(), Handle: call("scanner")},
		{Method: post, Path: scanner + "/jobs", Policy: scans.Nodes(), MaxBody: maxJobBody, Audit: "job.create", Handle: g.createJob},
		{Method: post, Path: scanner + "/release", Policy: sees, MaxBody: maxSmallBody, Audit: "job.release", Handle: call("scanner")},
		{Method: get, Path: scanner + "/sticker", Policy: configures, Handle: call("scanner")},
		{Method: post, Path: scanner + "/sticker", Policy: configures, Audit: "scanner.sticker", Handle: call("scanner")},
		{Method: get, Path: job, Policy: mine, Handle: call("job")},
		{Method: del, Path: job, Policy: mine, Audit: "job.delete", Handle: call("job")},
		{Method: post, Path: job + "/cancel", Policy: mine, Audit: "job.cancel", Handle: call("job")},
		{Method: post, Path: job + "/resume", Policy: anybody, Audit: "job.resume", Handle: call("job")},
		{Method: post, Path: job + "/finish", Policy: mine, Audit: "job.finish", Handle: call("job")},
		{Method: post, Path: job + "/release", Policy: anybody, MaxBody: maxSmallBody, Audit: "job.release", Handle: call("job")},
		{Method: get, Path: job + "/events", Policy: streams.Nodes(), Handle: g.toOwner("job", following)},
		{Method: get, Path: job + "/pages", Policy: mine, Handle: call("job")},
		{Method: get, Path: page, Policy: streams.Nodes().Tickets(), Handle: g.toOwnerUnder("job", streaming, g.againstReceipt)},
		{Method: post, Path: page + "/ack", Policy: mine, MaxBody: maxSmallBody, Handle: call("job")},
		{Method: get, Path: document, Policy: mine, Handle: call("document")},
		{Method: patch, Path: document, Policy: anybody, MaxBody: maxDocumentBody, Handle: call("document")},
		{Method: del, Path: document, Policy: mine, Audit: "document.delete", Handle: call("document")},
		{Method: get, Path: document + "/content", Policy: streams.Nodes().Tickets(), Handle: g.toOwnerUnder("document", streaming, g.contentAgainstReceipts)},
	}
}
