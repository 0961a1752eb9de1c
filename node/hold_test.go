package node

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// holding is a running node with one fake device that holds jobs for their owners.
func holding(t testing.TB, script func(*fakeBatch) error) (*rig, *fakeDevice, string) {
	t.Helper()
	g, d, scanner := oneDevice(t, script)
	got := decode[scan.Scanner](t, g.ask(http.MethodPatch, "/api/v1/scanners/"+scanner, `{"hold":true}`), http.StatusOK)
	if !got.Hold {
		t.Fatalf("scanner = %+v, want it to hold jobs", got)
	}
	return g, d, scanner
}

func (ask asker) submit(t testing.TB, scanner string) scan.Job {
	t.Helper()
	return decode[scan.Job](t, ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", request(scan.SourceADF, 0)), http.StatusCreated)
}

func (ask asker) job(t testing.TB, id string) scan.Job {
	t.Helper()
	return decode[scan.Job](t, ask(http.MethodGet, "/api/v1/jobs/"+id, ""), http.StatusOK)
}

func presenceOf(g *rig, scanner string) string {
	g.t.Helper()
	return get[api.Sticker](g, "/api/v1/scanners/"+scanner+"/sticker").Presence
}

// TestHoldAndRelease is who can let a held job begin, and by what.
func TestHoldAndRelease(t *testing.T) {
	const right, wrong = "right", "wrong"
	for _, c := range []struct {
		name string
		who  string // owner, other, operator, kiosk
		how  string // presence, code, none, resume, finish, cancel, or a duration to let pass
		what string // right, wrong, "": nothing
		want problem.Code
		then scan.JobState
	}{
		{"owner with the sticker", "owner", "presence", right, "", scan.JobCompleted},
		{"owner with another sticker", "owner", "presence", wrong, problem.ReleaseWrong, scan.JobHeld},
		{"owner from afar", "owner", "presence", "", problem.ReleaseWrong, scan.JobHeld},
		{"owner types the code", "owner", "code", right, "", scan.JobCompleted},
		{"owner resumes", "owner", "resume", "", problem.HeldForOwner, scan.JobHeld},
		{"owner finishes", "owner", "finish", "", problem.JobWrongState, scan.JobHeld},
		{"owner cancels", "owner", "cancel", "", "", scan.JobCanceled},
		{"somebody else with the sticker", "other", "presence", right, problem.NotFound, scan.JobHeld},
		{"somebody else cancels", "other", "cancel", "", problem.NotFound, scan.JobHeld},
		{"kiosk with the code", "kiosk", "code", right, "", scan.JobCompleted},
		{"kiosk with another code", "kiosk", "code", wrong, problem.ReleaseWrong, scan.JobHeld},
		{"operator without anything", "operator", "presence", "", "", scan.JobCompleted},
		{"operator resumes", "operator", "resume", "", problem.HeldForOwner, scan.JobHeld},
		{"nobody for a while", "owner", "59m59s", "", "", scan.JobHeld},
		{"nobody at all", "owner", "1h1s", "", "", scan.JobCanceled},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, device, scanner := holding(t, then(2, nil))
				defer g.stop()
				who := map[string]asker{
					"owner": g.localUser(api.RoleUser), "other": g.localUser(api.RoleUser),
					"operator": g.localUser(api.RoleOperator), "kiosk": g.localUser(api.RoleKiosk),
				}
				j := who["owner"].submit(t, scanner)
				if j.State != scan.JobHeld || fmt.Sprint(j.Reasons) != "[held-for-owner]" || j.Position != 0 ||
					len(j.ReleaseCode) != 6 || j.Deadline.Sub(j.Created.Time) != scan.OwnerTimer {
					t.Fatalf("job = %+v, want it held with a code and an hour's time", j)
				}
				synctest.Wait()
				if _, _, _, batches := device.counts(); batches != 0 {
					t.Fatalf("the device scanned %d batches of a held job", batches)
				}
				a := release(t, g, who[c.who], c.how, c.what == right, j)
				switch {
				case c.want != "":
					a.wants(t, c.want, "")
				case a.ResponseRecorder != nil && a.Code/100 != 2:
					t.Errorf("status %d: %s", a.Code, a.Body)
				}
				synctest.Wait()
				got := who["owner"].job(t, j.ID)
				if got.State != c.then || (got.ReleaseCode != "") != (c.then == scan.JobHeld) {
					t.Errorf("job = %+v, want it %s", got, c.then)
				}
				if strings.HasPrefix(c.how, "1h") && fmt.Sprint(got.Reasons) != "[held-for-owner timed-out]" {
					t.Errorf("reasons %v, want held-for-owner and timed-out", got.Reasons)
				}
				if c.then == scan.JobCompleted {
					checkWhole(t, g, j.ID)
				}
			})
		})
	}
}

