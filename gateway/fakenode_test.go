package gateway

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// fakeNode answers a gateway as a node does, behind a guard that checks the grants.
// Its jobs and documents are lists in memory; every other answer a test can replace.
type fakeNode struct {
	t        testing.TB
	id       *identity.Identity
	name     string
	verifier *access.GrantVerifier
	origins  *access.Origins
	handler  http.Handler

	mu        sync.Mutex
	scanners  []scan.Scanner
	told      chan struct{} // closed and replaced when news has come
	news      []scan.Event
	jobs      []scan.Job // newest first
	documents []scan.Document
	callers   []access.Caller
	headers   []http.Header
	paths     []string                  // routes of the requests
	answer    map[string]access.Handler // by "METHOD /path" of the route
	quiet     bool                      // sends no heartbeat
	sequence  int64                     // that it has stored
	drained   chan<- struct{}           // hears of drains
	nextKey   string                    // pin of the gateway's that it has stored
	streams   int                       // of events that have begun
}

func newFakeNode(t testing.TB, name string) *fakeNode {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	origins := access.NewOrigins()
	n := &fakeNode{
		t: t, id: id, name: name, origins: origins, verifier: access.NewGrantVerifier(id.NodeID(), origins),
		told: make(chan struct{}), answer: map[string]access.Handler{},
	}
	n.scanners = []scan.Scanner{n.scanner("Flatbed")}
	guard := access.New(access.Config{Grants: n.verifier, Origins: origins, MaxRole: api.RoleAdmin, Rate: 1 << 20})
	n.handler = guard.Handler(access.RoadLink, n.routes(), nil)
	return n
}

func (n *fakeNode) nodeID() string { return n.id.NodeID() }

func (n *fakeNode) scanner(name string) scan.Scanner {
	return scan.Scanner{
		ID: scan.DerivedID(n.nodeID(), scan.KindScanner, name), Node: n.nodeID(), NodeName: n.name,
		Name: name, Driver: "virtual", Sources: []scan.Source{scan.SourcePlaten},
		Status: scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederNone, Since: scan.At(time.Now())},
	}
}

func (n *fakeNode) scannerID() string { return n.scanners[0].ID }

// addJobs makes jobs that were created one minute apart, the newest last, and
// answers their IDs.
func (n *fakeNode) addJobs(first time.Time, count int) []string {
	n.mu.Lock()
	defer n.mu.Unlock()
	var ids []string
	for i := range count {
		id := scan.NewID(n.nodeID(), scan.KindJob)
		ids = append(ids, id)
		n.jobs = slices.Insert(n.jobs, 0, scan.Job{
			ID: id, Scanner: n.scannerID(), Node: n.nodeID(), Document: scan.NewID(n.nodeID(), scan.KindDocument),
			State: scan.JobCompleted, Created: scan.At(first.Add(time.Duration(i) * time.Minute)),
		})
	}
	return ids
}

// tell sends an event to the gateway.
func (n *fakeNode) tell(e scan.Event) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.news = append(n.news, e)
	close(n.told)
	n.told = make(chan struct{})
}

// on replaces the answer to a route.
func (n *fakeNode) on(method, path string, h access.Handler) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.answer[method+" /api/v1"+path] = h
}

// lastCaller is who the node's guard took the last request to be from.
func (n *fakeNode) lastCaller() access.Caller {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.callers[len(n.callers)-1]
}

func (n *fakeNode) lastHeader() http.Header {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.headers[len(n.headers)-1]
}

func (n *fakeNode) eventStreams() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.streams
}

func (n *fakeNode) requests() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return len(n.callers)
}

