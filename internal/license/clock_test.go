package license_test

import (
	"math/rand/v2"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/problem"
)

// computer has a clock that people set, and time that goes by whatever they do.
type computer struct {
	t       *testing.T
	real    time.Time     // what a good clock says
	system  time.Time     // what its own says
	on      time.Duration // since it was started
	records access.Records
	*license.Clock
}

func newComputer(t *testing.T) *computer {
	c := &computer{t: t, real: start, system: start, records: accesstest.NewRecords()}
	c.restart()
	return c
}

func (c *computer) restart() {
	c.on = 0
	clock, err := license.NewClock(c.t.Context(), license.ClockConfig{
		System: func() time.Time { return c.system }, Elapsed: func() time.Duration { return c.on }, Records: c.records,
	})
	if err != nil {
		c.t.Fatal(err)
	}
	c.Clock = clock
}

// run lets time go by.
func (c *computer) run(d time.Duration) {
	c.real, c.system, c.on = c.real.Add(d), c.system.Add(d), c.on+d
}

// off is a restart after a time in which the computer had no power.
func (c *computer) off(d time.Duration) {
	if err := c.Keep(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
	c.real, c.system = c.real.Add(d), c.system.Add(d)
	c.restart()
}

func (c *computer) set(d time.Duration) { c.system = c.system.Add(d) }

func (c *computer) signed() { c.Signed(c.real) }

const (
	hour = time.Hour
	day  = 24 * hour
	year = 365 * day
)

func TestClock(t *testing.T) {
	tests := []struct {
		name    string
		do      func(*computer)
		ahead   time.Duration // of the right time
		suspect bool
	}{
		{"runs", func(c *computer) { c.run(day) }, 0, false},
		{"back a little", func(c *computer) { c.run(hour); c.set(-4 * time.Minute) }, 0, false},
		{"back", func(c *computer) { c.run(hour); c.set(-6 * time.Minute) }, 0, true},
		{"back and on", func(c *computer) { c.run(hour); c.set(-30 * day); c.Now(); c.run(9 * day) }, 0, true},
		{"back and set right", func(c *computer) { c.run(hour); c.set(-30 * day); c.Now(); c.run(hour); c.set(30 * day) }, 0, false},
		{"back while it was off", func(c *computer) { c.run(hour); c.set(-30 * day); c.off(day) }, -day, true},
		{"back and off", func(c *computer) { c.run(day); c.set(-hour); c.Now(); c.off(time.Minute) }, -time.Minute, true},
		{"back, and off until it is later", func(c *computer) { c.run(day); c.set(-hour); c.Now(); c.off(2 * hour) }, -hour, false},
		{"back, and signed", func(c *computer) { c.run(hour); c.set(-30 * day); c.Now(); c.signed(); c.run(day) }, 0, false},
		{"back, signed, and back again", func(c *computer) { c.set(-year); c.signed(); c.set(-hour) }, 0, true},
		{"back, signed, and restarted", func(c *computer) { c.run(hour); c.set(-30 * day); c.Now(); c.signed(); c.off(0) }, 0, true},
		{"back before the first start", func(c *computer) { c.set(-year); c.records = accesstest.NewRecords(); c.restart() }, -year, false},
		{"that, and signed", func(c *computer) {
			c.set(-year)
			c.records = accesstest.NewRecords()
			c.restart()
			c.signed()
			c.run(hour)
		}, 0, false},
		{"forward", func(c *computer) { c.run(hour); c.set(year) }, year, false},
		{"forward and back", func(c *computer) { c.run(hour); c.set(year); c.Now(); c.set(-year); c.run(hour) }, year, true},
		{"forward, and signed", func(c *computer) { c.run(hour); c.set(year); c.Now(); c.signed(); c.run(day) }, 0, false},
		{"forward, back and signed", func(c *computer) {
			c.run(hour)
			c.set(year)
			c.Now()
			c.set(-year)
			c.signed()
			c.run(hour)
		}, 0, false},
		{"forward, signed and set right", func(c *computer) { c.set(year); c.Now(); c.signed(); c.set(-year); c.signed() }, 0, false},
		{"forward while it was off, and signed", func(c *computer) { c.set(year); c.off(hour); c.signed() }, 0, false},
		{"off, and signed", func(c *computer) { c.off(29 * day); c.signed() }, 0, false},
		{"a gateway that lies by a month", func(c *computer) { c.run(40 * day); c.Now(); c.Signed(c.real.Add(-30 * day)) }, 0, false},
		{"the same after a restart", func(c *computer) { c.run(40 * day); c.off(10 * day); c.Signed(c.real.Add(-10 * day)) }, 0, false},
		{"an old word", func(c *computer) {
			c.signed()
			old := c.real
			c.run(day)
			c.set(-30 * day)
			c.Now()
			c.Signed(old)
		}, 0, true},
		{"an old word after a restart", func(c *computer) { c.run(hour); c.signed(); c.set(-30 * day); c.off(0); c.Signed(start) }, 0, true},
		{"slow", func(c *computer) { c.set(-3 * time.Minute); c.signed(); c.run(hour) }, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			c := newComputer(t)
			c.Now() // whoever starts looks
			test.do(c)
			if got := c.Now().Sub(c.real) - test.ahead; got.Abs() > 5*time.Minute {
				t.Errorf("Now is %v off, want %v", c.Now().Sub(c.real), test.ahead)
			}
			if got := c.Suspect(); got != test.suspect {
				t.Errorf("Suspect() = %v, want %v", got, test.suspect)
			}
		})
	}
}

