//go:build unix

package sane_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"image"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/drivertest"
	"github.com/platen-scan/platen/proto/scan"
)

// scanimage runs the reference. It hangs at its exit now and then; then it is run again.
func scanimage(t *testing.T, args ...string) []byte {
	t.Helper()
	for range 5 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Second)
		cmd := exec.CommandContext(ctx, "scanimage", append([]string{"-d", "test:0"}, args...)...)
		var stderr bytes.Buffer
		cmd.Stderr = &stderr
		out, err := cmd.Output()
		hung := ctx.Err() != nil
		cancel()
		switch {
		case err == nil:
			return out
		case errors.Is(err, exec.ErrNotFound):
			t.Fatal("this test needs scanimage: sudo apt install sane-utils")
		case !hung:
			t.Fatalf("scanimage %q: %v\n%s", args, err, stderr.String())
		}
	}
	t.Fatalf("scanimage %q hung five times", args)
	return nil
}

// raster is a page in samples, as PNM files hold it: set bits are black.
type raster struct {
	width, height, channels, depth int
	data                           []byte
}

// parsePNM reads a binary PBM, PGM or PPM file as scanimage writes them.
func parsePNM(t *testing.T, b []byte) raster {
	t.Helper()
	magic, rest := b[:2], b[2:]
	fields := 3
	r := raster{channels: 1, depth: 8}
	switch string(magic) {
	case "P4":
		fields, r.depth = 2, 1
	case "P5":
	case "P6":
		r.channels = 3
	default:
		t.Fatalf("no PNM file: it begins with %q", magic)
	}
	var numbers []int
	for len(numbers) < fields {
		rest = bytes.TrimLeft(rest, " \n")
		if rest[0] == '#' {
			rest = rest[bytes.IndexByte(rest, '\n'):]
			continue
		}
		end := bytes.IndexAny(rest, " \n")
		n, err := strconv.Atoi(string(rest[:end]))
		if err != nil {
			t.Fatal(err)
		}
		numbers, rest = append(numbers, n), rest[end:]
	}
	r.width, r.height, r.data = numbers[0], numbers[1], rest[1:]
	if fields == 3 && numbers[2] > 255 {
		r.depth = 16
	}
	return r
}

// rasterOf is a decoded PNG in the same form.
func rasterOf(t *testing.T, p *drivertest.Page) raster {
	t.Helper()
	img := p.Decode(t)
	size := img.Bounds().Size()
	r := raster{width: size.X, height: size.Y, channels: 1, depth: p.Info.Depth}
	switch img := img.(type) {
	case *image.Gray:
		for y := range size.Y {
			row := img.Pix[y*img.Stride:][:size.X]
			if r.depth == 1 {
				row = packRow(row)
			}
			r.data = append(r.data, row...)
		}
	case *image.Gray16:
		r.data = img.Pix
	case *image.RGBA:
		r.channels = 3
		r.data = dropAlpha(img.Pix, 1)
	case *image.RGBA64:
		r.channels = 3
		r.data = dropAlpha(img.Pix, 2)
	default:
		t.Fatalf("a page decodes to %T", img)
	}
	return r
}

func packRow(gray []byte) []byte {
	row := make([]byte, (len(gray)+7)/8)
	for i, v := range gray {
		if v < 128 {
			row[i/8] |= 0x80 >> (i % 8)
		}
	}
	return row
}

func dropAlpha(pix []byte, sample int) []byte {
	out := make([]byte, 0, len(pix)/4*3)
	for ; len(pix) > 0; pix = pix[4*sample:] {
		out = append(out, pix[:3*sample]...)
	}
	return out
}

