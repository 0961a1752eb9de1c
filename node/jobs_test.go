package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// oneDevice is a running node with one fake device.
func oneDevice(t testing.TB, script func(*fakeBatch) error) (*rig, *fakeDevice, string) {
	t.Helper()
	d := newFakeDevice("one")
	d.scan = script
	g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}}).start().found()
	return g, d, d.id(g.node.id)
}

// batches are what a device does in its first, second … batch; the last goes on.
func batches(do ...func(*fakeBatch) error) func(*fakeBatch) error {
	return func(b *fakeBatch) error { return do[min(b.n, len(do))-1](b) }
}

// then brings n pages and ends the batch with err.
func then(n int, err error) func(*fakeBatch) error {
	return func(b *fakeBatch) error {
		if e := b.pages(n); e != nil {
			return e
		}
		return err
	}
}

// inMidPage brings n pages and half of one more.
func inMidPage(n int, err error) func(*fakeBatch) error {
	return func(b *fakeBatch) error {
		if e := b.pages(n); e != nil {
			return e
		}
		p, e := b.half(n + 1)
		if e != nil {
			return e
		}
		p.Abort(err)
		return err
	}
}

func TestJobLife(t *testing.T) {
	type look struct {
		do      string // "resume", "cancel", "finish", or a duration to let pass
		state   scan.JobState
		reasons []scan.Reason
		pages   int
	}
	is := func(do string, state scan.JobState, pages int, reasons ...scan.Reason) look {
		return look{do, state, reasons, pages}
	}
	const (
		jam, empty, cover = scan.ReasonJam, scan.ReasonFeederEmpty, scan.ReasonCoverOpen
		offline, busy     = scan.ReasonOffline, scan.ReasonBusyOther
		late, byUser      = scan.ReasonTimedOut, scan.ReasonFinishedByUser
	)
	for _, c := range []struct {
		name   string
		source scan.Source
		pages  int
		device func(*fakeBatch) error
		looks  []look
	}{
		{"feeder runs empty", scan.SourceADF, 0, then(3, nil), []look{is("", scan.JobCompleted, 3)}},
		{"fewer sheets than asked for", scan.SourceADF, 5, then(3, nil), []look{is("", scan.JobCompleted, 3, scan.Partial(empty))}},
		{"empty at the start, filled", scan.SourceADF, 0, batches(then(0, stop(empty)), then(2, nil)), []look{
			is("", scan.JobStopped, 0, empty), is("resume", scan.JobCompleted, 2)}},
		{"empty at the start, canceled", scan.SourceADF, 0, then(0, stop(empty)), []look{
			is("", scan.JobStopped, 0, empty), is("cancel", scan.JobCanceled, 0, scan.ReasonCanceledByUser)}},
		{"empty at the start, forgotten", scan.SourceADF, 0, then(0, stop(empty)), []look{
			is("", scan.JobStopped, 0, empty), is("9m59s", scan.JobStopped, 0, empty), is("2s", scan.JobAborted, 0, empty, late)}},
		{"empty when resumed", scan.SourceADF, 0, batches(inMidPage(2, stop(jam)), then(0, stop(empty)), then(1, nil)), []look{
			is("", scan.JobStopped, 2, jam), is("resume", scan.JobStopped, 2, empty), is("resume", scan.JobCompleted, 3)}},
		{"jam, cleared", scan.SourceADF, 0, batches(inMidPage(2, stop(jam)), then(2, nil)), []look{
			is("", scan.JobStopped, 2, jam), is("resume", scan.JobCompleted, 4)}},
		{"jam, finished", scan.SourceADF, 0, inMidPage(2, stop(jam)), []look{
			is("", scan.JobStopped, 2, jam), is("finish", scan.JobCompleted, 2, byUser)}},
		{"jam, forgotten with pages", scan.SourceADF, 0, inMidPage(2, stop(jam)), []look{
			is("", scan.JobStopped, 2, jam), is("10m1s", scan.JobCompleted, 2, scan.Partial(jam), late)}},
		{"jam, forgotten without pages", scan.SourceADF, 0, inMidPage(0, stop(jam)), []look{
			is("", scan.JobStopped, 0, jam), is("10m1s", scan.JobAborted, 0, jam, late)}},
		{"cover open twice", scan.SourceADF, 0, batches(inMidPage(1, stop(cover)), then(0, stop(cover)), then(1, nil)), []look{
			is("", scan.JobStopped, 1, cover), is("resume", scan.JobStopped, 1, cover), is("resume", scan.JobCompleted, 2)}},
		{"unplugged, back", scan.SourceADF, 0, batches(inMidPage(1, stop(offline)), then(1, nil)), []look{
			is("", scan.JobStopped, 1, offline), is("resume", scan.JobCompleted, 2)}},
		{"unplugged for good", scan.SourceADF, 0, inMidPage(1, stop(offline)), []look{
			is("", scan.JobStopped, 1, offline), is("1m59s", scan.JobStopped, 1, offline), is("2s", scan.JobCompleted, 1, scan.Partial(offline), late)}},
		{"three sheets on the glass", scan.SourcePlaten, 3, then(1, nil), []look{
			is("", scan.JobStopped, 1, scan.ReasonNextSheet), is("resume", scan.JobStopped, 2, scan.ReasonNextSheet), is("resume", scan.JobCompleted, 3)}},
		{"two of three sheets", scan.SourcePlaten, 3, then(1, nil), []look{
			is("", scan.JobStopped, 1, scan.ReasonNextSheet), is("finish", scan.JobCompleted, 1, byUser)}},
		{"glass canceled between sheets", scan.SourcePlaten, 3, then(1, nil), []look{
			is("", scan.JobStopped, 1, scan.ReasonNextSheet), is("cancel", scan.JobCanceled, 1, scan.ReasonCanceledByUser)}},
		{"I/O error with pages", scan.SourceADF, 0, inMidPage(2, stop(scan.ReasonDeviceError)), []look{
			is("", scan.JobCompleted, 2, scan.Partial(scan.ReasonDeviceError))}},
		{"I/O error without pages", scan.SourceADF, 0, inMidPage(0, stop(scan.ReasonDeviceError)), []look{
			is("", scan.JobAborted, 0, scan.ReasonDeviceError)}},
		{"short page", scan.SourceADF, 0, inMidPage(0, stop(scan.ReasonShortPage)), []look{is("", scan.JobAborted, 0, scan.ReasonShortPage)}},
		{"bytes that are no image", scan.SourceADF, 0, func(b *fakeBatch) error {
			p, err := b.sink.PageStarted(fakePage)
			if err != nil {
				return err
			}
			if _, err := p.Write([]byte("no image")); err != nil {
				return err
			}
			return p.Commit(fakePage.Height)
		}, []look{is("", scan.JobAborted, 0, scan.ReasonShortPage)}},
		{"settings refused after all", scan.SourceADF, 0, then(0, stop(scan.ReasonUnsupported)), []look{is("", scan.JobAborted, 0, scan.ReasonUnsupported)}},
		{"driver crashes with pages", scan.SourceADF, 0, inMidPage(2, errFakeCrash), []look{
			is("", scan.JobCompleted, 2, scan.Partial(scan.ReasonDriverFailed))}},
		{"driver crashes without pages", scan.SourceADF, 0, inMidPage(0, errFakeCrash), []look{is("", scan.JobAborted, 0, scan.ReasonDriverFailed)}},
		{"driver says what nobody knows", scan.SourceADF, 0, then(1, errors.New("?")), []look{
			is("", scan.JobCompleted, 1, scan.Partial(scan.ReasonDriverFailed))}},
		{"busy elsewhere, then free", scan.SourceADF, 0, batches(then(0, stop(busy)), then(0, stop(busy)), then(2, nil)), []look{
			is("", scan.JobStopped, 0, busy), is("119s", scan.JobCompleted, 2)}},
		{"busy elsewhere for good", scan.SourceADF, 0, then(0, stop(busy)), []look{
			is("", scan.JobStopped, 0, busy), is("121s", scan.JobAborted, 0, busy, late)}},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				g, _, scanner := oneDevice(t, c.device)
				defer g.stop()
				j := g.submit(scanner, request(c.source, c.pages))
				for i, l := range c.looks {
					if d, err := time.ParseDuration(l.do); err == nil {
						time.Sleep(d)
					} else if l.do != "" {
						decode[scan.Job](t, g.command(j.ID, l.do), http.StatusOK)
					}
					synctest.Wait()
					got := g.job(j.ID)
					if got.State != l.state || !slices.Equal(got.Reasons, l.reasons) || got.Pages != l.pages {
						t.Fatalf("look %d: %s %v with %d pages, want %s %v with %d", i, got.State, got.Reasons, got.Pages, l.state, l.reasons, l.pages)
					}
					if waits := got.State == scan.JobStopped; waits == got.Deadline.IsZero() {
						t.Errorf("look %d: state %s with deadline %v", i, got.State, got.Deadline)
					}
					if got.Growing != 0 {
						t.Errorf("look %d: page %d grows, want none", i, got.Growing)
					}
				}
				checkWhole(t, g, j.ID)
			})
		})
	}
}

