//go:build unix

package sane_test

import (
	"errors"
	"os"
	"os/signal"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/drivertest"
	"github.com/platen-scan/platen/node/driver/sane"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/node/imaging/turbo"
	"github.com/platen-scan/platen/proto/scan"
)

// TestMain is a worker program too: libsane must not be loaded into a test's process.
func TestMain(m *testing.M) {
	if driver.IsWorker(os.Args[1:]) {
		codecs, err := turbo.Codecs()
		if err != nil {
			codecs = imaging.Codecs{}
		}
		os.Exit(driver.WorkerMain(os.Args[1:], []driver.Driver{sane.New()}, codecs))
	}
	os.Exit(m.Run())
}

// workers start workers whose libsane has the test back end and no other.
func workers(t testing.TB) *driver.Workers {
	t.Helper()
	name, dir, _ := strings.Cut(testenv.SANEConfig(t, 1), "=")
	t.Setenv(name, dir) // for scanimage as well
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	// Without the variable, workers under the race detector sleep a second at their end.
	w := &driver.Workers{Path: self, Env: []string{"GORACE=atexit_sleep_ms=0"}}
	var missing *driver.Missing
	if _, err := w.Devices(t.Context(), "sane"); errors.As(err, &missing) {
		t.Fatalf("this test needs libsane: %s", missing.Hint)
	}
	return w
}

func TestConformance(t *testing.T) {
	s := drivertest.Through(workers(t), "sane")
	s.Slow = map[string]string{"read-delay": "yes", "read-delay-duration": "100000", "read-limit": "yes", "read-limit-size": "4096"}
	for status, want := range map[string]scan.Reason{
		"SANE_STATUS_UNSUPPORTED":   scan.ReasonUnsupported,
		"SANE_STATUS_CANCELLED":     scan.ReasonCanceledByUser,
		"SANE_STATUS_DEVICE_BUSY":   scan.ReasonBusyOther,
		"SANE_STATUS_INVAL":         scan.ReasonUnsupported,
		"SANE_STATUS_EOF":           scan.ReasonShortPage,
		"SANE_STATUS_JAMMED":        scan.ReasonJam,
		"SANE_STATUS_NO_DOCS":       scan.ReasonFeederEmpty,
		"SANE_STATUS_COVER_OPEN":    scan.ReasonCoverOpen,
		"SANE_STATUS_IO_ERROR":      scan.ReasonDeviceError,
		"SANE_STATUS_NO_MEM":        scan.ReasonDeviceError,
		"SANE_STATUS_ACCESS_DENIED": scan.ReasonAccessDenied,
	} {
		s.Faults = append(s.Faults, drivertest.Fault{Name: status, Options: map[string]string{"read-return-value": status}, Want: want})
	}
	drivertest.Run(t, s)
}

// TestSIGTERM shows that a node still hears SIGTERM after a scan: back ends take it for
// themselves, in their own process.
func TestSIGTERM(t *testing.T) {
	worker, caps := open(t, workers(t))
	settings, err := caps.Resolve(scan.Settings{Resolution: 50})
	if err != nil {
		t.Fatal(err)
	}
	if err := worker.Scan(t.Context(), settings, new(drivertest.Recorder)); err != nil {
		t.Fatal(err)
	}
	terminated := make(chan os.Signal, 1)
	signal.Notify(terminated, syscall.SIGTERM)
	defer signal.Stop(terminated)
	if err := syscall.Kill(os.Getpid(), syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	select {
	case <-terminated:
	case <-time.After(5 * time.Second):
		t.Error("SIGTERM did not arrive")
	}
}