func compare(t *testing.T, got, want raster) {
	t.Helper()
	// With padded rows scanimage writes the padding into the file.
	stride := (want.width*want.channels*want.depth + 7) / 8
	if padded := len(want.data) / want.height; padded > stride {
		var data []byte
		for row := range slices.Chunk(want.data, padded) {
			data = append(data, row[:stride]...)
		}
		want.data = data
	}
	if want.depth == 1 {
		maskPadding(want)
	}
	a, b := got, want
	a.data, b.data = nil, nil
	if fmt.Sprint(a) != fmt.Sprint(b) {
		t.Fatalf("page is %+v, scanimage wrote %+v", a, b)
	}
	if len(got.data) != len(want.data) {
		t.Fatalf("page has %d bytes of pixels, scanimage wrote %d", len(got.data), len(want.data))
	}
	for i := range got.data {
		if got.data[i] != want.data[i] {
			t.Fatalf("byte %d of %d is %#x, scanimage wrote %#x", i, len(got.data), got.data[i], want.data[i])
		}
	}
}

// maskPadding clears what is beyond the last pixel of each row.
func maskPadding(r raster) {
	if extra := r.width % 8; extra != 0 {
		stride := (r.width + 7) / 8
		for y := range r.height {
			r.data[(y+1)*stride-1] &= 0xff << (8 - extra)
		}
	}
}

// open opens the test device.
func open(t testing.TB, w *driver.Workers) (*driver.Worker, scan.Capabilities) {
	t.Helper()
	devices, err := w.Devices(t.Context(), "sane")
	if err != nil || len(devices) != 1 {
		t.Fatalf("Devices() = %v, %v", devices, err)
	}
	worker, err := w.Open(t.Context(), devices[0])
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { worker.Close() })
	caps, err := worker.Capabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return worker, caps
}

