package airscan

import (
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	nodeID    = "aaaaaaaaaaaaaaaaaaaaaaaaaabb"
	scannerID = "aaaaaaaaaaaaaaaa-sbbbbbbbbbbbbbbbbbbbb"
)

// fakeNode is the HTTP API of a node with one scanner, as far as this package uses it.
// Tests say what happens to its jobs.
type fakeNode struct {
	mu      sync.Mutex
	changed chan struct{}
	scanner scan.Scanner
	caps    scan.Capabilities
	status  scan.Status
	jobs    []*fakeJob
	keys    map[string]*fakeJob
	calls   map[string]int
	refuse  map[string]error // by method and last segment: what is answered in place of an answer
	cut     int              // the next event stream ends after so many events; 0: not
	mute    bool             // the next event stream says nothing, and does not end
	// loseAnswer has the next answer to POST jobs get lost.
	loseAnswer bool
	run        func(*fakeJob) // runs beside each new job; nil: it stays pending
}

// fakeJob is a job and what happened to it.
type fakeJob struct {
	node    *fakeNode
	job     scan.Job
	events  []scan.Event
	pages   []scan.Page
	data    [][]byte
	asked   []string // formats in which pages were fetched
	acked   []int    // pages that were acknowledged
	deleted bool
	short   int // a page's body ends so many bytes early
}

func newFakeNode() *fakeNode {
	source := func(s scan.Source) scan.SourceCapabilities {
		sc := scan.SourceCapabilities{
			Source: s,
			Modes: []scan.ModeDepths{
				{Mode: scan.ModeColor, Depths: []int{8, 16}}, {Mode: scan.ModeGray, Depths: []int{8, 16}}, {Mode: scan.ModeLineart, Depths: []int{1}},
			},
			Resolutions: scan.Resolutions{Values: []int{75, 150, 300}},
			Area:        scan.Area{MinWidth: 10, MinHeight: 10, MaxWidth: 210, MaxHeight: 297},
		}
		if s.Feeder() {
			sc.Feeder = &scan.FeederAbilities{Capacity: 50, DetectsLoad: true}
		}
		return sc
	}
	f := &fakeNode{
		changed: make(chan struct{}), keys: map[string]*fakeJob{}, calls: map[string]int{}, refuse: map[string]error{},
		scanner: scan.Scanner{ID: scannerID, Node: nodeID, Name: "Copier", Make: "Fake", Model: "F1", Location: "Hall", Driver: "fake"},
		status:  scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederLoaded},
		caps: scan.Capabilities{
			Formats: []scan.Format{scan.FormatJPEG, scan.FormatPNG},
			Sources: []scan.SourceCapabilities{source(scan.SourcePlaten), source(scan.SourceADF), source(scan.SourceADFDuplex)},
		},
	}
	f.caps.Defaults, _ = f.caps.Resolve(scan.Settings{})
	return f
}

// Do answers a request of an api.Client.
func (f *fakeNode) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		return nil, err
	}
	segments := strings.Split(strings.Trim(r.URL.Path, "/"), "/")
	call := r.Method + " " + segments[len(segments)-1]
	if segments[0] == "jobs" && len(segments) == 2 {
		call = r.Method + " job"
	}
	if len(segments) == 4 {
		call = r.Method + " page"
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.calls[call]++
	if err := f.refuse[call]; err != nil {
		if p := problemOf(err); p != nil {
			return problemAnswer(p), nil
		}
		return nil, err
	}
	switch {
	case segments[0] == "scanners":
		return f.scannerLocked(r, call, segments)
	case segments[0] == "documents":
		j := f.jobs[slices.IndexFunc(f.jobs, func(j *fakeJob) bool { return j.job.Document == segments[1] })]
		return bytesAnswer(r, bytes.Join(j.data, nil), "application/pdf"), nil
	}
	i := slices.IndexFunc(f.jobs, func(j *fakeJob) bool { return j.job.ID == segments[1] && !j.deleted })
	if i < 0 {
		return problemAnswer(problem.NotFound.Error()), nil
	}
	return f.jobs[i].answerLocked(r, call, segments), nil
}

