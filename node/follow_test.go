package node

import (
	"context"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// followed are the lists that FollowScanners told.
type followed struct {
	mu    sync.Mutex
	lists [][]scan.Scanner
}

func (f *followed) see(list []scan.Scanner) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.lists = append(f.lists, list)
}

// next are the lists since the last call, in short.
func (f *followed) next() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	var all []string
	for _, list := range f.lists {
		var each []string
		for _, s := range list {
			each = append(each, fmt.Sprintf("%s@%s shared=%t %s%v", s.Name, s.Location, s.Shared, s.Status.State, s.Sources))
			if len(s.May) > 0 {
				each = append(each, "May is filled in")
			}
		}
		all = append(all, "["+strings.Join(each, ", ")+"]")
	}
	f.lists = nil
	return strings.Join(all, " ")
}

// TestFollowScanners tells each change that matters once, and no other.
func TestFollowScanners(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one, two := newFakeDevice("one"), newFakeDevice("two")
		two.info.Network, two.hidden = true, true
		w := &fakeWorkers{devices: map[string]*fakeDevice{"one": one, "two": two}}
		g := newRig(t, w).start().found()
		defer g.stop()
		hide := func(d *fakeDevice, hidden bool) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.hidden = hidden
		}
		path := func(d *fakeDevice) string { return "/api/v1/scanners/" + d.id(g.node.id) }
		edit := func(d *fakeDevice, body string) {
			decode[scan.Scanner](t, g.ask(http.MethodPatch, path(d), body), http.StatusOK)
		}
		told := &followed{}
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan struct{})
		go func() { defer close(ended); g.node.FollowScanners(ctx, told.see) }()

		const sources = "[platen adf]"
		permission := ""
		for _, step := range []struct {
			name string
			do   func()
			want string
		}{
			{"at once", func() {}, "[Fake one@Hall shared=true idle[]]"},
			{"nothing for an hour", func() { time.Sleep(time.Hour) }, ""},
			{"its abilities", func() { get[scan.Capabilities](g, path(one)+"/capabilities") }, "[Fake one@Hall shared=true idle" + sources + "]"},
			{"a job", func() {
				g.reaches(g.submit(one.id(g.node.id), request(scan.SourceADF, 2)).ID, scan.JobCompleted)
			}, ""},
			{"a name and a place", func() { edit(one, `{"name":"Desk","location":"Attic"}`) }, "[Desk@Attic shared=true idle" + sources + "]"},
			{"that jobs are held", func() { edit(one, `{"hold":true}`) }, ""},
			{"the switch", func() { edit(one, `{"shared":false}`) }, "[Desk@Attic shared=false idle" + sources + "]"},
			{"the switch as it is", func() { edit(one, `{"shared":false}`) }, ""},
			{"another scanner", func() { hide(two, false); time.Sleep(lookEvery) },
				"[Desk@Attic shared=false idle" + sources + ", Fake two@Hall shared=false idle[]]"},
			{"that it is shared", func() { edit(two, `{"shared":true}`) },
				"[Desk@Attic shared=false idle" + sources + ", Fake two@Hall shared=true idle[]]"},
			{"that it is offline", func() { hide(two, true); time.Sleep(lookEvery) },
				"[Desk@Attic shared=false idle" + sources + ", Fake two@Hall shared=true offline[]]"},
			{"that it is gone", func() { time.Sleep(forgetAfter + lookEvery) }, "[Desk@Attic shared=false idle" + sources + "]"},
			{"a permission", func() {
				permission = g.allow(api.RoleUser, one.id(g.node.id), `"see"`)
				time.Sleep(permissionsEvery + time.Second)
			}, "[Desk@Attic shared=false idle" + sources + "]"},
			{"that the permission is no more", func() {
				g.ask(http.MethodDelete, permission, "")
				time.Sleep(permissionsEvery + time.Second)
			}, "[Desk@Attic shared=false idle" + sources + "]"},
		} {
			step.do()
			synctest.Wait()
			if got := told.next(); got != step.want {
				t.Errorf("%s: told %s, want %s", step.name, got, step.want)
			}
		}
		cancel()
		<-ended
	})
}

// TestFollowScannersSlowly makes one of what happened while nobody listened, however
// much it was, and ends with the node.
func TestFollowScannersSlowly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		g, _, scanner := oneDevice(t, nil)
		defer g.stop()
		told, busy := &followed{}, make(chan struct{})
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			g.node.FollowScanners(t.Context(), func(list []scan.Scanner) { told.see(list); <-busy })
		}()
		synctest.Wait()
		told.next()
		for _, name := range []string{"One", "Two", "Three"} {
			decode[scan.Scanner](t, g.ask(http.MethodPatch, "/api/v1/scanners/"+scanner, `{"name":"`+name+`"}`), http.StatusOK)
		}
		for range maxEvents + 10 { // the hub forgets what became of the scanner
			g.node.hub.publish(notice{event: &scan.Event{Type: scan.EventDocument, Document: &scan.Document{}}})
		}
		close(busy)
		synctest.Wait()
		const want = "[Three@Hall shared=true idle[]]"
		if got := told.next(); got != want {
			t.Errorf("told %s, want %s", got, want)
		}
		g.stop()
		<-ended
	})
}

// TestShared is so for a device of the machine, not for one that the network has, until
// somebody decides.
func TestShared(t *testing.T) {
	near, far := newFakeDevice("near"), newFakeDevice("far")
	far.info.Network = true
	g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"near": near, "far": far}}).start().found()
	shared := func() string {
		var all []string
		for _, s := range get[api.ScannerList](g, "/api/v1/scanners").Items {
			all = append(all, fmt.Sprintf("%s %t", s.Name, s.Shared))
		}
		slices.Sort(all)
		return strings.Join(all, ", ")
	}
	check := func(when, want string) {
		t.Helper()
		if got := shared(); got != want {
			t.Errorf("%s: %s, want %s", when, got, want)
		}
	}
	edit := func(d *fakeDevice, body string, want bool) {
		t.Helper()
		s := decode[scan.Scanner](t, g.ask(http.MethodPatch, "/api/v1/scanners/"+d.id(g.node.id), body), http.StatusOK)
		notices, _, err := g.node.hub.after(0)
		need(t, err)
		if last := notices[len(notices)-1].event.Scanner; s.Shared != want || last == nil || last.ID != s.ID || last.Shared != want {
			t.Errorf("after %s: %+v, announced as %+v, want shared %t", body, s, last, want)
		}
	}
	check("undecided", "Fake far false, Fake near true")
	edit(far, `{"name":"A"}`, false)
	edit(far, `{"name":"","shared":true}`, true)
	edit(near, `{"shared":false}`, false)
	check("decided", "Fake far true, Fake near false")
	g.stop()
	g.start().found()
	check("after a restart", "Fake far true, Fake near false")
	edit(near, `{"shared":true}`, true)
	edit(far, `{"shared":false}`, false)
	check("decided again", "Fake far false, Fake near true")
	g.localUser(api.RoleUser)(http.MethodPatch, "/api/v1/scanners/"+near.id(g.node.id), `{"shared":false}`).wants(t, problem.PermissionDenied, "")
}
