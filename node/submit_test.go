package node

import (
	"context"
	"fmt"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestOneKeyOneJob(t *testing.T) {
	g, d, scanner := oneDevice(t, then(1, nil))
	key := newKey()
	jobs := make([]scan.Job, 50)
	var wg sync.WaitGroup
	for i := range jobs {
		wg.Go(func() {
			a := g.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", request(scan.SourceADF, 0), "Idempotency-Key", key)
			if a.Code != http.StatusCreated {
				t.Errorf("post %d: status %d, %s", i, a.Code, a.Body)
				return
			}
			jobs[i] = decode[scan.Job](t, a, http.StatusCreated)
		})
	}
	wg.Wait()
	for _, j := range jobs {
		if j.ID != jobs[0].ID {
			t.Errorf("jobs %s and %s of one key", j.ID, jobs[0].ID)
		}
	}
	g.reaches(jobs[0].ID, scan.JobCompleted)
	if _, _, _, batches := d.counts(); batches != 1 {
		t.Errorf("device scanned %d times, want once", batches)
	}
	if list := get[api.JobList](g, "/api/v1/jobs"); len(list.Items) != 1 {
		t.Errorf("%d jobs, want 1", len(list.Items))
	}
}

// TestReplay answers a key that made a job, whatever came in between.
func TestReplay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDevice("one")
		d.scan = func(b *fakeBatch) error { return b.hang() }
		g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}}).start().found()
		defer func() { g.stop() }()
		scanner := d.id(g.node.id)
		url, key := "/api/v1/scanners/"+scanner+"/jobs", newKey()
		post := func(body string) answer { return g.ask(http.MethodPost, url, body, "Idempotency-Key", key) }
		first := decode[scan.Job](t, post(request(scan.SourceADF, 0)), http.StatusCreated)
		same := func(when string) {
			t.Helper()
			a := post(request(scan.SourceADF, 0))
			if got := decode[scan.Job](t, a, http.StatusCreated); got.ID != first.ID || a.Header().Get("Location") != "/api/v1/jobs/"+first.ID {
				t.Errorf("%s: job %s at %s, want %s", when, got.ID, a.Header().Get("Location"), first.ID)
			}
		}
		same("at once")
		spelled := `{ "settings" : {"pages":0, "resolution":75,"source":"adf"} }`
		if got := decode[scan.Job](t, post(spelled), http.StatusCreated); got.ID != first.ID {
			t.Errorf("another spelling of the request is another job")
		}
		post(request(scan.SourceADF, 1)).wants(t, problem.IdempotencyKeyReused, "")
		for range maxQueue {
			g.submit(scanner, request(scan.SourceADF, 0))
		}
		same("with a full queue")
		g.node.room = func(context.Context, int64) error { return problem.DiskLow.Error() }
		same("with a full disk")
		g.command(first.ID, "cancel")
		g.stop()
		d.hidden = true
		g.start().found()
		g.ask(http.MethodPost, url, request(scan.SourceADF, 0), "Idempotency-Key", newKey()).wants(t, problem.NotFound, "")
		g.stop()
		d.hidden = false
		g.start().found()
		same("after a restart")
		d.mu.Lock()
		d.caps.Sources = d.caps.Sources[:1] // somebody took the feeder off
		d.mu.Unlock()
		same("with other capabilities")
		if a := g.ask(http.MethodDelete, "/api/v1/jobs/"+first.ID, ""); a.Code != http.StatusNoContent {
			t.Fatalf("deleting: status %d, %s", a.Code, a.Body)
		}
		post(request(scan.SourceADF, 0)).wants(t, problem.NotFound, "")
	})
}

func TestJobRequests(t *testing.T) {
	g, _, scanner := oneDevice(t, then(1, nil))
	good := request(scan.SourceADF, 0)
	noDocument := scan.NewID(g.node.id, scan.KindDocument)
	for _, c := range []struct {
		name, body, key string
		code            problem.Code
		field           string
	}{
		{"no key", good, "", problem.IdempotencyKeyMissing, ""},
		{"short key", good, "short", problem.BadRequest, "Idempotency-Key"},
		{"long key", good, strings.Repeat("k", 129), problem.BadRequest, "Idempotency-Key"},
		{"key with a blank", good, "0123456789 abcdef", problem.BadRequest, "Idempotency-Key"},
		{"key beyond ASCII", good, "0123456789abcdefé", problem.BadRequest, "Idempotency-Key"},
		{"no JSON", "{", newKey(), problem.InvalidJSON, ""},
		{"no settings", "{}", newKey(), problem.InvalidJSON, "settings"},
		{"unknown member", `{"settings":{"dpi":300}}`, newKey(), problem.UnknownField, "settings.dpi"},
		{"no such source", `{"settings":{"source":"lid"}}`, newKey(), problem.InvalidJSON, ""},
		{"source that it lacks", `{"settings":{"source":"adf-duplex"}}`, newKey(), problem.SettingsUnsupported, "settings.source"},
		{"resolution that it lacks", `{"settings":{"resolution":301}}`, newKey(), problem.SettingsUnsupported, "settings.resolution"},
		{"option that it lacks", `{"settings":{"options":{"gamma":"2"}}}`, newKey(), problem.SettingsUnsupported, "settings.options.gamma"},
		{"too many pages", `{"settings":{"pages":1001}}`, newKey(), problem.SettingsUnsupported, "settings.pages"},
		{"long name", `{"settings":{},"name":"` + strings.Repeat("ü", 201) + `"}`, newKey(), problem.BadRequest, "name"},
		{"document that is no ID", `{"settings":{},"document":"x"}`, newKey(), problem.BadID, "document"},
		{"document that is not there", `{"settings":{},"document":"` + noDocument + `"}`, newKey(), problem.NotFound, "document"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var header []string
			if c.key != "" {
				header = []string{"Idempotency-Key", c.key}
			}
			a := g.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", c.body, header...)
			field := c.field
			if c.code == problem.InvalidJSON && field == "" {
				field = problemOf(t, a).Field // names what the decoder found
			}
			a.wants(t, c.code, field)
		})
	}
	if list := get[api.JobList](g, "/api/v1/jobs"); len(list.Items) != 0 {
		t.Errorf("refused requests made %d jobs", len(list.Items))
	}
}

