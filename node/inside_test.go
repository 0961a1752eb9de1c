package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

var neighbour = netip.MustParseAddr("192.0.2.7")

func wantStatus(t testing.TB, answer *http.Response, err error, status int) {
	t.Helper()
	need(t, err)
	if answer.StatusCode != status {
		b, _ := io.ReadAll(answer.Body)
		t.Fatalf("status %d, want %d: %s", answer.StatusCode, status, b)
	}
}

func decodeAnswer[T any](t testing.TB, answer *http.Response, err error, status int) (v T) {
	t.Helper()
	wantStatus(t, answer, err, status)
	defer answer.Body.Close()
	need(t, json.NewDecoder(answer.Body).Decode(&v))
	return v
}

// submitInside makes a job as the eSCL server does.
func submitInside(t testing.TB, c *api.Client, scanner string, s scan.Settings) scan.Job {
	t.Helper()
	answer, err := c.CreateJob(t.Context(), scanner, &api.CreateJobParams{IdempotencyKey: newKey()}, scan.JobRequest{Settings: s})
	return decodeAnswer[scan.Job](t, answer, err, http.StatusCreated)
}

// TestInside gives each address its own jobs.
func TestInside(t *testing.T) {
	g, _, scanner := oneDevice(t, then(1, nil))
	for _, c := range []struct{ client, owner, other string }{
		{"192.0.2.7", "escl:192.0.2.7", "192.0.2.8"},
		{"::ffff:192.0.2.7", "escl:192.0.2.7", "192.0.2.70"},
		{"2001:db8::7", "escl:2001:db8::7", "2001:db8::8"},
		{"fe80::7%eth0", "escl:fe80::7", "fe80::8"},
		{"127.0.0.1", "escl:127.0.0.1", "::1"},
	} {
		mine, other := g.node.API(netip.MustParseAddr(c.client)), g.node.API(netip.MustParseAddr(c.other))
		j := submitInside(t, mine, scanner, scan.Settings{Source: scan.SourcePlaten, Resolution: 75})
		g.reaches(j.ID, scan.JobCompleted)
		if _, owner, err := g.store.Job(t.Context(), j.ID); owner != c.owner || err != nil {
			t.Errorf("API(%s): the job is %q's, %v, want %q's", c.client, owner, err, c.owner)
		}
		answer, err := mine.GetPage(t.Context(), j.ID, 1, nil)
		wantStatus(t, answer, err, http.StatusOK)
		page, err := io.ReadAll(answer.Body)
		need(t, err)
		if !bytes.Equal(page, testJPEG(1)) || answer.Proto != "HTTP/1.1" {
			t.Errorf("API(%s): the page has %d bytes by %s, want %d by HTTP/1.1", c.client, len(page), answer.Proto, len(testJPEG(1)))
		}
		answer, err = other.GetJob(t.Context(), j.ID)
		wantStatus(t, answer, err, http.StatusNotFound)
		answer.Body.Close()
	}
	if _, err := g.node.API(netip.Addr{}).ListScanners(t.Context(), nil); err == nil {
		t.Error("API of no address answers")
	}
}

// TestInsidePermission closes a scanner that a permission names.
func TestInsidePermission(t *testing.T) {
	one, two := newFakeDevice("one"), newFakeDevice("two")
	g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": one, "two": two}}).start().found()
	named, open := one.id(g.node.id), two.id(g.node.id)
	client := g.node.API(neighbour)
	seen := func() (ids []string) {
		answer, err := client.ListScanners(t.Context(), nil)
		for _, s := range decodeAnswer[api.ScannerList](t, answer, err, http.StatusOK).Items {
			ids = append(ids, s.ID)
		}
		return ids
	}
	check := func(when string, want ...string) {
		t.Helper()
		if got := seen(); !slices.Equal(got, want) {
			t.Errorf("%s: scanners %v, want %v", when, got, want)
		}
		for _, id := range []string{named, open} {
			if got := g.node.OpenToAll(t.Context(), id); got != slices.Contains(want, id) {
				t.Errorf("%s: OpenToAll(%s) = %t", when, id, got)
			}
		}
	}
	check("without permissions", named, open)
	path := g.allow(api.RoleKiosk, named, `"see","scan"`)
	check("with a permission", open)
	answer, err := client.CreateJob(t.Context(), named, &api.CreateJobParams{IdempotencyKey: newKey()}, scan.JobRequest{})
	wantStatus(t, answer, err, http.StatusNotFound)
	answer.Body.Close()
	g.ask(http.MethodDelete, path, "")
	check("without it again", named, open)
}