// TestPixels compares pages with what scanimage makes of the same options.
func TestPixels(t *testing.T) {
	w := workers(t)
	worker, caps := open(t, w)
	type options = map[string]string
	mode := map[scan.ColorMode]string{scan.ModeColor: "Color", scan.ModeGray: "Gray", scan.ModeLineart: "Gray"}
	for _, test := range []struct {
		mode    scan.ColorMode
		depth   int
		dpi     []int
		region  scan.Region
		options options
		plain   bool // scanimage cannot do the options; it makes the same page without
	}{
		{mode: scan.ModeLineart, depth: 1, dpi: []int{50, 100, 151, 300, 600}},
		{mode: scan.ModeGray, depth: 8, dpi: []int{50, 75, 151, 300}},
		{mode: scan.ModeGray, depth: 16, dpi: []int{50, 150, 300}},
		{mode: scan.ModeColor, depth: 8, dpi: []int{50, 75, 151, 300}},
		{mode: scan.ModeColor, depth: 16, dpi: []int{50, 150}},
		{mode: scan.ModeColor, depth: 8, dpi: []int{600}, region: scan.Region{X: 30, Y: 12, Width: 33, Height: 44}},
		{mode: scan.ModeLineart, depth: 1, dpi: []int{1200}, region: scan.Region{X: 7, Y: 101, Width: 50, Height: 20}},
		{mode: scan.ModeColor, depth: 8, dpi: []int{100}, options: options{"three-pass": "yes"}},
		{mode: scan.ModeColor, depth: 16, dpi: []int{100}, options: options{"three-pass": "yes", "three-pass-order": "BGR"}, plain: true},
		{mode: scan.ModeColor, depth: 8, dpi: []int{150}, options: options{"three-pass": "yes", "three-pass-order": "GRB"}},
		{mode: scan.ModeColor, depth: 8, dpi: []int{500}, options: options{"three-pass": "yes", "three-pass-order": "RBG"}},
		{mode: scan.ModeGray, depth: 8, dpi: []int{100}, options: options{"hand-scanner": "yes"}},
		{mode: scan.ModeColor, depth: 16, dpi: []int{75}, options: options{"hand-scanner": "yes"}},
		{mode: scan.ModeLineart, depth: 1, dpi: []int{200}, options: options{"hand-scanner": "yes"}},
		{mode: scan.ModeGray, depth: 16, dpi: []int{75}, options: options{"invert-endianess": "yes"}},
		{mode: scan.ModeColor, depth: 8, dpi: []int{75}, options: options{"ppl-loss": "17"}},
		{mode: scan.ModeGray, depth: 16, dpi: []int{75}, options: options{"ppl-loss": "3"}},
		{mode: scan.ModeLineart, depth: 1, dpi: []int{75}, options: options{"ppl-loss": "5"}},
		{mode: scan.ModeColor, depth: 16, dpi: []int{75}, options: options{"read-limit": "yes", "read-limit-size": "7"}},
		{mode: scan.ModeColor, depth: 8, dpi: []int{75}, options: options{"read-limit": "yes", "read-limit-size": "1001", "three-pass": "yes"}},
		{mode: scan.ModeGray, depth: 8, dpi: []int{75}, options: options{"fuzzy-parameters": "yes"}},
		{mode: scan.ModeGray, depth: 8, dpi: []int{75}, options: options{"test-picture": "Grid"}},
		{mode: scan.ModeColor, depth: 8, dpi: []int{75}, options: options{"non-blocking": "yes", "select-fd": "yes"}},
	} {
		for _, dpi := range test.dpi {
			t.Run(fmt.Sprintf("%s-%d-%d-%v", test.mode, test.depth, dpi, test.options), func(t *testing.T) {
				if test.region == (scan.Region{}) {
					test.region = scan.Region{Width: 101, Height: 80}
				}
				settings, err := caps.Resolve(scan.Settings{
					Mode: test.mode, Depth: test.depth, Resolution: dpi, Format: scan.FormatPNG, Region: &test.region, Options: test.options,
				})
				if err != nil {
					t.Fatal(err)
				}
				var sink drivertest.Recorder
				if err := worker.Scan(t.Context(), settings, &sink); err != nil {
					t.Fatalf("Scan() = %v", err)
				}
				args := []string{
					"--mode", mode[test.mode], "--depth", strconv.Itoa(test.depth), "--resolution", strconv.Itoa(dpi),
					"-l", number(test.region.X), "-t", number(test.region.Y), "-x", number(test.region.Width), "-y", number(test.region.Height),
				}
				if test.plain {
					test.options = nil
				}
				for _, name := range []string{"read-limit", "three-pass"} { // these make others settable
					if v, ok := test.options[name]; ok {
						args = append(args, "--"+name+"="+v)
					}
				}
				for name, value := range test.options {
					if name != "read-limit" && name != "three-pass" {
						args = append(args, "--"+name+"="+value)
					}
				}
				compare(t, rasterOf(t, sink.Committed()[0]), parsePNM(t, scanimage(t, args...)))
			})
		}
	}
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// TestWholeArea compares a page of which no region was asked.
func TestWholeArea(t *testing.T) {
	worker, caps := open(t, workers(t))
	settings, err := caps.Resolve(scan.Settings{Resolution: 75, Format: scan.FormatPNG, Region: &scan.Region{Width: 210, Height: 297}})
	if err != nil {
		t.Fatal(err)
	}
	var sink drivertest.Recorder
	if err := worker.Scan(t.Context(), settings, &sink); err != nil {
		t.Fatal(err)
	}
	compare(t, rasterOf(t, sink.Committed()[0]), parsePNM(t, scanimage(t, "--resolution", "75")))
}

// TestFeederPixels compares a batch.
func TestFeederPixels(t *testing.T) {
	worker, caps := open(t, workers(t))
	settings, err := caps.Resolve(scan.Settings{
		Source: scan.SourceADF, Mode: scan.ModeColor, Resolution: 60, Format: scan.FormatPNG, Region: &scan.Region{Width: 210, Height: 297},
	})
	if err != nil {
		t.Fatal(err)
	}
	var sink drivertest.Recorder
	if err := worker.Scan(t.Context(), settings, &sink); err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	scanimage(t, "--source", "Automatic Document Feeder", "--resolution", "60", "--batch="+filepath.Join(dir, "p%d"))
	pages := sink.Committed()
	if len(pages) != 10 {
		t.Fatalf("%d pages, want 10", len(pages))
	}
	for i, p := range pages {
		b, err := os.ReadFile(filepath.Join(dir, fmt.Sprintf("p%d", i+1)))
		if err != nil {
			t.Fatal(err)
		}
		compare(t, rasterOf(t, p), parsePNM(t, b))
	}
}