// TestCancelRacesCommit cancels at any moment of a scan: a page is there and was told,
// or neither, and nothing comes after the end.
func TestCancelRacesCommit(t *testing.T) {
	rounds := 200
	if testing.Short() {
		rounds = 20
	}
	g, _, scanner := oneDevice(t, func(b *fakeBatch) error {
		for n := 1; ; n++ {
			if err := b.page(n % 8); err != nil {
				return err
			}
		}
	})
	for range rounds {
		j := g.submit(scanner, request(scan.SourceADF, 0))
		g.until("the start of the scan", func() bool { return g.job(j.ID).State == scan.JobProcessing })
		time.Sleep(time.Duration(rand.IntN(3000)) * time.Microsecond) // the moment is the point of this test
		got := decode[scan.Job](t, g.command(j.ID, "cancel"), http.StatusOK)
		if got.State != scan.JobCanceled {
			t.Fatalf("job is %s, want canceled", got.State)
		}
		after := g.job(j.ID)
		if after.Pages != got.Pages {
			t.Fatalf("job had %d pages when it was canceled and has %d", got.Pages, after.Pages)
		}
		checkRecent(t, g, j.ID)
	}
}

// checkRecent is checkWhole for a hub that has forgotten the beginning.
func checkRecent(t *testing.T, g *rig, id string) {
	t.Helper()
	j := g.job(id)
	list := get[api.PageList](g, "/api/v1/jobs/"+id+"/pages?limit=200")
	for _, p := range list.Items {
		if p.State != scan.PageCommitted {
			t.Errorf("page %d is %s after the job's end", p.N, p.State)
		}
	}
	if list.Next == "" && len(list.Items) != j.Pages {
		t.Errorf("job has %d pages, its list %d", j.Pages, len(list.Items))
	}
	_, head := g.node.hub.head()
	seq, err := g.node.hub.position(head)
	need(t, err)
	notices, _, err := g.node.hub.after(g.node.hub.lostSeq())
	need(t, err)
	ended, highest := false, 0
	for _, n := range notices {
		if n.job != id || n.seq > seq {
			continue
		}
		if ended {
			t.Errorf("after the end came %v", words([]scan.Event{*n.event}))
		}
		if n.event.Type == scan.EventPageCommitted {
			highest = max(highest, n.event.Page.N)
		}
		ended = n.ends
	}
	if !ended || highest > j.Pages || (highest < j.Pages && len(notices) < maxEvents/2) {
		t.Errorf("%d pages were announced of %d; the end was announced: %v", highest, j.Pages, ended)
	}
}

func (h *hub) lostSeq() uint64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.lost
}

