//go:build unix

package sane_test

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"net/netip"
	"os"
	"os/signal"
	"path/filepath"
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

// TestAirscan lists what the back end airscan, without being contacted, tells of devices
// at addresses: a node must neither find its own scanners nor share what the network has.
func TestAirscan(t *testing.T) {
	w := workers(t)
	dir := t.TempDir()
	devices := `"USB" = http://127.0.0.1:60000/eSCL, eSCL
"Six" = http://[2001:db8::77]/eSCL, eSCL
"Far" = http://192.0.2.77/eSCL, eSCL
`
	own, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for i, a := range own {
		if ip := netip.MustParsePrefix(a.String()).Addr(); !ip.IsLoopback() && !ip.IsLinkLocalUnicast() {
			devices += fmt.Sprintf("\"Own %d\" = http://%s/eSCL, eSCL\n", i, netip.AddrPortFrom(ip, 18630))
		}
	}
	for name, text := range map[string]string{
		"dll.conf": "airscan\n", "airscan.conf": "[devices]\n" + devices + "[options]\ndiscovery = disable\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv("SANE_CONFIG_DIR", dir)
	infos, err := w.Devices(t.Context(), "sane")
	if err != nil {
		t.Fatal(err)
	}
	network := map[string]bool{}
	for _, info := range infos {
		network[info.Model] = info.Network
	}
	if want := map[string]bool{"USB": false, "Six": true, "Far": true}; !maps.Equal(network, want) {
		t.Errorf("devices and whether the network has them = %v, want %v (is sane-airscan installed?)", network, want)
	}
}
