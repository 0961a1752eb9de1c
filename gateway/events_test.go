package gateway

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestHub(t *testing.T) {
	clock := &clock{}
	h := newHub(clock.Now)
	start := h.id(h.head())
	if at, err := h.position(start); err != nil || at != 0 {
		t.Errorf("position of the beginning = %d, %v", at, err)
	}
	for range 3 {
		h.publish(scan.Event{Type: scan.EventNodeState})
	}
	events, _, err := h.after(1)
	if err != nil || len(events) != 2 || events[0].ID != h.epoch+".2" || events[1].ID != h.epoch+".3" {
		t.Errorf("after(1) = %+v, %v, want events 2 and 3", events, err)
	}
	for _, id := range []string{"other.1", h.epoch + ".4", "", h.epoch + ".x", h.epoch, "nonsense"} {
		_, err := h.position(id)
		want := problem.EventsGone.Error()
		if !strings.Contains(id, ".") || strings.HasSuffix(id, "x") {
			want = problem.BadRequest.Error()
		}
		if !errors.Is(err, want) {
			t.Errorf("position(%q) = %v, want %v", id, err, want)
		}
	}

	for range maxEvents {
		h.publish(scan.Event{Type: scan.EventNodeState})
	}
	if _, _, err := h.after(2); !errors.Is(err, problem.EventsGone.Error()) {
		t.Errorf("after what the ring has lost = %v, want events-gone", err)
	}
	if events, _, err := h.after(3); err != nil || len(events) != maxEvents {
		t.Errorf("after(3) = %d events, %v, want all %d that are kept", len(events), err, maxEvents)
	}
	for range 5 * maxEvents {
		h.publish(scan.Event{Type: scan.EventNodeState})
	}
	if got := cap(h.ring); got > 4*maxEvents {
		t.Errorf("the ring has grown to %d places", got)
	}

	clock.Advance(maxAge + time.Second)
	if _, err := h.position(h.id(h.head())); err != nil {
		t.Errorf("position of the newest event after an hour = %v, want it", err)
	}
	if _, err := h.position(h.id(h.head() - 1)); !errors.Is(err, problem.EventsGone.Error()) {
		t.Errorf("position of an event more than an hour old = %v, want events-gone", err)
	}
}

func TestHubWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(time.Now)
		_, changed, err := h.after(0)
		if err != nil {
			t.Fatal(err)
		}
		woken := make(chan struct{})
		go func() { <-changed; close(woken) }()
		synctest.Wait()
		if isDone(woken) {
			t.Error("a reader was woken by nothing")
		}
		h.publish(scan.Event{Type: scan.EventNodeState})
		synctest.Wait()
		if !isDone(woken) {
			t.Error("a reader was not woken")
		}
	})
}

// stream reads an event stream.
type stream struct {
	t     *testing.T
	body  io.ReadCloser
	lines *bufio.Scanner
	last  string // ID
}

func (w *world) follow(t *testing.T, token, lastEventID string) *stream {
	t.Helper()
	r := w.newRequest(token, http.MethodGet, "/api/v1/events", nil)
	if lastEventID != "" {
		r.Header.Set("Last-Event-ID", lastEventID)
	}
	answer := w.send(r)
	if answer.StatusCode != http.StatusOK || answer.Header.Get("Content-Type") != "text/event-stream" {
		t.Fatalf("GET /events: status %d, %q", answer.StatusCode, answer.Header.Get("Content-Type"))
	}
	s := &stream{t: t, body: answer.Body, lines: bufio.NewScanner(answer.Body)}
	if !s.lines.Scan() || !strings.HasPrefix(s.lines.Text(), "id: ") {
		t.Fatalf("the stream begins with %q, want the place where it begins", s.lines.Text())
	}
	s.last = strings.TrimPrefix(s.lines.Text(), "id: ")
	return s
}

func (s *stream) next() scan.Event {
	s.t.Helper()
	for s.lines.Scan() {
		line := s.lines.Text()
		if id, ok := strings.CutPrefix(line, "id: "); ok {
			s.last = id
		}
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var e scan.Event
			if err := json.Unmarshal([]byte(data), &e); err != nil {
				s.t.Fatal(err)
			}
			if e.ID != s.last {
				s.t.Errorf("event %q comes with id %q", e.ID, s.last)
			}
			return e
		}
	}
	s.t.Fatalf("the stream ended: %v", s.lines.Err())
	return scan.Event{}
}

// until reads on to an event of a type.
func (s *stream) until(kind scan.EventType) scan.Event {
	s.t.Helper()
	for {
		if e := s.next(); e.Type == kind {
			return e
		}
	}
}

