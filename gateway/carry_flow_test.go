package gateway

import (
	"testing"
	"time"
)

// carryFor has one body take steps of 10 ms over a flow: bytes a step, of which wait is
// spent on the link and the rest on the browser.
func carryFor(f *flow, now *time.Time, steps, bytes int, wait time.Duration) {
	f.enter(*now)
	defer func() { f.leave(*now) }()
	for range steps {
		f.wait(*now)
		*now = now.Add(wait)
		f.got(bytes, *now)
		*now = now.Add(10*time.Millisecond - wait)
	}
}

func TestFlow(t *testing.T) {
	const ms = time.Millisecond
	near := func(got, want float64) bool { return got > 0.85*want && got < 1.15*want }
	now := time.Now()
	var f flow
	if e, _ := f.estimate(); e.known(now) {
		t.Error("a flow knows what it never measured")
	}
	carryFor(&f, &now, 300, 200_000, 9*ms) // 20 MB/s
	if e, _ := f.estimate(); !near(e.rate, 20e6) || !e.bound || !e.known(now) {
		t.Errorf("of a link that carries 20 MB/s: %+v", e)
	}
	carryFor(&f, &now, 300, 20_000, ms) // a browser that takes 2 MB/s says nothing
	if e, _ := f.estimate(); !near(e.rate, 20e6) || !e.bound {
		t.Errorf("after a slow browser: %+v", e)
	}
	carryFor(&f, &now, 300, 400_000, 1*ms) // one that takes 40 MB/s says that the link carries more
	if e, _ := f.estimate(); e.rate < 35e6 || e.bound {
		t.Errorf("after a fast browser that was the bottleneck: %+v", e)
	}
	carryFor(&f, &now, 300, 20_000, 9*ms)
	if e, _ := f.estimate(); !near(e.rate, 2e6) || !e.bound {
		t.Errorf("after the link got bad: %+v", e)
	}
	if _, shifted := f.estimate(); now.Sub(shifted) > 4*time.Second {
		t.Errorf("the rate fell by ten, %v ago", now.Sub(shifted))
	}
	now = now.Add(estimateKept)
	if e, _ := f.estimate(); e.known(now) {
		t.Error("an estimate does not age")
	}

	// Short bodies of a fast link say what it carries, too: only what was held up lasts long.
	f = flow{}
	carryFor(&f, &now, 100, 300_000, 9*ms)
	now = now.Add(time.Second)
	carryFor(&f, &now, 15, 1_000_000, 9*ms)
	if e, _ := f.estimate(); !near(e.rate, 100e6) || !e.bound {
		t.Errorf("after a fast body that was short: %+v", e)
	}

	// Two bodies share a link: it carries what they take together.
	f = flow{}
	f.enter(now)
	f.enter(now)
	for range 300 {
		f.wait(now)
		f.wait(now)
		now = now.Add(9 * ms)
		f.got(100_000, now)
		f.got(100_000, now)
		now = now.Add(ms)
	}
	if e, _ := f.estimate(); !near(e.rate, 20e6) || !e.bound {
		t.Errorf("of two bodies: %+v", e)
	}

	// The start of a connection counts only if nothing else is known.
	f = flow{}
	carryFor(&f, &now, 12, 100_000, 9*ms)
	if e, _ := f.estimate(); !near(e.rate, 10e6) {
		t.Errorf("of one short body: %+v", e)
	}
	now = now.Add(time.Second)
	carryFor(&f, &now, 100, 400_000, 9*ms)
	before, _ := f.estimate()
	if !near(before.rate, 40e6) {
		t.Errorf("what a short body said still counts beside a long one: %+v", before)
	}
	now = now.Add(time.Second)
	carryFor(&f, &now, 9, 120_000, 9*ms)
	if e, _ := f.estimate(); !near(e.rate, before.rate) {
		t.Errorf("after a short body: %+v, want %+v", e, before)
	}
}