func (n *fakeNode) routes() []access.Route {
	user := access.AtLeast(api.RoleKiosk)
	const get, post, patch, del = http.MethodGet, http.MethodPost, http.MethodPatch, http.MethodDelete
	table := []access.Route{
		{Method: get, Path: "/scanners/{scanner}", Policy: user, Handle: n.getScanner},
		{Method: get, Path: "/scanners/{scanner}/capabilities", Policy: user, Handle: unanswered},
		{Method: get, Path: "/scanners/{scanner}/status", Policy: user, Handle: unanswered},
		{Method: post, Path: "/scanners/{scanner}/jobs", Policy: user, MaxBody: 64 << 10, Handle: n.createJob},
		{Method: get, Path: "/jobs", Policy: user, Handle: n.listJobs},
		{Method: get, Path: "/jobs/{job}", Policy: user, Handle: n.getJob},
		{Method: del, Path: "/jobs/{job}", Policy: user, Handle: unanswered},
		{Method: post, Path: "/jobs/{job}/cancel", Policy: user, Handle: n.getJob},
		{Method: post, Path: "/jobs/{job}/finish", Policy: user, Handle: n.getJob},
		{Method: get, Path: "/jobs/{job}/pages", Policy: user, Handle: unanswered},
		{Method: post, Path: "/jobs/{job}/release", Policy: user, MaxBody: 1 << 10, Handle: readInto[api.Release]},
		{Method: patch, Path: "/scanners/{scanner}", Policy: user, MaxBody: 1 << 10, Handle: readInto[api.ScannerEdit]},
		{Method: get, Path: "/scanners/{scanner}/sticker", Policy: user, Handle: unanswered},
		{Method: post, Path: "/scanners/{scanner}/sticker", Policy: user, Handle: unanswered},
		{Method: post, Path: "/scanners/{scanner}/release", Policy: user, MaxBody: 1 << 10, Handle: readInto[api.ReleaseAtScanner]},
		{Method: get, Path: "/jobs/{job}/events", Policy: user, Handle: unanswered},
		{Method: get, Path: "/jobs/{job}/pages/{n}", Policy: user, Handle: unanswered},
		{Method: post, Path: "/jobs/{job}/pages/{n}/ack", Policy: user, MaxBody: 1 << 10, Handle: readInto[scan.PageAck]},
		{Method: get, Path: "/documents", Policy: user, Handle: n.listDocuments},
		{Method: post, Path: "/documents", Policy: user, MaxBody: 256 << 10, Handle: n.createDocument},
		{Method: get, Path: "/documents/{document}", Policy: user, Handle: n.getDocument},
		{Method: del, Path: "/documents/{document}", Policy: user, Handle: n.getDocument},
		{Method: patch, Path: "/documents/{document}", Policy: user, MaxBody: 256 << 10, Handle: readInto[scan.DocumentEdit]},
		{Method: get, Path: "/documents/{document}/content", Policy: user, Handle: unanswered},
		{Method: post, Path: "/documents/{document}/split", Policy: user, MaxBody: 4 << 10, Handle: readInto[api.SplitRequest]},
		{Method: post, Path: "/imports", Policy: user, MaxBody: 64 << 20, Handle: unanswered},
		{Method: get, Path: "/jobs/{job}/pages/{n}/barcodes", Policy: user, Handle: unanswered},
		{Method: get, Path: "/jobs/{job}/pages/{n}/text", Policy: user, Handle: unanswered},
		{Method: get, Path: "/modules", Policy: user, Handle: unanswered},
	}
	for i, route := range table {
		table[i].Path = "/api/v1" + route.Path
		table[i].Handle = n.recorded(table[i])
	}
	return append(table,
		access.Route{Method: post, Path: "/api/v1/link/hello", Policy: access.LinkOnly(), MaxBody: 16 << 10, Handle: n.hello},
		access.Route{Method: post, Path: "/api/v1/link/drain", Policy: access.LinkOnly(), MaxBody: 1 << 10, Handle: n.drain},
		n.byItself("/api/v1/link/roads"), n.byItself("/api/v1/link/roads/close"),
		access.Route{Method: get, Path: "/api/v1/link/events", Policy: access.LinkOnly(), Handle: n.linkEvents},
	)
}

