package node

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func jobNotice(id string) notice {
	return notice{event: &scan.Event{Type: scan.EventJobState, Job: &scan.Job{ID: id}}, owner: "me", job: id}
}

func progressNotice(page string, lines int) notice {
	return notice{event: &scan.Event{Type: scan.EventPageProgress, Page: &scan.Page{ID: page, Lines: lines}}, owner: "me"}
}

func TestHubReplay(t *testing.T) {
	h := newHub(time.Now)
	start, _ := h.head()
	for i := range 10 {
		h.publish(jobNotice(fmt.Sprint("j", i)))
	}
	all, _, err := h.after(start)
	need(t, err)
	if len(all) != 10 {
		t.Fatalf("%d events, want 10", len(all))
	}
	for i, n := range all {
		at, err := h.position(n.event.ID)
		need(t, err)
		rest, _, err := h.after(at)
		need(t, err)
		if len(rest) != 9-i || n.job != fmt.Sprint("j", i) {
			t.Errorf("event %d is of %s, followed by %d; want j%d, followed by %d", i, n.job, len(rest), i, 9-i)
		}
	}
	for id, want := range map[string]problem.Code{
		"":                                   problem.BadRequest,
		"x":                                  problem.BadRequest,
		h.epoch + ".x":                       problem.BadRequest,
		h.epoch + ".-1":                      problem.BadRequest,
		h.epoch + ".99999999999999999999999": problem.BadRequest,
		h.epoch + ".11":                      problem.EventsGone, // from the future
		"other.3":                            problem.EventsGone,
	} {
		if _, err := h.position(id); !errors.Is(err, want.Error()) {
			t.Errorf("position(%q) = %v, want %s", id, err, want)
		}
	}
}

func TestHubForgets(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		h := newHub(time.Now)
		h.publish(jobNotice("first"))
		_, first := h.head()
		for range maxEvents - 1 {
			h.publish(jobNotice("more"))
		}
		if _, err := h.position(h.epoch + ".0"); err != nil {
			t.Errorf("all %d events should be there: %v", maxEvents, err)
		}
		h.publish(jobNotice("one too many"))
		if _, err := h.position(h.epoch + ".0"); !errors.Is(err, problem.EventsGone.Error()) {
			t.Errorf("position before a lost event = %v, want events-gone", err)
		}
		if _, err := h.position(first); err != nil {
			t.Errorf("position of the last lost event = %v, want none: nothing after it is lost", err)
		}
		if _, _, err := h.after(0); !errors.Is(err, problem.EventsGone.Error()) {
			t.Errorf("a reader that fell behind gets %v, want events-gone", err)
		}
		time.Sleep(maxAge + time.Second)
		if _, err := h.position(first); !errors.Is(err, problem.EventsGone.Error()) {
			t.Errorf("position after an hour = %v, want events-gone", err)
		}
		_, last := h.head()
		if _, err := h.position(last); err != nil {
			t.Errorf("position of the newest event = %v, want none", err)
		}
	})
}

// TestHubProgress keeps one progress of a page, and a thousand of them push nothing out.
func TestHubProgress(t *testing.T) {
	h := newHub(time.Now)
	h.publish(jobNotice("a"))
	for i := range 5 * maxEvents {
		h.publish(progressNotice("p", i+1))
		h.publish(progressNotice("q", i+1))
	}
	all, _, err := h.after(0)
	need(t, err)
	if len(all) != 3 || all[0].job != "a" || all[1].event.Page.Lines != 5*maxEvents {
		t.Fatalf("%d events, want the job's and the last progress of both pages", len(all))
	}
	if len(h.ring) > 2*maxEvents+1 {
		t.Errorf("the ring has %d entries", len(h.ring))
	}
	h.publish(notice{event: &scan.Event{Type: scan.EventPageCommitted, Page: &scan.Page{ID: "p"}}})
	all, _, err = h.after(0)
	need(t, err)
	if len(all) != 3 || all[2].event.Type != scan.EventPageCommitted || all[1].event.Page.ID != "q" {
		t.Errorf("a committed page still has progress: %d events", len(all))
	}
}

func TestHubWakesReaders(t *testing.T) {
	h := newHub(time.Now)
	_, more, err := h.after(0)
	need(t, err)
	select {
	case <-more:
		t.Fatal("woken by nothing")
	default:
	}
	h.publish(jobNotice("a"))
	<-more
}

func TestSeenBy(t *testing.T) {
	mine := access.Caller{Subject: "me", Role: api.RoleUser}
	other := access.Caller{Subject: "other", Role: api.RoleUser}
	boss := access.Caller{Subject: "boss", Role: api.RoleOperator}
	job := jobNotice("a")
	device := notice{event: &scan.Event{Type: scan.EventDeviceState, Scanner: &scan.Scanner{Status: scan.Status{Job: "a"}}}, holder: "me"}
	for _, c := range []struct {
		who         access.Caller
		job, holder bool
	}{{mine, true, true}, {other, false, false}, {boss, true, true}, {access.Caller{}, false, false}} {
		if got := job.seenBy(c.who) != nil; got != c.job {
			t.Errorf("%s sees the job of me: %v, want %v", c.who.Subject, got, c.job)
		}
		e := device.seenBy(c.who)
		if e == nil || (e.Scanner.Status.Job != "") != c.holder {
			t.Errorf("%s sees %+v, want the scanner, its job: %v", c.who.Subject, e, c.holder)
		}
	}
	if device.event.Scanner.Status.Job != "a" {
		t.Error("masking for one caller changed the event for all")
	}
}