// TestInsideRoutes are about scanners and what is made with them, nothing else.
func TestInsideRoutes(t *testing.T) {
	g := newRig(t, &fakeWorkers{}).start()
	for _, r := range g.node.routes(access.RoadESCL) {
		part, _, _ := strings.Cut(strings.TrimPrefix(r.Path, "/api/v1/"), "/")
		allowed := slices.Contains([]string{"scanners", "jobs", "documents", "events", "imports", "modules"}, part) && r.Policy.Role() == api.RoleKiosk
		if on := r.Policy.On(access.RoadESCL); on != allowed {
			t.Errorf("%s %s inside: %t, want %t", r.Method, r.Path, on, allowed)
		}
	}
}

// TestInsideNotServing has nobody who answers, and says so at once.
func TestInsideNotServing(t *testing.T) {
	g := newRig(t, &fakeWorkers{}).start()
	client := g.node.API(neighbour)
	answer, err := client.ListJobs(t.Context(), nil)
	wantStatus(t, answer, err, http.StatusOK)
	need(t, answer.Body.Close())
	g.stop()
	if _, err := client.ListJobs(t.Context(), nil); !errors.Is(err, errNotServing) {
		t.Errorf("after Serve: %v, want %v", err, errNotServing)
	}
	n, err := newNode(Config{Identity: g.self, Name: "Reception", Store: g.store}, &fakeWorkers{})
	need(t, err)
	if _, err := n.API(neighbour).ListJobs(t.Context(), nil); !errors.Is(err, errNotServing) {
		t.Errorf("before Serve: %v, want %v", err, errNotServing)
	}
}

// growInside is a node with a page that grows as do says, for a client inside.
func growInside(t *testing.T) (g *rig, client *api.Client, j scan.Job, do chan func(driver.PageSink) error) {
	t.Helper()
	do = make(chan func(driver.PageSink) error)
	g, _, scanner := oneDevice(t, func(b *fakeBatch) error {
		page, err := b.sink.PageStarted(fakePage)
		for err == nil {
			select {
			case f, ok := <-do:
				if !ok {
					return nil
				}
				err = f(page)
			case <-b.ctx.Done():
				return context.Canceled
			}
		}
		return err
	})
	client = g.node.API(neighbour)
	j = submitInside(t, client, scanner, scan.Settings{Source: scan.SourcePlaten, Resolution: 75})
	synctest.Wait()
	return g, client, j, do
}

// TestInsideGrowing reads a page while it is scanned, and takes all the time it wants.
func TestInsideGrowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, client, j, do := growInside(t)
		defer g.stop()
		answer, err := client.GetPage(t.Context(), j.ID, 1, nil)
		wantStatus(t, answer, err, http.StatusOK)
		file := testJPEG(1)
		half := len(file) / 2
		do <- func(p driver.PageSink) error { _, err := p.Write(file[:half]); return err }
		got := readN(t, answer.Body, half)
		do <- func(p driver.PageSink) error { _, err := p.Write(file[half:]); return err }
		do <- func(p driver.PageSink) error { return p.Commit(fakePage.Height) }
		close(do)
		time.Sleep(time.Hour) // far beyond the deadlines of the node's own listeners
		rest, err := io.ReadAll(answer.Body)
		if got = append(got, rest...); err != nil || !bytes.Equal(got, file) {
			t.Errorf("%d bytes came, %v, want all %d", len(got), err, len(file))
		}
	})
}

// TestInsideCancel ends the handler of a client that went away, and in the end everything.
func TestInsideCancel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, client, j, do := growInside(t)
		defer g.stop()
		ctx, cancel := context.WithCancel(t.Context())
		answer, err := client.GetPage(ctx, j.ID, 1, nil)
		wantStatus(t, answer, err, http.StatusOK)
		synctest.Wait()
		if n := len(g.node.bodies); n != 1 {
			t.Fatalf("%d pages are being sent, want 1", n)
		}
		cancel()
		synctest.Wait()
		if n := len(g.node.bodies); n != 0 {
			t.Errorf("%d pages are being sent to a client that went away", n)
		}

		do <- func(p driver.PageSink) error { _, err := p.Write(testJPEG(1)); return err }
		do <- func(p driver.PageSink) error { return p.Commit(fakePage.Height) }
		close(do)
		answer, err = client.GetPage(t.Context(), j.ID, 1, nil)
		wantStatus(t, answer, err, http.StatusOK)
		events, err := client.GetEvents(t.Context(), nil)
		wantStatus(t, events, err, http.StatusOK)
		began := time.Now()
		g.stop() // returns although nobody reads
		if took := time.Since(began); took > time.Second {
			t.Errorf("Serve ended after %v", took)
		}
		for _, a := range []*http.Response{answer, events} {
			if _, err := io.Copy(io.Discard, a.Body); err == nil {
				t.Error("an answer that was broken off looks whole")
			}
		}
	})
}

