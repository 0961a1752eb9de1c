//go:build bench

package bench

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/scan"
)

// slow is a page at the pace of a real scanner: 1.2 s.
var slow = scan.JobRequest{Settings: scan.Settings{Source: scan.SourcePlaten, Mode: scan.ModeColor, Resolution: 300, Region: &scan.Region{Width: 210, Height: 297},
	Options: map[string]string{"read-delay": "yes", "read-delay-duration": "10000"}}}

// lag scans one slow page and follows it: how long after the driver began the page
// its first byte was here, and how long after its commit the last.
func lag(t *testing.T, c *caller, scanner string) (first, last time.Duration) {
	t.Helper()
	var job scan.Job
	c.json(t, "POST", "/scanners/"+scanner+"/jobs", slow, &job)
	res, err := c.do("GET", "/jobs/"+job.ID+"/events", nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	type arrival struct{ first, last time.Time }
	arrived := make(chan arrival, 1)
	var started, committed time.Time
	lines := bufio.NewScanner(res.Body)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		var e scan.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			t.Fatal(err)
		}
		switch e.Type {
		case scan.EventPageStarted:
			started = e.Page.Started.Time
			go func() {
				var a arrival
				defer func() { arrived <- a }()
				page, err := c.do("GET", "/jobs/"+job.ID+"/pages/1", nil)
				if err != nil {
					return
				}
				defer page.Body.Close()
				if _, err := page.Body.Read(make([]byte, 1)); err != nil {
					return
				}
				a.first = time.Now()
				if _, err := io.Copy(io.Discard, page.Body); err == nil {
					a.last = time.Now()
				}
			}()
		case scan.EventPageCommitted:
			committed = e.Page.Committed.Time
		}
	}
	a := <-arrived
	if a.last.IsZero() || started.IsZero() || committed.IsZero() || !a.first.Before(committed) {
		t.Fatalf("the page did not stream: started %v, first byte %v, committed %v, last byte %v", started, a.first, committed, a.last)
	}
	return a.first.Sub(started), a.last.Sub(committed)
}

// firstByte measures how far behind the scanner a client is.
func firstByte(t *testing.T, r *report) {
	conf := testenv.SANEConfig(t, 1)
	direct := startLocal(t, conf)
	pair := testenv.NewPair(t, conf, "PLATEN_NODE_DRIVERS=sane")
	rows := []string{}
	for _, side := range []struct {
		name    string
		service *testenv.Service
	}{{"node, loopback", direct}, {"gateway, link over QUIC, loopback", pair.Gateway}} {
		c := callerOf(t, side.service)
		id := c.scanner(t)
		var firsts, lasts []time.Duration
		for round := range 8 {
			first, last := lag(t, c, id)
			if round > 0 {
				firsts, lasts = append(firsts, first), append(lasts, last)
			}
		}
		r.goal("first byte of a page, "+side.name, "≤ 50 ms", "%s", ms(median(firsts)))
		rows = append(rows, fmt.Sprintf("%s | %s | %s", side.name, series{times: firsts}, series{times: lasts}))
	}
	r.section("Streaming", "A page at 1.2 s. First byte: after the device began the page, so the time in which it fills its first strip is included. "+
		"Last byte: after the page was committed. In every run the first byte came before the commit.")
	r.table("road | first byte | last byte", rows...)
}