// checkWhole compares what a finished job says with what it has and what was told.
func checkWhole(t *testing.T, g *rig, id string) {
	t.Helper()
	j := g.job(id)
	list := get[api.PageList](g, "/api/v1/jobs/"+id+"/pages")
	if len(list.Items) != j.Pages {
		t.Errorf("job has %d pages, its list %d", j.Pages, len(list.Items))
	}
	for i, p := range list.Items {
		if p.N != i+1 || p.State != scan.PageCommitted || p.Digest == "" {
			t.Errorf("page %d of the list is %+v", i+1, p)
		}
	}
	doc := get[scan.Document](g, "/api/v1/documents/"+j.Document)
	if len(doc.Pages) != j.Pages {
		t.Errorf("job has %d pages, its document %d", j.Pages, len(doc.Pages))
	}
	told, ended := 0, false
	notices, _, err := g.node.hub.after(0)
	need(t, err)
	for _, n := range notices {
		if n.job != id {
			continue
		}
		if ended {
			t.Errorf("after the job's end came %v", words([]scan.Event{*n.event}))
		}
		if n.event.Type == scan.EventPageCommitted {
			told++
		}
		ended = n.ends
	}
	if told != j.Pages || ended != j.State.Terminal() {
		t.Errorf("%d pages were announced of %d; the end was announced: %v", told, j.Pages, ended)
	}
}