// TestInsideIdle keeps no connection for long that nobody uses.
func TestInsideIdle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, _ := oneDevice(t, nil)
		defer g.stop()
		dialed, closed := 0, 0
		dial := g.node.inside.pool.DialContext
		g.node.inside.pool.DialContext = func(ctx context.Context, network, addr string) (net.Conn, error) {
			c, err := dial(ctx, network, addr)
			dialed++
			return countedConn{c, &closed}, err
		}
		for i := range 300 {
			client := g.node.API(netip.AddrFrom4([4]byte{192, 0, 2, byte(i % 3)}))
			answer, err := client.ListJobs(t.Context(), nil)
			wantStatus(t, answer, err, http.StatusOK)
			io.Copy(io.Discard, answer.Body)
			answer.Body.Close()
			synctest.Wait()
		}
		if dialed != 3 {
			t.Errorf("%d connections for 3 clients that ask again and again", dialed)
		}
		time.Sleep(insideIdle + time.Second)
		synctest.Wait()
		if closed != dialed {
			t.Errorf("%d of %d connections were closed when nobody used them", closed, dialed)
		}
	})
}

// countedConn counts that it was closed once.
type countedConn struct {
	net.Conn
	closed *int
}

func (c countedConn) Close() error {
	err := c.Conn.Close()
	*c.closed++
	return err
}

// TestQueueIsFair serves jobs in the order in which they came, by whatever door.
func TestQueueIsFair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first := make(chan struct{})
		g, d, scanner := oneDevice(t, batches(func(b *fakeBatch) error { <-first; return b.pages(1) }, then(1, nil)))
		defer g.stop()
		browser, escl, other := g.localUser(api.RoleUser), g.node.API(neighbour), g.node.API(netip.MustParseAddr("192.0.2.8"))
		jobs := []scan.Job{g.submit(scanner, request(scan.SourcePlaten, 1))}
		synctest.Wait()
		var want []int
		for i, submit := range []func(s scan.Settings) scan.Job{
			func(s scan.Settings) scan.Job { return submitInside(t, escl, scanner, s) },
			func(s scan.Settings) scan.Job { return submitBrowser(t, browser, scanner, s) },
			func(s scan.Settings) scan.Job { return submitInside(t, other, scanner, s) },
			func(s scan.Settings) scan.Job { return submitInside(t, escl, scanner, s) },
			func(s scan.Settings) scan.Job { return submitBrowser(t, browser, scanner, s) },
		} {
			resolution := []int{150, 300}[i%2]
			want = append(want, resolution)
			j := submit(scan.Settings{Source: scan.SourcePlaten, Resolution: resolution})
			if j.State != scan.JobPending || j.Position != i+1 {
				t.Errorf("job %d is %s at %d, want it to wait at %d", i, j.State, j.Position, i+1)
			}
			jobs = append(jobs, j)
		}
		close(first)
		var began []time.Time
		for _, j := range jobs {
			began = append(began, g.reaches(j.ID, scan.JobCompleted).Started.Time)
		}
		if !slices.IsSortedFunc(began, time.Time.Compare) {
			t.Errorf("the jobs began at %v, want them in the order in which they came", began)
		}
		var got []int
		for _, s := range d.batches[1:] {
			got = append(got, s.Resolution)
		}
		if !slices.Equal(got, want) {
			t.Errorf("the device scanned at %v, want %v", got, want)
		}
	})
}

func submitBrowser(t testing.TB, ask asker, scanner string, s scan.Settings) scan.Job {
	t.Helper()
	body := fmt.Sprintf(`{"settings":{"source":%q,"resolution":%d}}`, s.Source, s.Resolution)
	return decode[scan.Job](t, ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", body), http.StatusCreated)
}

// BenchmarkInside fetches a large page in memory, as the eSCL server does.
func BenchmarkInside(b *testing.B) {
	page := largePage()
	g, _, scanner := oneDevice(b, func(bt *fakeBatch) error {
		p, err := bt.sink.PageStarted(fakePage)
		if err != nil {
			return err
		}
		if _, err := p.Write(page); err != nil {
			return err
		}
		return p.Commit(fakePage.Height)
	})
	client := g.node.API(neighbour)
	j := submitInside(b, client, scanner, scan.Settings{Source: scan.SourcePlaten, Resolution: 75})
	g.reaches(j.ID, scan.JobCompleted)
	b.SetBytes(int64(len(page)))
	b.ReportAllocs()
	for b.Loop() {
		answer, err := client.GetPage(b.Context(), j.ID, 1, nil)
		wantStatus(b, answer, err, http.StatusOK)
		if n, err := io.Copy(io.Discard, answer.Body); n != int64(len(page)) || err != nil {
			b.Fatalf("%d bytes, %v", n, err)
		}
		answer.Body.Close()
	}
}