// release does what a row of TestHoldAndRelease says.
func release(t *testing.T, g *rig, who asker, how string, right bool, j scan.Job) answer {
	t.Helper()
	job := "/api/v1/jobs/" + j.ID
	switch how {
	case "presence":
		body := `{}`
		if p := presenceOf(g, j.Scanner); right {
			body = `{"presence":"` + p + `"}`
		}
		return who(http.MethodPost, job+"/release", body)
	case "code":
		return who(http.MethodPost, "/api/v1/scanners/"+j.Scanner+"/release", codeBody(j.ReleaseCode, right))
	case "resume", "finish", "cancel":
		return who(http.MethodPost, job+"/"+how, "")
	}
	d, err := time.ParseDuration(how)
	need(t, err)
	time.Sleep(d)
	return answer{}
}

// codeBody is a code, or the next one.
func codeBody(code string, right bool) string {
	n, err := strconv.Atoi(code)
	if !right && err == nil {
		code = fmt.Sprintf("%06d", (n+1)%releaseCodes)
	}
	return fmt.Sprintf(`{"code":%q}`, code)
}

// TestReleaseCodeIsItsOwners looks for the code in everything that others are told.
func TestReleaseCodeIsItsOwners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := holding(t, then(1, nil))
		defer g.stop()
		owner, other, operator := g.localUser(api.RoleUser), g.localUser(api.RoleUser), g.localUser(api.RoleOperator)
		j := owner.submit(t, scanner)
		_, before := g.node.hub.head()
		job := "/api/v1/jobs/" + j.ID
		for _, path := range []string{job, "/api/v1/jobs", "/api/v1/jobs?scanner=" + scanner + "&state=pending-held"} {
			if got := owner(http.MethodGet, path, "").Body.String(); !strings.Contains(got, `"releaseCode":"`+j.ReleaseCode+`"`) {
				t.Errorf("%s does not tell the owner the code: %s", path, got)
			}
			for name, ask := range map[string]asker{"other user": other, "operator": operator, "machine": g.ask} {
				if got := ask(http.MethodGet, path, "").Body.String(); strings.Contains(got, "releaseCode") {
					t.Errorf("%s tells the %s the code: %s", path, name, got)
				}
			}
		}
		// Each follows from before the job until it ended.
		first, _, _ := strings.Cut(before, ".")
		streams := map[string]chan string{}
		for name, ask := range map[string]asker{"owner": owner, "operator": operator} {
			text := make(chan string, 1)
			streams[name] = text
			go func() { text <- ask(http.MethodGet, job+"/events", "", "Last-Event-ID", first+".0").Body.String() }()
		}
		synctest.Wait()
		if got := decode[scan.Job](t, operator(http.MethodPost, job+"/release", `{}`), http.StatusOK); got.ReleaseCode != "" {
			t.Errorf("the operator's release tells the code: %+v", got)
		}
		synctest.Wait()
		if got := <-streams["owner"]; strings.Count(got, j.ReleaseCode) != 1 {
			t.Errorf("the owner's events have the code %d times, want once, while it is held:\n%s", strings.Count(got, j.ReleaseCode), got)
		}
		if got := <-streams["operator"]; strings.Contains(got, "releaseCode") || !strings.Contains(got, "held-for-owner") {
			t.Errorf("the operator's events:\n%s", got)
		}
	})
}