func TestPagesStillWanted(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, d, scanner := oneDevice(t, batches(inMidPage(2, stop(scan.ReasonJam)), then(3, nil)))
		defer g.stop()
		j := g.submit(scanner, request(scan.SourceADF, 5))
		synctest.Wait()
		g.command(j.ID, "resume")
		synctest.Wait()
		g.reaches(j.ID, scan.JobCompleted)
		if d.batches[0].Pages != 5 || d.batches[1].Pages != 3 {
			t.Errorf("batches asked for %d and %d pages, want 5 and 3", d.batches[0].Pages, d.batches[1].Pages)
		}
	})
}

// TestCancelIsQuick has a device that is deaf for ten minutes: the job ends at once, the
// next one waits for the device.
func TestCancelIsQuick(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, batches(func(b *fakeBatch) error {
			if _, err := b.half(1); err != nil {
				return err
			}
			time.Sleep(10 * time.Minute)
			return context.Canceled
		}, then(1, nil)))
		defer g.stop()
		j := g.submit(scanner, request(scan.SourceADF, 0))
		next := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		if got := g.job(j.ID); got.State != scan.JobProcessing || got.Growing != 1 {
			t.Fatalf("job is %s, page %d grows; want processing, page 1", got.State, got.Growing)
		}
		began := time.Now()
		got := decode[scan.Job](t, g.command(j.ID, "cancel"), http.StatusOK)
		if took := time.Since(began); got.State != scan.JobCanceled || took > 0 {
			t.Errorf("after %v the job is %s, want canceled at once", took, got.State)
		}
		if list := get[api.PageList](g, "/api/v1/jobs/"+j.ID+"/pages"); len(list.Items) != 0 {
			t.Errorf("pages after the cancellation: %+v, want none", list.Items)
		}
		if s := get[scan.Scanner](g, "/api/v1/scanners/"+scanner); s.Status.State != scan.ScannerProcessing || s.Status.Job != "" {
			t.Errorf("scanner = %+v, want processing for nobody", s.Status)
		}
		if got := g.job(next.ID); got.State != scan.JobPending || got.Position != 1 {
			t.Errorf("next job is %s at %d, want pending at 1", got.State, got.Position)
		}
		g.command(j.ID, "cancel").wants(t, problem.JobWrongState, "")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		g.reaches(next.ID, scan.JobCompleted)
		checkWhole(t, g, j.ID)
	})
}

func TestFinishKeepsThePageUnderWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, func(b *fakeBatch) error {
			for n := 1; ; n++ {
				p, err := b.half(n)
				if err != nil {
					return err
				}
				time.Sleep(time.Second)
				if _, err := p.Write(testJPEG(n)[len(testJPEG(n))/2:]); err != nil {
					return err
				}
				if err := p.Commit(fakePage.Height); err != nil {
					return err
				}
				select {
				case <-b.finish:
					return nil
				default:
				}
			}
		})
		defer g.stop()
		j := g.submit(scanner, request(scan.SourceADF, 0))
		time.Sleep(2500 * time.Millisecond)
		if got := decode[scan.Job](t, g.command(j.ID, "finish"), http.StatusOK); got.State != scan.JobProcessing || got.Growing != 3 {
			t.Errorf("after finish the job is %s, page %d grows; want processing, page 3", got.State, got.Growing)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := g.reaches(j.ID, scan.JobCompleted, scan.ReasonFinishedByUser); got.Pages != 3 {
			t.Errorf("job has %d pages, want 3", got.Pages)
		}
		checkWhole(t, g, j.ID)
	})
}

// TestFinishBeforeTheScan asks for the end while the device is being opened.
func TestFinishBeforeTheScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, d, scanner := oneDevice(t, then(3, nil))
		defer g.stop()
		get[scan.Capabilities](g, "/api/v1/scanners/"+scanner+"/capabilities")
		time.Sleep(keepWorker + time.Second) // its process is gone again
		d.open = func(context.Context) error { time.Sleep(5 * time.Second); return nil }
		j := g.submit(scanner, request(scan.SourceADF, 0))
		time.Sleep(time.Second)
		decode[scan.Job](t, g.command(j.ID, "finish"), http.StatusOK)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if got := g.reaches(j.ID, scan.JobCompleted, scan.ReasonFinishedByUser); got.Pages != 0 {
			t.Errorf("job has %d pages, want none", got.Pages)
		}
	})
}

func TestCommandsInEveryState(t *testing.T) {
	const wrong = http.StatusConflict
	for _, c := range []struct {
		state                  string
		device                 func(*fakeBatch) error
		before                 string // command that leads to the state
		cancel, resume, finish int
	}{
		{"processing", func(b *fakeBatch) error { return b.hang() }, "", 200, wrong, 200},
		{"processing-stopped", then(0, stop(scan.ReasonJam)), "", 200, 200, 200},
		{"completed", then(1, nil), "", wrong, wrong, wrong},
		{"aborted", then(0, stop(scan.ReasonDeviceError)), "", wrong, wrong, wrong},
		{"canceled", func(b *fakeBatch) error { return b.hang() }, "cancel", wrong, wrong, wrong},
	} {
		for verb, want := range map[string]int{"cancel": c.cancel, "resume": c.resume, "finish": c.finish} {
			t.Run(c.state+" "+verb, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					g, _, scanner := oneDevice(t, c.device)
					defer g.stop()
					j := g.submit(scanner, request(scan.SourceADF, 0))
					synctest.Wait()
					if c.before != "" {
						g.command(j.ID, c.before)
						synctest.Wait()
					}
					before := g.job(j.ID)
					if string(before.State) != c.state {
						t.Fatalf("job is %s, want %s", before.State, c.state)
					}
					a := g.command(j.ID, verb)
					if a.Code != want {
						t.Errorf("status %d, want %d: %s", a.Code, want, a.Body)
					}
					if want == wrong {
						a.wants(t, problem.JobWrongState, "")
						if after := g.job(j.ID); fmt.Sprint(after) != fmt.Sprint(before) {
							t.Errorf("job changed from %+v to %+v", before, after)
						}
					}
				})
			})
		}
	}
}

func TestQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, func(b *fakeBatch) error { time.Sleep(time.Minute); return b.pages(1) })
		defer g.stop()
		first := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		var ids []string
		for i := range maxQueue {
			j := g.submit(scanner, request(scan.SourceADF, 0))
			if j.Position != i+1 {
				t.Errorf("job %d is at position %d, want %d", i, j.Position, i+1)
			}
			ids = append(ids, j.ID)
		}
		g.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", request(scan.SourceADF, 0), "Idempotency-Key", newKey()).
			wants(t, problem.QueueFull, "")
		if s := get[scan.Scanner](g, "/api/v1/scanners/"+scanner); s.Status.Waiting != maxQueue || s.Status.Job != first.ID {
			t.Errorf("scanner = %+v, want %d waiting behind %s", s.Status, maxQueue, first.ID)
		}
		g.command(ids[0], "cancel")
		if got := g.job(ids[1]); got.Position != 1 {
			t.Errorf("second job is at position %d after the first was canceled, want 1", got.Position)
		}
		last := g.job(ids[maxQueue-1])
		if last.Position != maxQueue-1 {
			t.Errorf("last job is at position %d, want %d", last.Position, maxQueue-1)
		}
		time.Sleep(time.Duration(maxQueue) * time.Minute)
		synctest.Wait()
		g.reaches(first.ID, scan.JobCompleted)
		previous := time.Time{}
		for _, id := range ids[1:] {
			j := g.reaches(id, scan.JobCompleted)
			if !j.Started.After(previous) {
				t.Errorf("job %s started at %v, before its predecessor", id, j.Started)
			}
			previous = j.Started.Time
		}
	})
}

// TestStoppedJobKeepsTheDevice has a second job wait behind a jam, and the first go on
// before it.
func TestStoppedJobKeepsTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, batches(inMidPage(1, stop(scan.ReasonJam)), then(1, nil)))
		defer g.stop()
		first := g.submit(scanner, request(scan.SourceADF, 0))
		second := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		time.Sleep(5 * time.Minute)
		if got := g.job(second.ID); got.State != scan.JobPending || got.Position != 1 {
			t.Errorf("second job is %s at %d, want pending at 1", got.State, got.Position)
		}
		g.command(first.ID, "resume")
		synctest.Wait()
		a, b := g.reaches(first.ID, scan.JobCompleted), g.reaches(second.ID, scan.JobCompleted)
		if a.Pages != 2 || b.Started.Before(a.Ended.Time) {
			t.Errorf("first ended at %v with %d pages, second started at %v", a.Ended, a.Pages, b.Started)
		}
	})
}

// TestDiskLow refuses jobs, and ends a batch between two sheets.
func TestDiskLow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var g *rig
		full := problem.New(problem.DiskLow, "1 MiB of disk is free.")
		device := batches(func(b *fakeBatch) error {
			for n := 1; ; n++ {
				if err := b.page(n); err != nil {
					return err
				}
				select {
				case <-b.finish:
					return nil
				default:
				}
			}
		}, then(1, nil))
		g, _, scanner := oneDevice(t, device)
		defer g.stop()
		asked := 0
		g.node.room = func(context.Context, int64) error {
			if asked++; asked == 5 { // for the submission, the batch and two pages there is room
				return full
			}
			return nil
		}
		j := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		if got := g.reaches(j.ID, scan.JobStopped, scan.ReasonDiskLow); got.Pages != 3 {
			t.Errorf("job has %d pages, want 3", got.Pages)
		}
		g.command(j.ID, "resume")
		synctest.Wait()
		g.reaches(j.ID, scan.JobCompleted)
		checkWhole(t, g, j.ID)

		asked = 4
		g.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", request(scan.SourceADF, 0), "Idempotency-Key", newKey()).
			wants(t, problem.DiskLow, "")
	})
}

// TestStorageFails stops a job between two sheets, and moves no other while the store
// cannot be written.
func TestStorageFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		batches, asked := 0, 0
		g, _, scanner := oneDevice(t, func(b *fakeBatch) error {
			batches++
			return b.pages(2)
		})
		defer g.stop()
		g.node.room = func(context.Context, int64) error {
			if asked++; asked >= 3 && asked <= 6 {
				return pagestore.ErrStorage
			}
			return nil
		}
		j := g.submit(scanner, request(scan.SourceADF, 0))
		synctest.Wait()
		for range 3 {
			if got := g.reaches(j.ID, scan.JobStopped, scan.ReasonStorageFailed); got.Pages != 2 || batches != 1 {
				t.Errorf("job has %d pages of %d batches, want 2 of one", got.Pages, batches)
			}
			g.command(j.ID, "resume")
			synctest.Wait()
		}
		if got := g.reaches(j.ID, scan.JobCompleted); got.Pages != 4 {
			t.Errorf("job has %d pages, want 4", got.Pages)
		}
		checkWhole(t, g, j.ID)
	})
}
