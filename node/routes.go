package node

import (
	"net/http"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Limits of one session on the routes that cost most. The machine's own user is
// bounded by the queues and by the machine.
const (
	jobsPerMinute  = 20
	bodiesAtOnce   = 8
	bodiesOfNode   = 128 // over all sessions
	maxJobBody     = 64 << 10
	maxEditBody    = 256 << 10
	maxAckBody     = 1 << 10
	maxLinkBody    = 32 << 10 // with every change of the gateway's key
	maxReleaseBody = 1 << 10
	maxLabelBody   = 4 << 10
	maxSplitBody   = 4 << 10
	retryWhenReady = time.Second
)

// routes is the node's whole HTTP API. The same table serves every road.
func (n *Node) routes(road access.Road) []access.Route {
	const v1 = "/api/v1"
	user := access.AtLeast(api.RoleKiosk)
	sees, scans, bodies, reads, imports := user.Needs(scan.See), user.Needs(scan.Use), user.Tickets(), user, user
	configures := access.AtLeast(api.RoleOperator).OwnPages().Needs(scan.Configure)
	if road != access.RoadLoopback {
		atOnce := bodiesAtOnce
		if road == access.RoadLink {
			atOnce *= 2 // the gateway asks for the rest of a body over another link before the first one has ended
		}
		imports = imports.Limit(jobsPerMinute, time.Minute)
		scans, bodies = scans.Limit(jobsPerMinute, time.Minute), bodies.Parallel(atOnce)
		reads = reads.Parallel(bodiesAtOnce)
	}
	table := []access.Route{
		{Method: http.MethodGet, Path: v1 + "/scanners", Policy: user, Handle: n.listScanners},
		{Method: http.MethodGet, Path: v1 + "/scanners/{scanner}", Policy: sees, Handle: n.getScanner},
		{Method: http.MethodPatch, Path: v1 + "/scanners/{scanner}", Policy: configures, MaxBody: maxLabelBody, Audit: "scanner.edit", Handle: n.editScanner},
		{Method: http.MethodGet, Path: v1 + "/scanners/{scanner}/capabilities", Policy: sees, Handle: n.getCapabilities},
		{Method: http.MethodGet, Path: v1 + "/scanners/{scanner}/status", Policy: sees, Handle: n.getStatus},
		{Method: http.MethodPost, Path: v1 + "/scanners/{scanner}/jobs", Policy: scans, MaxBody: maxJobBody, Audit: "job.create", Handle: n.createJob},
		{Method: http.MethodPost, Path: v1 + "/scanners/{scanner}/release", Policy: sees, MaxBody: maxReleaseBody, Audit: "job.release", Handle: n.releaseAtScanner},
		{Method: http.MethodGet, Path: v1 + "/scanners/{scanner}/sticker", Policy: configures, Handle: n.getSticker},
		{Method: http.MethodPost, Path: v1 + "/scanners/{scanner}/sticker", Policy: configures, Audit: "scanner.sticker", Handle: n.renewSticker},

		{Method: http.MethodGet, Path: v1 + "/jobs", Policy: user, Handle: n.listJobs},
		{Method: http.MethodGet, Path: v1 + "/jobs/{job}", Policy: user, Handle: n.getJob},
		{Method: http.MethodDelete, Path: v1 + "/jobs/{job}", Policy: user, Audit: "job.delete", Handle: n.deleteJob},
		{Method: http.MethodPost, Path: v1 + "/jobs/{job}/cancel", Policy: user, Audit: "job.cancel", Handle: n.commandJob("", (*device).cancel)},
		{Method: http.MethodPost, Path: v1 + "/jobs/{job}/resume", Policy: user, Audit: "job.resume", Handle: n.commandJob(scan.Use, (*device).resume)},
		{Method: http.MethodPost, Path: v1 + "/jobs/{job}/finish", Policy: user, Audit: "job.finish", Handle: n.commandJob("", (*device).finish)},
		{Method: http.MethodPost, Path: v1 + "/jobs/{job}/release", Policy: user, MaxBody: maxReleaseBody, Audit: "job.release", Handle: n.releaseJob},
		{Method: http.MethodGet, Path: v1 + "/jobs/{job}/events", Policy: user, Handle: n.getJobEvents},

		{Method: http.MethodGet, Path: v1 + "/jobs/{job}/pages", Policy: user, Handle: n.listPages},
		{Method: http.MethodGet, Path: v1 + "/jobs/{job}/pages/{n}", Policy: bodies, Handle: n.sendsBody(n.getPage)},
		{Method: http.MethodPost, Path: v1 + "/jobs/{job}/pages/{n}/ack", Policy: user, MaxBody: maxAckBody, Handle: n.ackPage},

		{Method: http.MethodPost, Path: v1 + "/imports", Policy: imports, MaxBody: maxImport, Audit: "file.import", Handle: n.importFile},
		{Method: http.MethodGet, Path: v1 + "/jobs/{job}/pages/{n}/barcodes", Policy: reads, Handle: n.getBarcodes},
		{Method: http.MethodGet, Path: v1 + "/jobs/{job}/pages/{n}/text", Policy: reads, Handle: n.getText},
		{Method: http.MethodPost, Path: v1 + "/documents/{document}/split", Policy: reads, MaxBody: maxSplitBody, Audit: "document.split", Handle: n.splitDocument},
		{Method: http.MethodGet, Path: v1 + "/modules", Policy: user, Handle: n.listModules},

		{Method: http.MethodGet, Path: v1 + "/documents", Policy: user, Handle: n.listDocuments},
		{Method: http.MethodPost, Path: v1 + "/documents", Policy: user, MaxBody: maxEditBody, Handle: n.createDocument},
		{Method: http.MethodGet, Path: v1 + "/documents/{document}", Policy: user, Handle: n.getDocument},
		{Method: http.MethodPatch, Path: v1 + "/documents/{document}", Policy: user, MaxBody: maxEditBody, Handle: n.editDocument},
		{Method: http.MethodDelete, Path: v1 + "/documents/{document}", Policy: user, Audit: "document.delete", Handle: n.deleteDocument},
		{Method: http.MethodGet, Path: v1 + "/documents/{document}/content", Policy: bodies, Handle: n.sendsBody(n.getDocumentContent)},

		{Method: http.MethodGet, Path: v1 + "/events", Policy: user, Handle: n.getEvents},

		{Method: http.MethodPost, Path: v1 + "/link/hello", Policy: access.LinkOnly(), MaxBody: maxLinkBody, Handle: n.uplink.hello},
		{Method: http.MethodGet, Path: v1 + "/link/events", Policy: access.LinkOnly(), Handle: n.uplink.events},
		{Method: http.MethodPost, Path: v1 + "/link/drain", Policy: access.LinkOnly(), MaxBody: maxLinkBody, Handle: n.uplink.drain},
		{Method: http.MethodPost, Path: v1 + "/link/roads", Policy: access.LinkOnly(), MaxBody: maxLinkRoads, Handle: n.linkRoads},
		{Method: http.MethodPost, Path: v1 + "/link/roads/close", Policy: access.LinkOnly(), MaxBody: maxLinkBody, Handle: n.linkRoadsClose},
		{Method: http.MethodPost, Path: v1 + "/road", Policy: access.RoadOnly(), MaxBody: maxRoadBody, Handle: n.openRoad},
	}
	for i := range table {
		table[i].Handle = n.whenReady(table[i].Handle)
	}
	table = append(table, n.rotationRoutes()...)
	table = append(table, access.SignInRoutes(n.guard)...)
	if n.extra != nil {
		table = append(table, n.extra(n.guard)...)
	}
	return table
}

// sendsBody bounds the pages and documents that are being sent over all sessions.
func (n *Node) sendsBody(h access.Handler) access.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		select {
		case n.bodies <- struct{}{}:
			defer func() { <-n.bodies }()
			return h(w, r)
		default:
			return problem.New(problem.TooManyRequests, "%d pages and documents are being sent.", bodiesOfNode).After(time.Second)
		}
	}
}

// whenReady answers only while Serve runs: before, jobs of the last process would be
// shown as if they went on.
func (n *Node) whenReady(h access.Handler) access.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if !n.running.Load() {
			return problem.Unavailable.Error().After(retryWhenReady)
		}
		return h(w, r)
	}
}
