package node

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestJobEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, batches(func(b *fakeBatch) error {
			time.Sleep(time.Second) // until the stream is there
			if err := b.page(1); err != nil {
				return err
			}
			p, err := b.half(2)
			if err != nil {
				return err
			}
			for i := range 40 { // four seconds: at most five progress events in each
				time.Sleep(100 * time.Millisecond)
				p.Progress(i + 1)
			}
			p.Abort(stop(scan.ReasonJam))
			return stop(scan.ReasonJam)
		}, then(1, nil)))
		defer g.stop()
		j := g.submit(scanner, request(scan.SourceADF, 0))
		type result struct {
			events []scan.Event
			answer answer
		}
		follower := make(chan result)
		go func() {
			e, a := g.events("/api/v1/jobs/" + j.ID + "/events")
			follower <- result{e, a}
		}()
		time.Sleep(time.Minute)
		g.command(j.ID, "resume")
		got := <-follower
		var short []string
		progress := 0
		for i, w := range words(got.events) {
			if got.events[i].Type == scan.EventPageProgress {
				progress++
				continue
			}
			short = append(short, w)
		}
		want := []string{
			"page-started 1", "page-committed 1", "job-state processing [] 1",
			"page-started 2", "page-failed 2", "job-state processing-stopped [jam] 1",
			"job-state pending [] 1", "job-state processing [] 1",
			"page-started 2", "page-committed 2", "job-state processing [] 2", "job-state completed [] 2",
		}
		for len(short) > 0 && strings.HasPrefix(short[0], "job-state pe") || len(short) > 0 && short[0] == "job-state processing [] 0" {
			short = short[1:] // how far it was when the stream began
		}
		if strings.Join(short, "\n") != strings.Join(want, "\n") {
			t.Errorf("events:\n%s\nwant:\n%s", strings.Join(short, "\n"), strings.Join(want, "\n"))
		}
		if progress < 10 || progress > 21 {
			t.Errorf("%d progress events in four seconds, want at most five a second", progress)
		}
		for _, e := range got.events {
			if e.Type == scan.EventPageCommitted && (e.Page.Digest == "" || e.Page.State != scan.PageCommitted) {
				t.Errorf("committed page without digest: %+v", e.Page)
			}
		}
		if comments := strings.Count(got.answer.Body.String(), "\n:\n\n"); comments < 2 {
			t.Errorf("%d comments in a minute of silence, want one every 15 s", comments)
		}
		if got.answer.Header().Get("Content-Type") != "text/event-stream" {
			t.Errorf("Content-Type = %q", got.answer.Header().Get("Content-Type"))
		}

		// From any event on, the rest comes, once.
		for i, e := range got.events {
			if e.Type == scan.EventPageProgress || i == 0 {
				continue
			}
			rest, _ := g.events("/api/v1/jobs/"+j.ID+"/events", "Last-Event-ID", e.ID)
			want := words(got.events[i+1:])
			if i == len(got.events)-1 {
				want = []string{"job-state completed [] 2"} // nothing is left: the present state, and the end
			}
			want = without(want, "page-progress")
			if fmt.Sprint(without(words(rest), "page-progress")) != fmt.Sprint(want) {
				t.Errorf("after event %d (%s):\n%v\nwant\n%v", i, words(got.events[i : i+1])[0], words(rest), want)
			}
		}
	})
}

func without(list []string, prefix string) []string {
	var kept []string
	for _, s := range list {
		if !strings.HasPrefix(s, prefix) {
			kept = append(kept, s)
		}
	}
	return kept
}

// TestAllEvents follows everything over HTTP, resumes, and ends with the node.
func TestAllEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, then(1, nil))
		l := serveLive(g)
		defer g.stop()
		answer := l.open(t.Context(), http.MethodGet, "/api/v1/events")
		lines := bufio.NewReader(answer.Body)
		first, err := lines.ReadString('\n')
		need(t, err)
		id, ok := strings.CutPrefix(strings.TrimSpace(first), "id: ")
		if !ok {
			t.Fatalf("stream begins with %q, want the ID to resume from", first)
		}
		j := g.submit(scanner, request(scan.SourcePlaten, 0))
		synctest.Wait()
		answer.Body.Close()

		answer = l.open(t.Context(), http.MethodGet, "/api/v1/events", "Last-Event-ID", id)
		kinds := map[scan.EventType]int{}
		lines = bufio.NewReader(answer.Body)
		for done := false; !done; {
			e := nextEvent(t, lines)
			kinds[e.Type]++
			if e.Job != nil {
				if e.Job.ID != j.ID {
					t.Errorf("event of job %s, want %s", e.Job.ID, j.ID)
				}
				done = e.Job.State.Terminal()
			}
		}
		if kinds[scan.EventPageCommitted] != 1 || kinds[scan.EventPageStarted] != 1 || kinds[scan.EventDeviceState] == 0 {
			t.Errorf("events by kind: %v", kinds)
		}
		g.stop()
		if _, err := io.Copy(io.Discard, answer.Body); err != nil && err != io.ErrUnexpectedEOF {
			t.Errorf("stream ended with %v", err)
		}
	})
}

// nextEvent reads on to the next event of a stream.
func nextEvent(t testing.TB, r *bufio.Reader) scan.Event {
	t.Helper()
	for {
		line, err := r.ReadString('\n')
		need(t, err)
		if data, ok := strings.CutPrefix(line, "data: "); ok {
			var e scan.Event
			need(t, json.Unmarshal([]byte(data), &e))
			return e
		}
	}
}

// TestSlowFollower takes nothing: it is cut off, the scan goes on, and what it missed
// is replayed.
func TestSlowFollower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, func(b *fakeBatch) error { return b.pages(20) })
		l := serveLive(g)
		defer g.stop()
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		answer := l.open(ctx, http.MethodGet, "/api/v1/events")
		buf := make([]byte, 4)
		if _, err := io.ReadFull(answer.Body, buf); err != nil {
			t.Fatal(err)
		}
		for range 5 {
			j := g.submit(scanner, request(scan.SourceADF, 0))
			synctest.Wait()
			g.reaches(j.ID, scan.JobCompleted)
		}
		time.Sleep(stallTime + 5*time.Second)
		if _, err := io.Copy(io.Discard, answer.Body); err == nil {
			t.Error("the stalled stream ended well, want a reset")
		}
	})
}

func TestEventRequests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, then(1, nil))
		defer g.stop()
		j := g.submit(scanner, request(scan.SourcePlaten, 0))
		synctest.Wait()
		for _, path := range []string{"/api/v1/events", "/api/v1/jobs/" + j.ID + "/events"} {
			g.ask(http.MethodGet, path, "", "Last-Event-ID", "nonsense").wants(t, problem.BadRequest, "Last-Event-ID")
			g.ask(http.MethodGet, path, "", "Last-Event-ID", strings.Repeat("a", 65)).wants(t, problem.BadRequest, "Last-Event-ID")
			g.ask(http.MethodGet, path, "", "Last-Event-ID", g.node.hub.epoch+".99999").wants(t, problem.EventsGone, "")
			if a := g.ask(http.MethodHead, path, ""); a.Code != http.StatusOK || a.Body.Len() != 0 {
				t.Errorf("HEAD %s: status %d, %q", path, a.Code, a.Body)
			}
		}
		other := scan.NewID(g.node.id, scan.KindJob)
		g.ask(http.MethodGet, "/api/v1/jobs/"+other+"/events", "").wants(t, problem.NotFound, "")
	})
}
