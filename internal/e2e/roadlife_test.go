//go:build e2e

package e2e

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// TestRoadLife: what befalls a direct road while pages come by it.
func TestRoadLife(t *testing.T) {
	r := newRoomWith(t, testenv.NewRoom(t), 300)
	m := newMeter(r.Office)
	roads := []struct{ road, options string }{{"webtransport", "{ kinds: ['webtransport'] }"}, {"webrtc", "{ kinds: ['webrtc'] }"}}
	for _, row := range roads {
		part := func(name string, f func(t *testing.T)) {
			t.Run(row.road+"/"+name, func(t *testing.T) {
				defer r.at(t)()
				r.client(row.options)
				r.openRoad(row.road)
				m.bytes()
				f(t)
				if !t.Failed() {
					r.openRoad(row.road)
					r.must("after it")
				}
			})
		}
		part("many pages at once", func(t *testing.T) {
			var got struct {
				Whole  int
				Failed []string
			}
			r.run(`
				await platen.downloadPage(job.id, 1, { width: 600 }); // the others find it made
				const all = await Promise.allSettled(Array.from({ length: 50 }, () => platen.downloadPage(job.id, 1, { width: 600 })));
				const first = all.find((one) => one.value)?.value.digest;
				return { whole: all.filter((one) => one.value?.digest === first).length, failed: all.filter((one) => one.reason).map((one) => String(one.reason)) };`, &got)
			if got.Whole != 50 {
				t.Errorf("%+v, want 50 pages", got)
			}
			if counts := m.bytes(); counts[row.road] == 0 { // how many come by it depends on which way is faster
				t.Errorf("bytes by road: %v", counts)
			}
		})
		part("pages that are given up", func(t *testing.T) {
			r.run(`
				for (let i = 0; i < 150; i++) {
					const stop = new AbortController();
					await platen.downloadPage(job.id, 1, { signal: stop.signal, onProgress: (bytes) => bytes > 100_000 && stop.abort() }).catch(() => {});
				}`, nil)
			got := r.must("after 150 that were given up")
			if counts := m.bytes(); counts[row.road] < 150*100_000 {
				t.Errorf("bytes by road: %v", counts)
			}
			t.Logf("%.0f ms", got.Ms)
		})
		part("the gateway restarts", func(t *testing.T) {
			r.wire.Set(testenv.Weather{Rate: 30})
			defer r.wire.Set(testenv.Weather{})
			reached, result := r.fetch(r.bytes / 4)
			reached()
			r.Gateway.Kill()
			var got fetched
			err := result(time.Minute, &got)
			r.Gateway.Start()
			r.Gateway.Await(testenv.BrowserLine, testenv.StartTimeout)
			r.whole(got, err, "without the gateway")
		})
		part("the node restarts", func(t *testing.T) {
			r.wire.Set(testenv.Weather{Rate: 30})
			defer r.wire.Set(testenv.Weather{})
			reached, result := r.fetch(r.bytes / 4)
			reached()
			r.Node.Kill()
			r.Node.Start()
			r.Node.Await(testenv.LinkedLine, testenv.StartTimeout)
			up := time.Now()
			var got fetched
			err := result(time.Minute, &got)
			r.whole(got, err, "from a node that was killed")
			t.Logf("whole %v after the node was linked again", time.Since(up))
		})
		part("the browser sleeps", func(t *testing.T) {
			r.wire.Set(testenv.Weather{Rate: 30})
			defer r.wire.Set(testenv.Weather{})
			reached, result := r.fetch(r.bytes / 4)
			reached()
			wake := r.sleep()
			time.Sleep(18 * time.Second) // longer than either end waits for the other
			wake()
			up := time.Now()
			var got fetched
			err := result(time.Minute, &got)
			r.whole(got, err, "after a sleep")
			t.Logf("whole %v after it woke, by %s", time.Since(up), got.Road)
		})
	}
}

// TestSlowReader: a page that reads slowly is sent slowly, and is not held by the browser.
func TestSlowReader(t *testing.T) {
	r := newRoomWith(t, testenv.NewRoom(t), 1200)
	m := newMeter(r.Office)
	for _, row := range []struct {
		road, options string
		most          int64
	}{{"webtransport", "{ kinds: ['webtransport'] }", 24 << 20}, {"webrtc", "{ kinds: ['webrtc'] }", 4 << 20}} {
		t.Run(row.road, func(t *testing.T) {
			defer r.at(t)()
			r.client(row.options)
			r.openRoad(row.road)
			m.bytes()
			var got struct{ Bytes int64 }
			result := r.begin(`
				const response = await platen.roads.via('jobs', job.id)('/api/v1/jobs/' + job.id + '/pages/1', {});
				const reader = response.body.getReader();
				let bytes = (await reader.read()).value.length;
				await new Promise((resolve) => (globalThis.goOn = resolve));
				for (let part; !(part = await reader.read()).done;) bytes += part.value.length;
				return { bytes };`)
			var came int64
			for quiet := false; !quiet; {
				time.Sleep(time.Second)
				n := m.bytes()[row.road]
				came += n
				quiet = came > 0 && n < 64<<10
			}
			if t.Logf("of %d bytes %d came while nobody read", r.bytes, came); came > row.most {
				t.Errorf("%d bytes came while nobody read, want at most %d", came, row.most)
			}
			r.run("goOn()", nil)
			if err := result(2*time.Minute, &got); err != nil || got.Bytes != r.bytes {
				t.Errorf("%+v, %v; want %d bytes", got, err, r.bytes)
			}
		})
	}
}

// sleep stops the browser, as a laptop's lid does.
func (r *room) sleep() (wake func()) {
	all := descendants(r.PID())
	for _, pid := range all {
		syscall.Kill(pid, syscall.SIGSTOP)
	}
	return func() {
		for _, pid := range all {
			syscall.Kill(pid, syscall.SIGCONT)
		}
	}
}

// descendants are the processes that one has started, and theirs.
func descendants(of int) (all []int) {
	children := map[int][]int{}
	stats, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, path := range stats {
		text, err := os.ReadFile(path)
		if err != nil {
			continue // it has ended
		}
		_, rest, _ := strings.Cut(string(text), ") ")
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(path)))
		if f := strings.Fields(rest); len(f) > 1 {
			parent, _ := strconv.Atoi(f[1])
			children[parent] = append(children[parent], pid)
		}
	}
	for next := children[of]; len(next) > 0; next = next[1:] {
		all = append(all, next[0])
		next = append(next, children[next[0]]...)
	}
	return all
}