func (n *fakeNode) recorded(route access.Route) access.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		n.mu.Lock()
		n.callers = append(n.callers, access.CallerOf(r.Context()))
		n.headers = append(n.headers, r.Header.Clone())
		n.paths = append(n.paths, route.Method+" "+strings.TrimPrefix(route.Path, "/api/v1"))
		h, replaced := n.answer[route.Method+" "+route.Path]
		n.mu.Unlock()
		if replaced {
			return h(w, r)
		}
		return route.Handle(w, r)
	}
}

// byItself is a route for the gateway itself; there is none unless a test answers it.
func (n *fakeNode) byItself(path string) access.Route {
	route := access.Route{Method: http.MethodPost, Path: path, Policy: access.LinkOnly(), MaxBody: 64 << 10, Handle: unanswered}
	route.Handle = n.recorded(route)
	return route
}

func unanswered(http.ResponseWriter, *http.Request) error { return problem.NotFound.Error() }

func readInto[T any](w http.ResponseWriter, r *http.Request) error {
	var v T
	if err := access.ReadJSON(r, &v); err != nil {
		return err
	}
	return problem.NotFound.Error()
}

func (n *fakeNode) hello(w http.ResponseWriter, r *http.Request) error {
	var hello api.LinkHello
	if err := access.ReadPeerJSON(r, &hello); err != nil {
		return err
	}
	n.mu.Lock()
	h, replaced := n.answer["POST /api/v1/link/hello"]
	n.mu.Unlock()
	if replaced {
		return h(w, r)
	}
	if err := n.verifier.SetClock(hello.Time); err != nil {
		return err
	}
	pin := identity.PinOf(relay.PeerKeyOf(r.Context()))
	number, err := access.SequenceIn(hello.Sequence, pin, n.nodeID())
	if err != nil {
		return err
	}
	if _, err := identity.ParseChain(relay.PeerKeyOf(r.Context()), hello.Chain); err != nil {
		return fmt.Errorf("the chain of the hello: %w", err)
	}
	next := access.NextKey{}
	if hello.NextKey != "" {
		if next, err = access.NextKeyIn(hello.NextKey, pin, n.nodeID()); err != nil {
			return err
		}
	}
	n.mu.Lock()
	before := n.sequence
	n.sequence, n.nextKey = max(n.sequence, number), next.Pin
	n.mu.Unlock()
	return access.WriteJSON(w, http.StatusOK, api.LinkWelcome{Api: "1", Link: 1, Name: n.name, Version: "0.0.1", Sequence: before, NextKey: next.Pin, Bulk: r.Context().Value(bulkKey{}) != nil})
}

// bulkKey marks requests that come by a link that the node opened beside another.
type bulkKey struct{}

// onDrain has a word sent for each drain that the node is asked for.
func (n *fakeNode) onDrain(drained chan<- struct{}) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.drained = drained
}

// drain takes the gateway's word, and keeps the link: it is the gateway that cuts it at last.
func (n *fakeNode) drain(w http.ResponseWriter, r *http.Request) error {
	var body api.LinkDrain
	if err := access.ReadPeerJSON(r, &body); err != nil {
		return err
	}
	w.WriteHeader(http.StatusAccepted)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.drained != nil {
		n.drained <- struct{}{}
	}
	return nil
}

var heartbeat = append(bytes.Repeat([]byte{' '}, 64), '\n')