func TestEvents(t *testing.T) {
	w := newWorld(t)
	operator, user := w.signIn(api.RoleOperator), w.signIn(api.RoleUser)
	all, some := w.follow(t, operator, ""), w.follow(t, user, "")
	begin := all.last

	n := w.joined("n")
	cut := w.connect(n)
	if e := all.until(scan.EventNodeState); e.Node.ID != n.nodeID() || e.Node.State != scan.NodeOffline {
		t.Errorf("the first event tells of %+v, want the node that joined", e.Node)
	}
	if e := all.until(scan.EventNodeState); e.Node.State != scan.NodeOnline {
		t.Errorf("then the node is %s, want online", e.Node.State)
	}
	if e := all.until(scan.EventDeviceState); e.Scanner.ID != n.scannerID() || e.Scanner.Status.State != scan.ScannerIdle {
		t.Errorf("then comes %+v, want its scanner", e.Scanner)
	}
	busy := n.scanners[0]
	busy.Status.State, busy.Status.Job = scan.ScannerProcessing, scan.NewID(n.nodeID(), scan.KindJob)
	n.tell(scan.Event{Type: scan.EventDeviceState, Scanner: &busy})
	if e := all.until(scan.EventDeviceState); e.Scanner.Status.Job != busy.Status.Job {
		t.Errorf("an operator sees %+v, want the job", e.Scanner.Status)
	}
	cut()
	if e := all.until(scan.EventDeviceState); e.Scanner.Status.State != scan.ScannerOffline {
		t.Errorf("after the link was cut the scanner is %s, want offline", e.Scanner.Status.State)
	}

	for i, want := range []scan.ScannerState{scan.ScannerIdle, scan.ScannerProcessing, scan.ScannerOffline} {
		e := some.next()
		if e.Type != scan.EventDeviceState || e.Scanner.Status.State != want || e.Scanner.Status.Job != "" {
			t.Errorf("event %d of a user = %s %+v, want only scanners, without jobs", i, e.Type, e.Scanner)
		}
	}

	// The same again from the beginning, and from the middle.
	replay := w.follow(t, operator, begin)
	if e := replay.next(); e.Type != scan.EventNodeState || e.Node.ID != n.nodeID() {
		t.Errorf("the replay begins with %+v", e)
	}
	middle := replay.until(scan.EventDeviceState).ID
	if e := w.follow(t, operator, middle).until(scan.EventDeviceState); e.Scanner.Status.State != scan.ScannerProcessing {
		t.Errorf("after the scanner's first event comes %+v, want its second", e.Scanner.Status)
	}
}

func TestEventsGone(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	last := w.follow(t, token, "").last
	gone := func(id string, want problem.Code) {
		t.Helper()
		r := w.newRequest(token, http.MethodGet, "/api/v1/events", nil)
		r.Header.Set("Last-Event-ID", id)
		if answer := w.send(r); answer.StatusCode != want.Status() {
			t.Errorf("Last-Event-ID %q: status %d, want %d", id, answer.StatusCode, want.Status())
		}
	}
	gone("nonsense", problem.BadRequest)
	w.stop()
	w.start()
	gone(last, problem.EventsGone) // of the process before
}

// A session that ends takes its event streams with it, and so does the gateway.
func TestEventsEnd(t *testing.T) {
	w := newWorld(t)
	token, other := w.signIn(api.RoleUser), w.signIn(api.RoleUser)
	mine, others := w.follow(t, token, ""), w.follow(t, other, "")
	w.do(token, http.MethodDelete, "/api/v1/sessions/current", nil, http.StatusNoContent, nil)
	for mine.lines.Scan() {
	}
	if others.last == "" {
		t.Error("the other stream has no beginning")
	}
	ended := make(chan error, 1)
	go func() {
		for others.lines.Scan() {
		}
		ended <- others.lines.Err()
	}()
	w.stop()
	if err := <-ended; err != nil {
		t.Errorf("the stream of a gateway that stops ended with %v, want its end", err)
	}
}

func TestEventsHead(t *testing.T) {
	w := newWorld(t)
	answer := w.send(w.newRequest(w.signIn(api.RoleUser), http.MethodHead, "/api/v1/events", nil))
	if answer.StatusCode != http.StatusOK {
		t.Errorf("HEAD /events: status %d, want 200", answer.StatusCode)
	}
}

func TestInWords(t *testing.T) {
	for d, want := range map[time.Duration]string{
		-time.Second: "a moment", 0: "a moment", 2 * time.Second: "2 seconds", 119 * time.Second: "119 seconds",
		2 * time.Minute: "2 minutes", 119 * time.Minute: "119 minutes", 2 * time.Hour: "2 hours", 50 * time.Hour: "2 days",
	} {
		if got := inWords(d); got != want {
			t.Errorf("inWords(%v) = %q, want %q", d, got, want)
		}
	}
}

func BenchmarkHubPublish(b *testing.B) {
	h := newHub(time.Now)
	s := scan.Scanner{ID: "x"}
	for b.Loop() {
		h.publish(scan.Event{Type: scan.EventDeviceState, Scanner: &s})
	}
}
