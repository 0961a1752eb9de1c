//go:build unix

package driver_test

import (
	"bytes"
	"context"
	"errors"
	"image"
	"os"
	"path/filepath"
	"testing"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/drivertest"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// pageFile scans a page and stores it.
func pageFile(t *testing.T) *os.File {
	t.Helper()
	w := mustOpen(t, workers(t), "plain")
	var sink drivertest.Recorder
	if err := w.Scan(t.Context(), quick, &sink); err != nil {
		t.Fatal(err)
	}
	f, err := os.Create(filepath.Join(t.TempDir(), "page"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if _, err := f.Write(sink.Committed()[0].Data); err != nil {
		t.Fatal(err)
	}
	return f
}

func TestConvert(t *testing.T) {
	src := pageFile(t)
	for range 2 { // the file's offset does not matter
		var out bytes.Buffer
		if err := workers(t).Convert(t.Context(), src, scan.FormatPNG, imaging.Spec{Format: scan.FormatJPEG, Width: 100}, &out); err != nil {
			t.Fatal(err)
		}
		img, format, err := image.Decode(&out)
		if err != nil || format != "jpeg" || img.Bounds().Dx() != 100 {
			t.Fatalf("a rendition 100 wide is %s, %v, %v", format, img.Bounds(), err)
		}
	}
	var here, there bytes.Buffer
	spec := imaging.Spec{Format: scan.FormatTIFF}
	if err := workers(t).Convert(t.Context(), src, scan.FormatPNG, spec, &there); err != nil {
		t.Fatal(err)
	}
	if _, err := src.Seek(0, 0); err != nil {
		t.Fatal(err)
	}
	if err := imaging.Convert(src, scan.FormatPNG, spec, &here); err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(here.Bytes(), there.Bytes()) {
		t.Error("a worker's rendition differs from one made in this process")
	}
}

func TestConvertFails(t *testing.T) {
	src := pageFile(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := workers(t).Convert(ctx, src, scan.FormatPNG, imaging.Spec{Format: scan.FormatPNM}, new(bytes.Buffer)); !errors.Is(err, context.Canceled) {
		t.Errorf("Convert() with a canceled context = %v", err)
	}
	full := errors.New("the disk is full")
	if err := workers(t).Convert(t.Context(), src, scan.FormatPNG, imaging.Spec{Format: scan.FormatPNM}, fullDisk{full}); !errors.Is(err, full) {
		t.Errorf("Convert() to a full disk = %v", err)
	}
	if err := src.Truncate(1000); err != nil {
		t.Fatal(err)
	}
	if err := workers(t).Convert(t.Context(), src, scan.FormatPNG, imaging.Spec{Format: scan.FormatPNM}, new(bytes.Buffer)); !errors.Is(err, driver.ErrConvert) {
		t.Errorf("Convert() of half a page = %v, want ErrConvert", err)
	}
}

type fullDisk struct{ err error }

func (f fullDisk) Write([]byte) (int, error) { return 0, f.err }

func TestFindWorkers(t *testing.T) {
	dir := t.TempDir()
	self := filepath.Join(dir, "platen")
	if got := driver.FindWorkers(self, "").Path; got != self {
		t.Errorf("FindWorkers() alone = %q, want %q", got, self)
	}
	beside := filepath.Join(dir, "platen-driver")
	if err := os.WriteFile(beside, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if got := driver.FindWorkers(self, "").Path; got != self {
		t.Errorf("FindWorkers() beside a file that is no program = %q, want %q", got, self)
	}
	if err := os.Chmod(beside, 0o700); err != nil {
		t.Fatal(err)
	}
	if got := driver.FindWorkers(self, "").Path; got != beside {
		t.Errorf("FindWorkers() = %q, want %q", got, beside)
	}
	if got := driver.FindWorkers(self, t.TempDir()).Path; got != self {
		t.Errorf("FindWorkers() in an empty folder = %q, want %q", got, self)
	}
}
