package virtual_test

import (
	"maps"
	"os"
	"testing"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/drivertest"
	"github.com/platen-scan/platen/node/driver/virtual"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// TestMain is a worker program too, so that the suite can run through processes.
func TestMain(m *testing.M) {
	if driver.IsWorker(os.Args[1:]) {
		os.Exit(driver.WorkerMain(os.Args[1:], []driver.Driver{virtual.New()}, imaging.Codecs{}))
	}
	os.Exit(m.Run())
}

// prepare describes the virtual device to the suite.
func prepare(s drivertest.Subject) drivertest.Subject {
	with := func(more map[string]string) map[string]string {
		o := map[string]string{"pace": "off"}
		maps.Copy(o, more)
		return o
	}
	s.Refills = true
	s.Fast = with(nil)
	s.Slow = map[string]string{"pace": "fast", "fault": "slow", "fault-page": "1"}
	for _, f := range []struct {
		name   string
		want   scan.Reason
		clears bool
	}{
		{"feeder-empty", scan.ReasonFeederEmpty, true},
		{"jam", scan.ReasonJam, true},
		{"cover-open", scan.ReasonCoverOpen, true},
		{"offline", scan.ReasonOffline, true},
		{"io-error", scan.ReasonDeviceError, false},
		{"short-page", scan.ReasonShortPage, false},
	} {
		for _, page := range []string{"1", "3"} {
			s.Faults = append(s.Faults, drivertest.Fault{
				Name: f.name + "-" + page, Want: f.want, Clears: f.clears,
				Options: with(map[string]string{"fault": f.name, "fault-page": page}),
			})
		}
	}
	s.Faults = append(s.Faults, drivertest.Fault{
		Name: "no-sheets", Want: scan.ReasonFeederEmpty, Options: with(map[string]string{"sheets": "0"}),
	})
	return s
}

func TestInProcess(t *testing.T) { drivertest.Run(t, prepare(drivertest.InProcess(virtual.New()))) }

func TestThroughWorker(t *testing.T) {
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Without the variable, workers under the race detector sleep a second at their end.
	w := &driver.Workers{Path: self, Env: []string{"GORACE=atexit_sleep_ms=0"}}
	s := prepare(drivertest.Through(w, "virtual"))
	s.Hang = map[string]string{"pace": "off", "fault": "hang"}
	drivertest.Run(t, s)
}