// TestReleaseTries bounds the tries at one scanner, whoever makes them and however.
func TestReleaseTries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := holding(t, then(1, nil))
		defer g.stop()
		owner, kiosk, operator := g.localUser(api.RoleUser), g.localUser(api.RoleKiosk), g.localUser(api.RoleOperator)
		first, second := owner.submit(t, scanner), owner.submit(t, scanner)
		if first.ReleaseCode == second.ReleaseCode {
			t.Fatal("two jobs have one code")
		}
		at := "/api/v1/scanners/" + scanner + "/release"
		for _, bad := range []string{`{"code":"12345"}`, `{"code":"1234567"}`, `{"code":"12345x"}`, `{"code":"１23456"}`} {
			kiosk(http.MethodPost, at, bad).wants(t, problem.BadRequest, "code") // no try
		}
		for i := range wrongReleases {
			if i%2 == 0 {
				owner(http.MethodPost, "/api/v1/jobs/"+first.ID+"/release", `{"presence":"x"}`).wants(t, problem.ReleaseWrong, "")
			} else {
				kiosk(http.MethodPost, at, codeBody(first.ReleaseCode, false)).wants(t, problem.ReleaseWrong, "")
			}
			time.Sleep(time.Second)
		}
		right := codeBody(first.ReleaseCode, true)
		a := kiosk(http.MethodPost, at, right)
		a.wants(t, problem.TooManyRequests, "")
		if a.Header().Get("Retry-After") != "55" {
			t.Errorf("Retry-After = %q, want 55", a.Header().Get("Retry-After"))
		}
		owner(http.MethodPost, "/api/v1/jobs/"+first.ID+"/release", `{"presence":"`+presenceOf(g, scanner)+`"}`).wants(t, problem.TooManyRequests, "")
		decode[scan.Job](t, operator(http.MethodPost, "/api/v1/jobs/"+second.ID+"/release", `{}`), http.StatusOK)
		time.Sleep(55 * time.Second)
		if a := kiosk(http.MethodPost, at, right); a.Code != http.StatusNoContent || a.Body.Len() != 0 {
			t.Errorf("status %d after a minute: %s", a.Code, a.Body)
		}
		synctest.Wait()
		kiosk(http.MethodPost, at, right).wants(t, problem.ReleaseWrong, "") // it has begun
		operator(http.MethodPost, "/api/v1/jobs/"+first.ID+"/release", `{}`).wants(t, problem.JobWrongState, "")
	})
}

// TestHeldJobsTakeNoPlace lets others pass, and still counts.
func TestHeldJobsTakeNoPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := holding(t, func(b *fakeBatch) error {
			if b.n == 1 {
				return b.hang()
			}
			return b.pages(1)
		})
		defer g.stop()
		path := "/api/v1/scanners/" + scanner
		held := g.submit(scanner, request(scan.SourceADF, 0))
		decode[scan.Scanner](t, g.ask(http.MethodPatch, path, `{"hold":false}`), http.StatusOK)
		if got := g.job(held.ID); !waitsForOwner(got) {
			t.Errorf("the job is %s %v once the scanner holds no more, want it held", got.State, got.Reasons)
		}
		running := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		for i := range maxQueue - 1 {
			if j := g.submit(scanner, request(scan.SourceADF, 0)); j.Position != i+1 {
				t.Fatalf("job %d has position %d", i, j.Position)
			}
		}
		a := g.ask(http.MethodPost, path+"/jobs", request(scan.SourceADF, 0), "Idempotency-Key", newKey())
		a.wants(t, problem.QueueFull, "")
		if got := g.job(running.ID); got.State != scan.JobProcessing {
			t.Fatalf("the first job is %s", got.State)
		}
		got := decode[scan.Job](t, g.ask(http.MethodPost, "/api/v1/jobs/"+held.ID+"/release", `{}`), http.StatusOK)
		if got.State != scan.JobPending || got.Position != maxQueue {
			t.Errorf("released job is %s at %d, want it at the end of the queue", got.State, got.Position)
		}
		decode[scan.Job](t, g.command(running.ID, "cancel"), http.StatusOK)
		synctest.Wait()
		g.reaches(held.ID, scan.JobCompleted)
	})
}

