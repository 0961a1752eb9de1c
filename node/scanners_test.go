package node

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// TestEditScanner changes what people decided, for this start and the next.
func TestEditScanner(t *testing.T) {
	g, _, scanner := oneDevice(t, nil)
	path := "/api/v1/scanners/" + scanner
	was := get[scan.Scanner](g, path)
	if was.Name != "Fake one" || was.Location != "Hall" || was.Hold {
		t.Fatalf("scanner = %+v", was)
	}
	for _, c := range []struct {
		body           string
		name, location string
		hold           bool
	}{
		{`{}`, "Fake one", "Hall", false},
		{`{"name":"Front desk"}`, "Front desk", "Hall", false},
		{`{"location":" 2nd floor ","hold":true}`, "Front desk", "2nd floor", true},
		{`{"name":"","location":""}`, "Fake one", "Hall", true},
		{`{"name":"` + strings.Repeat("ü", 80) + `"}`, strings.Repeat("ü", 80), "Hall", true},
	} {
		got := decode[scan.Scanner](t, g.ask(http.MethodPatch, path, c.body), http.StatusOK)
		if got.Name != c.name || got.Location != c.location || got.Hold != c.hold {
			t.Errorf("after %s: %+v", c.body, got)
		}
		if again := get[scan.Scanner](g, path); again.Name != c.name || again.Hold != c.hold {
			t.Errorf("after %s the scanner is %+v", c.body, again)
		}
	}
	for field, body := range map[string]string{
		"name": `{"name":"` + strings.Repeat("x", 81) + `"}`, "location": `{"location":"a\nb","name":"other"}`,
	} {
		g.ask(http.MethodPatch, path, body).wants(t, problem.BadRequest, field)
	}
	g.localUser(api.RoleUser)(http.MethodPatch, path, `{"hold":false}`).wants(t, problem.PermissionDenied, "")
	notices, _, err := g.node.hub.after(0)
	need(t, err)
	if last := notices[len(notices)-1].event; last.Scanner == nil || !last.Scanner.Hold || last.Scanner.Name != strings.Repeat("ü", 80) {
		t.Errorf("last event = %+v, want the scanner as it is", last)
	}
	g.stop()
	g.start().found()
	if got := get[scan.Scanner](g, path); got.Name != strings.Repeat("ü", 80) || !got.Hold {
		t.Errorf("after a restart: %+v", got)
	}
}

// TestSticker renews the secret of a sticker: the old one works no more.
func TestSticker(t *testing.T) {
	g, _, scanner := holding(t, nil)
	path := "/api/v1/scanners/" + scanner + "/sticker"
	old := get[api.Sticker](g, path)
	if old.Path != "/scanners/"+scanner+"#at="+old.Presence || len(old.Presence) != 32 {
		t.Errorf("sticker = %+v", old)
	}
	if again := get[api.Sticker](g, path); again != old {
		t.Errorf("sticker = %+v, then %+v", old, again)
	}
	now := decode[api.Sticker](t, g.ask(http.MethodPost, path, ""), http.StatusOK)
	if now.Presence == old.Presence {
		t.Error("the new sticker is the old one")
	}
	owner := g.localUser(api.RoleUser)
	for _, method := range []string{http.MethodGet, http.MethodPost} {
		owner(method, path, "").wants(t, problem.PermissionDenied, "")
	}
	release := "/api/v1/jobs/" + owner.submit(t, scanner).ID + "/release"
	owner(http.MethodPost, release, `{"presence":"`+old.Presence+`"}`).wants(t, problem.ReleaseWrong, "")
	decode[scan.Job](t, owner(http.MethodPost, release, `{"presence":"`+now.Presence+`"}`), http.StatusOK)
}

// TestScannerWithoutItsSettings is left out: its jobs might have to be held.
func TestScannerWithoutItsSettings(t *testing.T) {
	g := newRig(t, &fakeWorkers{}).start().found()
	d := newFakeDevice("one")
	actor := g.node.ensureDevice(d.id(g.node.id))
	over, cancel := context.WithCancel(context.Background())
	cancel()
	need(t, actor.do(t.Context(), func() { actor.appeared(over, d.info) }))
	if l := get[api.ScannerList](g, "/api/v1/scanners"); len(l.Items) != 0 {
		t.Errorf("scanners = %+v, want none", l.Items)
	}
	need(t, actor.do(t.Context(), func() { actor.appeared(context.Background(), d.info) }))
	if l := get[api.ScannerList](g, "/api/v1/scanners"); len(l.Items) != 1 {
		t.Errorf("scanners = %+v, want one", l.Items)
	}
}

// TestBodiesOfANode bounds pages and documents over all sessions.
func TestBodiesOfANode(t *testing.T) {
	g, _, scanner := oneDevice(t, then(1, nil))
	j := g.submit(scanner, request(scan.SourceADF, 0))
	g.reaches(j.ID, scan.JobCompleted)
	for range bodiesOfNode {
		g.node.bodies <- struct{}{}
	}
	paths := []string{"/api/v1/jobs/" + j.ID + "/pages/1", "/api/v1/documents/" + j.Document + "/content"}
	for _, path := range paths {
		a := g.ask(http.MethodGet, path, "")
		a.wants(t, problem.TooManyRequests, "")
		if a.Header().Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	<-g.node.bodies
	for _, path := range paths {
		if a := g.ask(http.MethodGet, path, ""); a.Code != http.StatusOK {
			t.Errorf("%s: status %d with a place free", path, a.Code)
		}
	}
	if len(g.node.bodies) != bodiesOfNode-1 {
		t.Errorf("%d places are taken, want those of before", len(g.node.bodies))
	}
}

// auditLog is an access.Auditor in memory.
type auditLog struct {
	mu      sync.Mutex
	broken  error
	entries []audit.Entry
}

func (l *auditLog) Ready() error { l.mu.Lock(); defer l.mu.Unlock(); return l.broken }

func (l *auditLog) Append(_ context.Context, e audit.Entry) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.entries = append(l.entries, e)
	return l.broken
}