func (n *fakeNode) linkEvents(w http.ResponseWriter, r *http.Request) error {
	control := http.NewResponseController(w)
	w.Header().Set("Content-Type", "application/x-ndjson")
	n.mu.Lock()
	scanners, at := slices.Clone(n.scanners), len(n.news)
	n.streams++
	n.mu.Unlock()
	for _, s := range scanners {
		if err := writeLine(w, scan.Event{Type: scan.EventDeviceState, Scanner: &s}); err != nil {
			return err
		}
	}
	w.Write(heartbeat)
	control.Flush()
	beat := time.NewTicker(2 * time.Second)
	defer beat.Stop()
	for {
		n.mu.Lock()
		news, told := slices.Clone(n.news[at:]), n.told
		n.mu.Unlock()
		for _, e := range news {
			if err := writeLine(w, e); err != nil {
				return err
			}
		}
		at += len(news)
		control.Flush()
		select {
		case <-told:
		case <-beat.C:
			if !n.isQuiet() {
				w.Write(heartbeat)
				control.Flush()
			}
		case <-r.Context().Done():
			return nil
		}
	}
}

func (n *fakeNode) isQuiet() bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.quiet
}

func writeLine(w http.ResponseWriter, e scan.Event) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	_, err = w.Write(append(line, '\n'))
	return err
}

func (n *fakeNode) getScanner(w http.ResponseWriter, r *http.Request) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, s := range n.scanners {
		if s.ID == r.PathValue("scanner") {
			return access.WriteJSON(w, http.StatusOK, s)
		}
	}
	return problem.NotFound.Error()
}

func (n *fakeNode) createJob(w http.ResponseWriter, r *http.Request) error {
	var request scan.JobRequest
	if err := access.ReadJSON(r, &request); err != nil {
		return err
	}
	id := n.addJobs(time.Now(), 1)[0]
	w.Header().Set("Location", "/api/v1/jobs/"+id)
	n.mu.Lock()
	defer n.mu.Unlock()
	return access.WriteJSON(w, http.StatusCreated, n.jobs[0])
}

func (n *fakeNode) getJob(w http.ResponseWriter, r *http.Request) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, j := range n.jobs {
		if j.ID == r.PathValue("job") {
			return access.WriteJSON(w, http.StatusOK, j)
		}
	}
	return problem.NotFound.Error()
}

func (n *fakeNode) getDocument(w http.ResponseWriter, r *http.Request) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	for _, d := range n.documents {
		if d.ID == r.PathValue("document") {
			return access.WriteJSON(w, http.StatusOK, d)
		}
	}
	return problem.NotFound.Error()
}

// listJobs pages by position, with cursors "n<position>".
func (n *fakeNode) listJobs(w http.ResponseWriter, r *http.Request) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	items, next, err := pageOfList(r, n.jobs)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, api.JobList{Items: items, Next: next})
}

func (n *fakeNode) listDocuments(w http.ResponseWriter, r *http.Request) error {
	n.mu.Lock()
	defer n.mu.Unlock()
	items, next, err := pageOfList(r, n.documents)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, api.DocumentList{Items: items, Next: next})
}

func pageOfList[T any](r *http.Request, all []T) (items []T, next string, err error) {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return nil, "", err
	}
	at := 0
	if cursor != "" {
		if at, err = strconv.Atoi(cursor[1:]); err != nil || cursor[0] != 'n' {
			return nil, "", fmt.Errorf("cursor %q is none of this node's", cursor)
		}
	}
	items = append([]T{}, all[at:min(at+limit, len(all))]...)
	if at+limit < len(all) {
		next = fmt.Sprintf("n%d", at+limit)
	}
	return items, next, nil
}

func (n *fakeNode) createDocument(w http.ResponseWriter, r *http.Request) error {
	var request scan.DocumentRequest
	if err := access.ReadJSON(r, &request); err != nil {
		return err
	}
	d := scan.Document{
		ID: scan.NewID(n.nodeID(), scan.KindDocument), Node: n.nodeID(), Name: request.Name, Revision: 1,
		Pages: append([]scan.DocumentPage{}, request.Pages...), Created: scan.At(time.Now()), Updated: scan.At(time.Now()),
	}
	w.Header().Set("Location", "/api/v1/documents/"+d.ID)
	return access.WriteJSON(w, http.StatusCreated, d)
}