func (f *fakeNode) scannerLocked(r *http.Request, call string, segments []string) (*http.Response, error) {
	switch call {
	case "GET " + scannerID:
		return jsonAnswer(200, f.scanner), nil
	case "GET capabilities":
		return jsonAnswer(200, f.caps), nil
	case "GET status":
		return jsonAnswer(200, f.status), nil
	case "POST jobs":
		var request scan.JobRequest
		if err := json.NewDecoder(r.Body).Decode(&request); err != nil {
			return nil, err
		}
		key := r.Header.Get("Idempotency-Key")
		if j := f.keys[key]; j != nil {
			return jsonAnswer(201, j.job), nil
		}
		n := len(f.jobs)
		j := &fakeJob{node: f, job: scan.Job{
			ID: fmt.Sprintf("aaaaaaaaaaaaaaaa-j%020d", n), Document: fmt.Sprintf("aaaaaaaaaaaaaaaa-d%020d", n),
			Scanner: scannerID, Node: nodeID, Name: request.Name, State: scan.JobPending, Settings: request.Settings, Created: scan.At(time.Now()),
		}}
		f.jobs, f.keys[key] = append(f.jobs, j), j
		f.changeLocked()
		if f.run != nil {
			go f.run(j)
		}
		if f.loseAnswer {
			f.loseAnswer = false
			return nil, errors.New("connection reset")
		}
		return jsonAnswer(201, j.job), nil
	}
	return nil, fmt.Errorf("the fake node knows no %s %v", call, segments)
}

func (j *fakeJob) answerLocked(r *http.Request, call string, segments []string) *http.Response {
	wrong := func() *http.Response { return problemAnswer(problem.JobWrongState.Error()) }
	switch call {
	case "GET job":
		return jsonAnswer(200, j.job)
	case "GET events":
		return j.streamLocked(r)
	case "GET pages":
		return jsonAnswer(200, map[string]any{"items": j.pages})
	case "GET page":
		n, _ := strconv.Atoi(segments[3])
		j.asked = append(j.asked, r.URL.Query().Get("format"))
		if n < 1 || n > len(j.pages) {
			return problemAnswer(problem.NotFound.Error())
		}
		res := bytesAnswer(r, j.data[n-1], scan.Format(r.URL.Query().Get("format")).MediaType())
		if j.short > 0 {
			res.Body = io.NopCloser(bytes.NewReader(j.data[n-1][:len(j.data[n-1])-j.short]))
		}
		return res
	case "POST ack":
		var ack scan.PageAck
		n, _ := strconv.Atoi(segments[3])
		if json.NewDecoder(r.Body).Decode(&ack) != nil || n < 1 || n > len(j.pages) || ack.Digest != j.pages[n-1].Digest {
			return problemAnswer(problem.NotFound.Error())
		}
		j.acked = append(j.acked, n)
		return &http.Response{StatusCode: 204, Body: http.NoBody, Header: http.Header{}}
	case "POST cancel":
		if j.job.State.Terminal() {
			return wrong()
		}
		j.stateLocked(scan.JobCanceled, scan.ReasonCanceledByUser)
		return jsonAnswer(200, j.job)
	case "POST finish":
		if j.job.State.Terminal() {
			return wrong()
		}
		j.stateLocked(scan.JobCompleted, scan.ReasonFinishedByUser)
		return jsonAnswer(200, j.job)
	case "DELETE job":
		if !j.job.State.Terminal() {
			return wrong()
		}
		j.deleted = true
		j.node.changeLocked()
		return &http.Response{StatusCode: 204, Body: http.NoBody, Header: http.Header{}}
	}
	return problemAnswer(problem.NotFound.Error())
}

// streamLocked follows the job's events as a node does.
func (j *fakeJob) streamLocked(r *http.Request) *http.Response {
	from, to := io.Pipe()
	at, f := len(j.events), j.node
	first := scan.Event{ID: "e.1", Type: scan.EventJobState, Job: new(j.job)}
	cut, mute := f.cut, f.mute
	f.cut, f.mute = 0, false
	go func() {
		defer to.Close()
		context := r.Context()
		if mute {
			<-context.Done()
			to.CloseWithError(context.Err())
			return
		}
		send := func(e scan.Event) bool {
			b, _ := json.Marshal(e)
			_, err := fmt.Fprintf(to, "id: %s\ndata: %s\n\n", e.ID, b)
			return err == nil
		}
		if !send(first) || first.Job.State.Terminal() {
			return
		}
		for sent := 1; ; {
			f.mu.Lock()
			events, changed := j.events[at:], f.changed
			f.mu.Unlock()
			for _, e := range events {
				if at++; !send(e) || e.Job != nil && e.Job.State.Terminal() {
					return
				}
				if sent++; sent == cut {
					return
				}
			}
			if len(events) > 0 {
				continue
			}
			select {
			case <-changed:
			case <-time.After(15 * time.Second):
				if _, err := io.WriteString(to, ":\n\n"); err != nil {
					return
				}
			case <-context.Done():
				to.CloseWithError(context.Err())
				return
			}
		}
	}()
	return &http.Response{StatusCode: 200, Header: http.Header{"Content-Type": {"text/event-stream"}}, Body: from, ContentLength: -1}
}

