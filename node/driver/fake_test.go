//go:build unix

package driver_test

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/drivertest"
	"github.com/platen-scan/platen/node/driver/virtual"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// TestMain is a worker program too, and a node and some bad programs.
func TestMain(m *testing.M) {
	if args := os.Args[1:]; driver.IsWorker(args) {
		os.Exit(worker(args))
	}
	switch os.Getenv("DRIVER_TEST_PROGRAM") {
	case "node":
		os.Exit(node())
	case "scanning node":
		os.Exit(scanningNode())
	}
	os.Exit(m.Run())
}

func worker(args []string) int {
	switch os.Getenv("DRIVER_TEST_PROGRAM") {
	case "mute":
		select {}
	case "dying":
		panic("no worker today")
	case "nonsense":
		fmt.Println("Segmentation fault, but on standard output")
		select {}
	case "future":
		hello := `{"hello":{"version":99}}`
		os.Stdout.WriteString("\x01\x00\x00" + string(rune(len(hello))) + hello)
		select {}
	}
	return driver.WorkerMain(args, []driver.Driver{virtual.New(), fake{}}, imaging.Codecs{})
}

// node opens a worker, tells its process and waits to be killed.
func node() int {
	w, err := open(context.Background(), workers(nil), "pid")
	if err != nil {
		fmt.Println(err)
		return 1
	}
	st, err := w.Status(context.Background())
	fmt.Println(st.Job, err)
	select {}
}

// scanningNode scans a page at the pace of a real scanner, and tells when it begins to come.
func scanningNode() int {
	set := workers(nil)
	set.Limits = driver.Limits{Silent: 2 * time.Second}
	w, err := set.Open(context.Background(), driver.DeviceInfo{Driver: "virtual", Name: "virtual:0"})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer w.Close()
	caps, err := w.Capabilities(context.Background())
	if err != nil {
		fmt.Println(err)
		return 1
	}
	settings, err := caps.Resolve(scan.Settings{Resolution: 300, Options: map[string]string{"pace": "real"}})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	begun := sync.OnceFunc(func() { fmt.Println("begun") })
	if err := w.Scan(context.Background(), settings, countingSink(begun)); err != nil {
		fmt.Println(err)
		return 1
	}
	return 0
}

// quickExit keeps workers under the race detector from sleeping a second at their end.
const quickExit = "GORACE=atexit_sleep_ms=0"

// workers are this test's own program.
func workers(t *testing.T) *driver.Workers {
	self, err := os.Executable()
	if err != nil {
		if t == nil {
			panic(err)
		}
		t.Fatal(err)
	}
	return &driver.Workers{Path: self, Env: []string{quickExit}}
}

func open(ctx context.Context, w *driver.Workers, name string) (*driver.Worker, error) {
	return w.Open(ctx, driver.DeviceInfo{Driver: "fake", Name: name, Title: "fake " + name})
}

// mustOpen opens a device of the fake driver for the length of the test.
func mustOpen(t *testing.T, w *driver.Workers, name string) *driver.Worker {
	t.Helper()
	worker, err := open(t.Context(), w, name)
	if err != nil {
		t.Fatalf("Open(%s) = %v", name, err)
	}
	t.Cleanup(func() { worker.Close() })
	return worker
}

// fake is a driver whose devices behave as their names say.
type fake struct{}

func (fake) Name() string { return "fake" }

func (fake) Devices(ctx context.Context) ([]driver.DeviceInfo, error) {
	// A worker that tries to have a worker.
	_, err := workers(nil).Devices(ctx, "virtual")
	return []driver.DeviceInfo{{Name: "nested", Stable: "nested", Title: fmt.Sprint(err)}}, nil
}

func (fake) Open(_ context.Context, name string) (driver.Device, error) {
	d := &fakeDevice{name: name, unblock: make(chan struct{}), info: driver.PageInfo{Mode: scan.ModeGray, Depth: 8, Width: 1000, Height: 3000, Resolution: 100}}
	switch name {
	case "stuck-open":
		select {}
	case "noisy":
		fmt.Println("[fake] opening")
		syscall.Write(1, bytes.Repeat([]byte("[fake] a back end that prints\n"), 100))
	case "flood":
		fmt.Fprint(os.Stderr, strings.Repeat("too much\n", 100_000))
		fmt.Fprintln(os.Stderr, strings.Repeat("a long line ", 100_000))
	case "huge":
		d.info.Width, d.info.Height = 65_000, 65_000
	case "wide":
		d.info.Width = 1 << 30
	case "unknown-height":
		d.info.Height = 0
	}
	return d, nil
}

type fakeDevice struct {
	name    string
	info    driver.PageInfo
	pages   int
	sent    int
	unblock chan struct{}
}

func (d *fakeDevice) Capabilities(context.Context) (scan.Capabilities, error) {
	if d.name == "slow-capabilities" {
		time.Sleep(time.Second) // a device that is slow, not a test that waits
	}
	if d.name == "stuck" {
		select {}
	}
	return scan.Capabilities{Formats: []scan.Format{scan.FormatPNG}}, nil
}

func (d *fakeDevice) Status(context.Context) (scan.Status, error) {
	return scan.Status{State: scan.ScannerIdle, Job: fmt.Sprint(os.Getpid())}, nil
}

func (d *fakeDevice) Begin(context.Context, scan.Settings) error {
	d.pages = 0
	return nil
}

func (d *fakeDevice) NextPage(context.Context) (driver.PageInfo, error) {
	if d.pages++; d.pages > 3 {
		return driver.PageInfo{}, io.EOF
	}
	d.sent = 0
	return d.info, nil
}

// size is how many bytes the present page really has.
func (d *fakeDevice) size() int {
	announced := d.info.Image().Stride() * d.info.Height
	switch d.name {
	case "short":
		return announced - d.info.Image().Stride()
	case "part-of-a-row":
		return announced - 1
	case "long":
		return announced + d.info.Image().Stride()
	case "empty":
		return 0
	case "unknown-height":
		return 777 * d.info.Image().Stride()
	}
	return announced
}

func (d *fakeDevice) Read(p []byte) (int, error) {
	n := min(len(p), d.size()-d.sent, 7001)
	switch {
	case n == 0:
		return 0, io.EOF
	case d.name == "stuck" && d.sent > 2_000_000:
		<-d.unblock // and Cancel, too, leaves it so
	case d.name == "hangs" && d.sent > 2_000_000:
		<-d.unblock
		return 0, context.Canceled
	}
	for i := range p[:n] {
		p[i] = byte(uint32(d.sent+i) * 2654435761 >> 16) // does not compress
	}
	d.sent += n
	return n, nil
}

func (d *fakeDevice) Cancel() {
	if d.name == "hangs" {
		close(d.unblock)
	}
}

func (d *fakeDevice) End() error { return nil }

func (d *fakeDevice) Close() error {
	if d.name == "stuck-close" {
		select {}
	}
	return nil
}

var quick = scan.Settings{Source: scan.SourceADF, Format: scan.FormatPNG, Pages: 1}

// countingSink calls f with each piece of a page.
func countingSink(f func()) *drivertest.Recorder {
	return &drivertest.Recorder{OnWrite: func(int, int) error { f(); return nil }}
}