// TestClockNeverGoesBack sets the clock at random, and restarts.
func TestClockNeverGoesBack(t *testing.T) {
	for seed := range uint64(200) {
		r := rand.New(rand.NewPCG(seed, 6))
		c := newComputer(t)
		last := c.Now()
		for range 60 {
			switch r.IntN(5) {
			case 0:
				c.set(time.Duration(r.Int64N(int64(20*day)) - int64(10*day)))
			case 1:
				c.off(time.Duration(r.Int64N(int64(day))))
			default:
				c.run(time.Duration(r.Int64N(int64(hour))))
			}
			now := c.Now()
			if now.Before(last) {
				t.Fatalf("seed %d: Now went from %v to %v", seed, last, now)
			}
			if behind := now.Sub(c.system); behind > 5*time.Minute && !c.Suspect() {
				t.Fatalf("seed %d: the system is %v behind, and that is not suspect", seed, behind)
			}
			last = now
		}
		c.signed() // and whatever was done, the word of another end heals it
		c.run(hour)
		if c.Suspect() || c.Now().Before(c.real.Add(-5*time.Minute)) {
			t.Fatalf("seed %d: a signed time does not help: %v, it is %v", seed, c.Now(), c.real)
		}
	}
}

// TestClockServe writes each minute, and when it ends.
func TestClockServe(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records := accesstest.NewRecords()
		var off atomic.Int64
		clock, err := license.NewClock(t.Context(), license.ClockConfig{System: func() time.Time { return time.Now().Add(time.Duration(off.Load())) }, Records: records})
		if err != nil {
			t.Fatal(err)
		}
		done := make(chan error, 1)
		go func() { done <- clock.Serve(t.Context()) }()
		writes := 0
		before := records.Dump()
		for range 600 {
			time.Sleep(time.Second)
			if now := records.Dump(); now != before {
				writes, before = writes+1, now
			}
		}
		if writes < 9 || writes > 11 {
			t.Errorf("%d writes in ten minutes, want one a minute", writes)
		}
		off.Store(int64(-hour))
		time.Sleep(6 * time.Second)
		again, err := license.NewClock(t.Context(), license.ClockConfig{System: func() time.Time { return time.Now().Add(time.Duration(off.Load())) }, Records: records})
		if err != nil || !again.Suspect() {
			t.Errorf("after the clock went back: %v, suspect %v", err, again.Suspect())
		}
	})
}

// TestSuspect is what a desk and a judge do while the clock went back.
func TestSuspect(t *testing.T) {
	suspect, now := true, start
	d := newDesk(func(d *desk) {
		d.now, d.server.now = func() time.Time { return now }, func() time.Time { return now }
		d.cfg.Suspect = func() bool { return suspect }
		d.cfg.Signed = func(t time.Time) { suspect = !t.Equal(now) }
	})
	flat, seat := issue(t, key(license.Server)), issue(t, key(license.Browser))
	_, err := d.Admit(t.Context(), keyTerms(flat), shop, client)
	wantCode(t, "Admit by a key alone", err, problem.LicenseClock, "front desk")
	d.server.set(problem.TrackingOffline.Error())
	_, err = d.Admit(t.Context(), keyTerms(seat), shop, client)
	wantCode(t, "Admit of a first browser offline", err, problem.TrackingOffline)
	d.server.set(nil)
	right := d.server.now
	d.server.now = func() time.Time { return right().Add(-hour) }
	_, err = d.Admit(t.Context(), keyTerms(seat), shop, client)
	wantCode(t, "Admit while nobody knows the time", err, problem.LicenseClock)
	d.server.now = right
	_, err = d.Admit(t.Context(), keyTerms(seat), shop, client)
	wantCode(t, "Admit after the server said the time", err, "")
	suspect = true
	d.server.set(problem.TrackingOffline.Error())
	p, err := d.Permit(t.Context(), caller(keyTerms(seat)), "", node.NodeID(), 1)
	wantCode(t, "Permit within a lease offline", err, "")

	j := &license.Judge{
		Vendors: d.cfg.Vendors, Node: node.NodeID(), Clock: d.cfg.Clock, Suspect: func() bool { return true }, End: "office",
	}
	claim, from := license.Claim{Origin: shop, Client: license.ClientHash(shop, client)}, d.cfg.Place()
	_, err = j.Judge(t.Context(), claim, from, p.String(), time.Time{})
	wantCode(t, "Judge of a lease", err, "")
	_, err = j.Judge(t.Context(), claim, from, license.Permit{Key: flat}.String(), time.Time{})
	wantCode(t, "Judge of a key alone", err, problem.LicenseClock, "office")
	_, err = j.Judge(t.Context(), claim, from, license.Permit{Key: flat}.String(), now)
	wantCode(t, "Judge of a key with the gateway's time", err, "")
}