func (f *fakeNode) changeLocked() {
	close(f.changed)
	f.changed = make(chan struct{})
}

func (j *fakeJob) stateLocked(s scan.JobState, why ...scan.Reason) {
	j.job.State, j.job.Reasons = s, why
	j.eventLocked(scan.Event{Type: scan.EventJobState, Job: new(j.job)})
}

func (j *fakeJob) eventLocked(e scan.Event) {
	e.ID = fmt.Sprintf("e.%d", len(j.events)+2)
	j.events = append(j.events, e)
	j.node.changeLocked()
}

// state brings the job to a state, unless it has ended.
func (j *fakeJob) state(s scan.JobState, why ...scan.Reason) {
	j.node.mu.Lock()
	defer j.node.mu.Unlock()
	if !j.job.State.Terminal() {
		j.stateLocked(s, why...)
	}
}

// grow begins a page and tells how far it is.
func (j *fakeJob) grow(lines, height int) {
	j.node.mu.Lock()
	defer j.node.mu.Unlock()
	j.eventLocked(scan.Event{Type: scan.EventPageProgress, Page: &scan.Page{
		Job: j.job.ID, N: len(j.pages) + 1, State: scan.PageGrowing, Lines: lines, Height: height,
		Format: j.job.Settings.Format, Mode: j.job.Settings.Mode, Resolution: j.job.Settings.Resolution,
	}})
}

// page commits a page.
func (j *fakeJob) page() {
	j.node.mu.Lock()
	defer j.node.mu.Unlock()
	s := j.job.Settings
	n := len(j.pages) + 1
	data := pageFile(s, n)
	page := scan.Page{
		ID: fmt.Sprintf("aaaaaaaaaaaaaaaa-p%020d", n), Job: j.job.ID, N: n, State: scan.PageCommitted, Format: s.Format, Mode: s.Mode, Depth: s.Depth,
		Resolution: s.Resolution, Width: pageWidth, Height: pageHeight, Lines: pageHeight, Bytes: int64(len(data)), Digest: fmt.Sprintf("%x", sha256.Sum256(data)), Committed: scan.At(time.Now()),
	}
	j.pages, j.data = append(j.pages, page), append(j.data, data)
	j.job.Pages = n
	j.eventLocked(scan.Event{Type: scan.EventPageCommitted, Page: &page})
	j.eventLocked(scan.Event{Type: scan.EventJobState, Job: new(j.job)})
}

const pageWidth, pageHeight = 64, 80

// pageFile is a real image, another one for each n.
func pageFile(s scan.Settings, n int) []byte {
	var b bytes.Buffer
	img := imaging.Image{Mode: s.Mode, Depth: s.Depth, Width: pageWidth, Height: pageHeight, Resolution: s.Resolution}
	e, err := imaging.NewEncoder(&b, img, s.Format, s.Quality, imaging.Codecs{})
	if err != nil {
		panic(err)
	}
	row := make([]byte, img.Stride())
	for y := range pageHeight {
		for x := range row {
			row[x] = byte(x*n*7 + y*x)
		}
		if err := e.WriteRows(row); err != nil {
			panic(err)
		}
	}
	if err := e.Close(); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// scans is a run that brings n pages.
func scans(n int) func(*fakeJob) {
	return func(j *fakeJob) {
		j.state(scan.JobProcessing)
		for range n {
			j.page()
		}
		j.state(scan.JobCompleted)
	}
}

func jsonAnswer(status int, v any) *http.Response {
	b, _ := json.Marshal(v)
	return &http.Response{
		StatusCode: status, Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(bytes.NewReader(b)), ContentLength: int64(len(b)),
	}
}

func problemAnswer(p *problem.Error) *http.Response {
	res := jsonAnswer(p.Code.Status(), p)
	res.Header.Set("Content-Type", problem.MediaType)
	return res
}

// bytesAnswer answers with a file, or the part of it that is asked for.
func bytesAnswer(r *http.Request, b []byte, mediaType string) *http.Response {
	w := httptest.NewRecorder()
	w.Header().Set("Content-Type", mediaType)
	w.Header().Set("ETag", `"etag"`)
	http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(b))
	res := w.Result()
	if res.StatusCode == http.StatusRequestedRangeNotSatisfiable {
		p := problemAnswer(problem.RangeNotSatisfiable.Error())
		p.Header.Set("Content-Range", res.Header.Get("Content-Range"))
		return p
	}
	return res
}

func need(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