func (l *auditLog) of(action string) (found []audit.Entry) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.entries {
		if e.Action == action {
			found = append(found, e)
		}
	}
	return found
}

// TestAudit records what was done, never what it is called, and what the node wipes.
func TestAudit(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDevice("one")
		d.scan = then(2, nil)
		log := &auditLog{}
		g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}})
		g.config = func(c *Config) { c.Access.Audit = log }
		g.start().found()
		defer g.stop()
		scanner := d.id(g.node.id)
		path := "/api/v1/scanners/" + scanner
		decode[scan.Scanner](t, g.ask(http.MethodPatch, path, `{"hold":true,"name":"secret name"}`), http.StatusOK)
		decode[api.Sticker](t, g.ask(http.MethodPost, path+"/sticker", ""), http.StatusOK)
		body := `{"name":"secret name","settings":{"source":"adf","resolution":75}}`
		j := decode[scan.Job](t, g.ask(http.MethodPost, path+"/jobs", body, "Idempotency-Key", newKey()), http.StatusCreated)
		g.command(j.ID, "resume").wants(t, problem.HeldForOwner, "")
		g.ask(http.MethodPost, path+"/release", codeBody(j.ReleaseCode, false)).wants(t, problem.ReleaseWrong, "")
		g.ask(http.MethodPost, path+"/release", codeBody(j.ReleaseCode, true))
		synctest.Wait()
		g.reaches(j.ID, scan.JobCompleted)
		if a := g.ask(http.MethodDelete, "/api/v1/documents/"+j.Document, ""); a.Code != http.StatusNoContent {
			t.Fatalf("deleting the document: %d", a.Code)
		}
		time.Sleep(15 * time.Minute) // the time to take that back
		synctest.Wait()

		for _, want := range []audit.Entry{
			{Action: "scanner.edit", Result: audit.OK, Target: scanner, Detail: "hold true, shared true"},
			{Action: "scanner.sticker", Result: audit.OK, Target: scanner},
			{Action: "job.create", Result: audit.OK, Target: j.ID, Detail: "scanner " + scanner + ", adf, 75 dpi"},
			{Action: "job.resume", Result: audit.Refused, Target: j.ID, Detail: "held-for-owner"},
			{Action: "job.release", Result: audit.Refused, Target: scanner, Detail: "release-wrong"},
			{Action: "job.release", Result: audit.OK, Target: j.ID, Detail: "by code at " + scanner},
			{Action: "document.delete", Result: audit.OK, Target: j.Document},
			{Action: "retention.wipe", Result: audit.OK, Target: g.node.id, Detail: "pages 2, documents 0, jobs 0"},
		} {
			if !slices.ContainsFunc(log.of(want.Action), func(e audit.Entry) bool {
				return e.Result == want.Result && e.Target == want.Target && e.Detail == want.Detail && e.Who != ""
			}) {
				t.Errorf("no record like %+v, but %+v", want, log.of(want.Action))
			}
		}
		for _, e := range log.entries {
			if s := e.Target + e.Detail; strings.Contains(s, "secret name") || strings.Contains(s, j.ReleaseCode) {
				t.Errorf("record %+v has content or a secret", e)
			}
		}

		log.mu.Lock()
		log.broken = errors.New("disk full")
		log.mu.Unlock()
		g.ask(http.MethodPost, path+"/jobs", request(scan.SourceADF, 0), "Idempotency-Key", newKey()).wants(t, problem.AuditFailed, "")
		if l := get[api.JobList](g, "/api/v1/jobs"); len(l.Items) != 1 {
			t.Errorf("%d jobs, want no new one without a record", len(l.Items))
		}
	})
}

// TestExtraRoutes are those of the command, judged by the node's guard.
func TestExtraRoutes(t *testing.T) {
	g := newRig(t, &fakeWorkers{})
	g.config = func(c *Config) {
		c.Extra = func(guard *access.Guard) []access.Route {
			return []access.Route{{Method: http.MethodGet, Path: "/api/v1/metrics", Policy: access.AtLeast(api.RoleAdmin),
				Handle: func(w http.ResponseWriter, _ *http.Request) error {
					_, err := w.Write([]byte(guard.Now().Location().String()))
					return err
				}}}
		}
	}
	g.start()
	h := g.node.Handler(access.RoadLoopback)
	for token, want := range map[string]int{"": http.StatusUnauthorized, adminToken: http.StatusOK} {
		if got := askPlain(h, "/api/v1/metrics", token); got != want {
			t.Errorf("extra route with token %q: status %d, want %d", token, got, want)
		}
	}
	if scanners, queue := g.node.Summary(); scanners != 0 || queue != 0 {
		t.Errorf("Summary = %d, %d, want nothing", scanners, queue)
	}
}