// TestHeldOverARestart keeps jobs for their owners, with their codes and time.
func TestHeldOverARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := holding(t, func(b *fakeBatch) error { return b.hang() })
		g.submit(scanner, request(scan.SourceADF, 0))
		busy := g.submit(scanner, request(scan.SourceADF, 0))
		decode[scan.Job](t, g.ask(http.MethodPost, "/api/v1/jobs/"+busy.ID+"/release", `{}`), http.StatusOK)
		synctest.Wait()
		released := g.submit(scanner, request(scan.SourceADF, 0))
		decode[scan.Job](t, g.ask(http.MethodPost, "/api/v1/jobs/"+released.ID+"/release", `{}`), http.StatusOK)
		held := g.submit(scanner, request(scan.SourceADF, 0))
		presence := presenceOf(g, scanner)
		time.Sleep(20 * time.Minute)
		g.stop()
		time.Sleep(10 * time.Minute)
		g.start().found()
		defer g.stop()

		if got := presenceOf(g, scanner); got != presence {
			t.Error("the sticker works no more after a restart")
		}
		if got := g.job(held.ID); !waitsForOwner(got) || got.ReleaseCode != held.ReleaseCode || got.Deadline != held.Deadline {
			t.Errorf("held job = %+v, want it as it was: %+v", got, held)
		}
		if got := g.job(released.ID); !waitsForOwner(got) || got.ReleaseCode != released.ReleaseCode || time.Until(got.Deadline.Time) < scan.OwnerTimer-time.Second {
			t.Errorf("released job = %+v, want it to wait for its owner again", got)
		}
		g.command(held.ID, "resume").wants(t, problem.HeldForOwner, "")
		g.reaches(busy.ID, scan.JobStopped, scan.ReasonInterrupted) // its paper is in the scanner
		time.Sleep(31 * time.Minute)
		synctest.Wait()
		g.reaches(held.ID, scan.JobCanceled, scan.ReasonHeldForOwner, scan.ReasonTimedOut)
		if a := g.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/release", codeBody(released.ReleaseCode, true)); a.Code != http.StatusNoContent {
			t.Errorf("the code after a restart: status %d, %s", a.Code, a.Body)
		}
		synctest.Wait()
		if got := g.job(released.ID); got.State != scan.JobProcessing {
			t.Errorf("released job is %s, want it under way", got.State)
		}
	})
}

// TestHeldJobAgain gives the code to a client that lost the first answer.
func TestHeldJobAgain(t *testing.T) {
	g, _, scanner := holding(t, nil)
	owner, key := g.localUser(api.RoleUser), newKey()
	path := "/api/v1/scanners/" + scanner + "/jobs"
	first := decode[scan.Job](t, owner(http.MethodPost, path, request(scan.SourceADF, 0), "Idempotency-Key", key), http.StatusCreated)
	again := decode[scan.Job](t, owner(http.MethodPost, path, request(scan.SourceADF, 0), "Idempotency-Key", key), http.StatusCreated)
	if again.ID != first.ID || again.ReleaseCode != first.ReleaseCode || first.ReleaseCode == "" {
		t.Errorf("the same request made %+v, then %+v", first, again)
	}
}

// TestHeldJobOfAnAbsentScanner stays held when somebody lets it begin.
func TestHeldJobOfAnAbsentScanner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, d, scanner := holding(t, nil)
		j := g.submit(scanner, request(scan.SourceADF, 0))
		g.stop()
		d.hidden = true
		g.start().found()
		defer g.stop()
		g.ask(http.MethodPost, "/api/v1/jobs/"+j.ID+"/release", `{}`).wants(t, problem.ScannerOffline, "")
		g.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/release", codeBody(j.ReleaseCode, true)).wants(t, problem.NotFound, "")
		if got := g.job(j.ID); !waitsForOwner(got) || got.ReleaseCode != j.ReleaseCode {
			t.Errorf("job = %+v, want it held", got)
		}
	})
}