func TestOwnership(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, batches(then(1, nil), inMidPage(0, stop(scan.ReasonJam))))
		defer g.stop()
		anna, bert, boss := g.user(api.RoleUser), g.user(api.RoleKiosk), g.user(api.RoleOperator)
		mine := decode[scan.Job](t, anna(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", request(scan.SourceADF, 0)), http.StatusCreated)
		synctest.Wait()
		open := decode[scan.Job](t, anna(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", request(scan.SourceADF, 0)), http.StatusCreated)
		synctest.Wait()
		for _, c := range []struct{ method, path, body string }{
			{"GET", "/jobs/" + mine.ID, ""},
			{"DELETE", "/jobs/" + mine.ID, ""},
			{"GET", "/jobs/" + mine.ID + "/events", ""},
			{"GET", "/jobs/" + mine.ID + "/pages", ""},
			{"GET", "/jobs/" + mine.ID + "/pages/1", ""},
			{"POST", "/jobs/" + mine.ID + "/pages/1/ack", `{"digest":"` + strings.Repeat("a", 64) + `"}`},
			{"POST", "/jobs/" + open.ID + "/cancel", ""},
			{"POST", "/jobs/" + open.ID + "/resume", ""},
			{"POST", "/jobs/" + open.ID + "/finish", ""},
			{"GET", "/documents/" + mine.Document, ""},
			{"PATCH", "/documents/" + mine.Document, `{"name":"mine now"}`},
			{"DELETE", "/documents/" + mine.Document, ""},
			{"GET", "/documents/" + mine.Document + "/content", ""},
			{"POST", "/documents", `{"pages":[{"job":"` + mine.ID + `","n":1}]}`},
			{"POST", "/scanners/" + scanner + "/jobs", `{"settings":{},"document":"` + mine.Document + `"}`},
		} {
			a := bert(c.method, "/api/v1"+c.path, c.body)
			if p := problemOf(t, a); p.Code != problem.NotFound {
				t.Errorf("somebody else's %s %s: status %d, %s, want not-found", c.method, c.path, a.Code, p.Code)
			}
		}
		if got := decode[api.JobList](t, bert(http.MethodGet, "/api/v1/jobs", ""), http.StatusOK); len(got.Items) != 0 {
			t.Errorf("somebody else sees %d jobs", len(got.Items))
		}
		if got := decode[api.DocumentList](t, bert(http.MethodGet, "/api/v1/documents", ""), http.StatusOK); len(got.Items) != 0 {
			t.Errorf("somebody else sees %d documents", len(got.Items))
		}
		for who, want := range map[*asker]string{&anna: open.ID, &boss: open.ID, &bert: ""} {
			s := decode[scan.Status](t, (*who)(http.MethodGet, "/api/v1/scanners/"+scanner+"/status", ""), http.StatusOK)
			if s.Job != want {
				t.Errorf("status names job %q, want %q", s.Job, want)
			}
		}
		if got := decode[api.JobList](t, boss(http.MethodGet, "/api/v1/jobs", ""), http.StatusOK); len(got.Items) != 2 {
			t.Errorf("the operator sees %d jobs, want 2", len(got.Items))
		}
		decode[scan.Job](t, boss(http.MethodPost, "/api/v1/jobs/"+open.ID+"/cancel", ""), http.StatusOK)
		digest := decode[api.PageList](t, boss(http.MethodGet, "/api/v1/jobs/"+mine.ID+"/pages", ""), http.StatusOK).Items[0].Digest
		boss(http.MethodPost, "/api/v1/jobs/"+mine.ID+"/pages/1/ack", `{"digest":"`+digest+`"}`).wants(t, problem.PermissionDenied, "")
		decode[scan.Job](t, anna(http.MethodGet, "/api/v1/jobs/"+mine.ID, ""), http.StatusOK)
	})
}

func TestJobList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, batches(then(1, nil), inMidPage(0, stop(scan.ReasonJam))))
		defer g.stop()
		first := g.submit(scanner, request(scan.SourcePlaten, 0))
		synctest.Wait()
		stopped := g.submit(scanner, request(scan.SourcePlaten, 0))
		waiting := g.submit(scanner, request(scan.SourcePlaten, 0))
		synctest.Wait()
		ids := func(query string) (ids []string) {
			for _, j := range get[api.JobList](g, "/api/v1/jobs"+query).Items {
				ids = append(ids, j.ID)
			}
			return ids
		}
		if got, want := fmt.Sprint(ids("")), fmt.Sprint([]string{waiting.ID, stopped.ID, first.ID}); got != want {
			t.Errorf("jobs = %s, want the newest first: %s", got, want)
		}
		if got, want := fmt.Sprint(ids("?state=pending&scanner="+scanner)), fmt.Sprint([]string{waiting.ID}); got != want {
			t.Errorf("pending jobs = %s, want %s", got, want)
		}
		if j := get[api.JobList](g, "/api/v1/jobs?limit=1"); j.Items[0].Position != 1 || j.Next == "" {
			t.Errorf("list of one = %+v, want position 1 and a cursor", j)
		}
		if got := ids("?scanner=" + scan.NewID(g.node.id, scan.KindScanner)); len(got) != 0 {
			t.Errorf("jobs of another scanner = %v", got)
		}
		g.ask(http.MethodGet, "/api/v1/jobs?state=asleep", "").wants(t, problem.BadRequest, "state")
		g.ask(http.MethodGet, "/api/v1/jobs?scanner=x", "").wants(t, problem.BadID, "scanner")
		g.ask(http.MethodGet, "/api/v1/jobs?cursor=x", "").wants(t, problem.BadRequest, "cursor")
		g.ask(http.MethodDelete, "/api/v1/jobs/"+stopped.ID, "").wants(t, problem.JobWrongState, "")
		if a := g.ask(http.MethodDelete, "/api/v1/jobs/"+first.ID, ""); a.Code != http.StatusNoContent {
			t.Errorf("deleting: status %d, %s", a.Code, a.Body)
		}
		g.ask(http.MethodGet, "/api/v1/jobs/"+first.ID, "").wants(t, problem.NotFound, "")
		g.ask(http.MethodGet, "/api/v1/jobs/"+first.ID+"/pages", "").wants(t, problem.NotFound, "")
	})
}
