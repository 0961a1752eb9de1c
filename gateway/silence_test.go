package gateway

import (
	"testing"
	"testing/synctest"
	"time"
)

// TestManySilentLinksAreKept: a gateway that hears of nobody is late itself. Once it has
// read what waited, those that are still silent are dead.
func TestManySilentLinksAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const links, dead = 4 * lateFew, lateFew / 2
		var h hearing
		var all [links]silence
		var cut [links]bool
		for i := range all {
			all[i].begin(&h, func() { cut[i] = true })
		}
		count := func() (n int) {
			synctest.Wait()
			for _, c := range cut {
				if c {
					n++
				}
			}
			return n
		}
		time.Sleep(3 * silenceLimit)
		if n := count(); n != 0 {
			t.Errorf("%d of %d links that were silent together were cut", n, links)
		}
		for i := range all[dead:] {
			all[dead+i].broken()
		}
		time.Sleep(lateAgain + time.Millisecond)
		if n := count(); n != dead {
			t.Errorf("%d links were cut, want the %d that stayed silent", n, dead)
		}
		for i := range all {
			all[i].end()
		}
		if links, late := h.links.Load(), h.late.Load(); links != 0 || late != 0 {
			t.Errorf("when all had ended, %d links were counted and %d late", links, late)
		}
		time.Sleep(2 * silenceLimit)
		if n := count(); n != dead {
			t.Errorf("%d links were cut after their end", n-dead)
		}
	})
}
