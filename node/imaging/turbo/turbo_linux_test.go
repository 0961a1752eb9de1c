//go:build linux && (amd64 || arm64)

package turbo

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"io"
	"runtime"
	"strings"
	"sync"
	"testing"
	"unsafe"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// loaded loads the library, which tests of this package need.
var loaded = sync.OnceValues(func() (*library, error) { return load(soname) })

func codecs(tb testing.TB) imaging.Codecs {
	tb.Helper()
	lib, err := loaded()
	if err != nil {
		tb.Fatalf("these tests need %s (Debian: libjpeg62-turbo): %v", soname, err)
	}
	return codecsOf(lib)
}

// page is rows with gradients and edges.
func page(img imaging.Image) []byte {
	raw := make([]byte, img.Stride()*img.Height)
	ch := img.Channels()
	for i := range raw {
		x, y, c := i%img.Stride()/ch, i/img.Stride(), i%ch
		raw[i] = byte(x/3*(c+1) + y/2 + x/40%2*y/64%2*90)
	}
	return raw
}

func encode(tb testing.TB, img imaging.Image, raw []byte, batch int, c imaging.Codecs) ([]byte, imaging.Encoder) {
	tb.Helper()
	var b bytes.Buffer
	e, err := imaging.NewEncoder(&b, img, scan.FormatJPEG, 90, c)
	if err != nil {
		tb.Fatal(err)
	}
	for step := batch * img.Stride(); len(raw) > 0; raw = raw[min(step, len(raw)):] {
		if err := e.WriteRows(raw[:min(step, len(raw))]); err != nil {
			tb.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		tb.Fatal(err)
	}
	return b.Bytes(), e
}

func decode(t *testing.T, file []byte) image.Image {
	t.Helper()
	m, err := jpeg.Decode(bytes.NewReader(file))
	if err != nil {
		t.Fatalf("jpeg.Decode: %v", err)
	}
	return m
}

var sizes = []image.Point{{1, 1}, {7, 5}, {8, 16}, {16, 8}, {17, 33}, {100, 160}, {333, 577}}

func images() (all []imaging.Image) {
	for _, mode := range []scan.ColorMode{scan.ModeGray, scan.ModeColor} {
		for _, size := range sizes {
			all = append(all, imaging.Image{Mode: mode, Depth: 8, Width: size.X, Height: size.Y, Resolution: 300})
		}
	}
	return all
}

func name(img imaging.Image) string { return fmt.Sprintf("%s-%dx%d", img.Mode, img.Width, img.Height) }

// TestPixels: the file shows the page about as well as one of the standard library.
func TestPixels(t *testing.T) {
	for _, img := range images() {
		t.Run(name(img), func(t *testing.T) {
			raw := page(img)
			file, e := encode(t, img, raw, 7, codecs(t))
			if _, _, ok := e.Patch(); ok {
				t.Error("Patch() has something to patch where the height was known")
			}
			h, err := imaging.ReadJPEGHeader(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			if found, err := h.Image(); err != nil || found != img {
				t.Errorf("header = %+v, %v, want %+v", found, err, img)
			}
			std, _ := encode(t, img, raw, 7, imaging.Codecs{})
			got, want := distance(decode(t, file), img, raw), distance(decode(t, std), img, raw)
			if got > want*1.2+1 {
				t.Errorf("mean square error = %.1f, the standard library's = %.1f", got, want)
			}
		})
	}
}

// distance is the mean square error of a decoded image against the rows.
func distance(m image.Image, img imaging.Image, raw []byte) float64 {
	sum := 0.0
	ch := img.Channels()
	for y := range img.Height {
		for x := range img.Width {
			r, g, b, _ := m.At(x, y).RGBA()
			got := [3]uint32{r, g, b}
			for c := range ch {
				d := float64(got[c]>>8) - float64(raw[(y*img.Width+x)*ch+c])
				sum += d * d
			}
		}
	}
	return sum / float64(len(raw))
}

// TestUnknownHeight: once patched, the file shows the very same as with a known height.
func TestUnknownHeight(t *testing.T) {
	for _, img := range images() {
		t.Run(name(img), func(t *testing.T) {
			raw := page(img)
			known, _ := encode(t, img, raw, 13, codecs(t))
			open := img
			open.Height = 0
			file, e := encode(t, open, raw, 13, codecs(t))
			offset, patch, ok := e.Patch()
			if !ok || e.Rows() != img.Height {
				t.Fatalf("Patch() = %v, Rows() = %d, want true, %d", ok, e.Rows(), img.Height)
			}
			copy(file[offset:], patch)
			if !bytes.Equal(pnm(t, file), pnm(t, known)) {
				t.Error("the patched file shows something else than that of a known height")
			}
		})
	}
}

// TestHighestPage: a page of unknown height that fills the limit ends well too.
func TestHighestPage(t *testing.T) {
	img := imaging.Image{Mode: scan.ModeGray, Depth: 8, Width: 3}
	for _, rows := range []int{imaging.MaxSide - 9, imaging.MaxSide} {
		file, e := encode(t, img, make([]byte, 3*rows), 1000, codecs(t))
		offset, patch, ok := e.Patch()
		if !ok {
			t.Fatal("nothing to patch")
		}
		copy(file[offset:], patch)
		if b := decode(t, file).Bounds(); b.Dy() != rows {
			t.Errorf("height = %d, want %d", b.Dy(), rows)
		}
	}
}

func pnm(t *testing.T, file []byte) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := imaging.Convert(bytes.NewReader(file), scan.FormatJPEG, imaging.Spec{Format: scan.FormatPNM}, &b); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// TestRestartMarkers: a rendition of a large page made here needs strips, not the page.
func TestRestartMarkers(t *testing.T) {
	img := imaging.Image{Mode: scan.ModeColor, Depth: 8, Width: 4000, Height: 4000}
	file, _ := encode(t, img, page(img), 100, codecs(t))
	var before, after runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	allocated := &watermark{start: before.HeapAlloc}
	if err := imaging.Convert(bytes.NewReader(file), scan.FormatJPEG, imaging.Spec{Format: scan.FormatPNM}, allocated); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if limit := uint64(4 * img.Stride() * 16 * 8); allocated.peak > limit {
		t.Errorf("heap grew by %d bytes, want at most %d", allocated.peak, limit)
	}
}

// watermark collects garbage and notes the live heap at some of the writes.
type watermark struct {
	start, peak uint64
	writes      int
}

func (w *watermark) Write(p []byte) (int, error) {
	if w.writes++; w.writes%50 == 0 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		w.peak = max(w.peak, m.HeapAlloc-min(m.HeapAlloc, w.start))
	}
	return len(p), nil
}

func TestRowsMustMatch(t *testing.T) {
	img := imaging.Image{Mode: scan.ModeColor, Depth: 8, Width: 10, Height: 20}
	for _, c := range []struct {
		name       string
		bytes      int
		write, end error
	}{
		{"whole", 600, nil, nil},
		{"one row short", 570, nil, imaging.ErrShort},
		{"none", 0, nil, imaging.ErrShort},
		{"one row long", 630, imaging.ErrLong, imaging.ErrShort},
	} {
		e, err := imaging.NewEncoder(io.Discard, img, scan.FormatJPEG, 0, codecs(t))
		if err != nil {
			t.Fatal(err)
		}
		if err := e.WriteRows(make([]byte, c.bytes)); !errors.Is(err, c.write) {
			t.Errorf("%s: WriteRows = %v, want %v", c.name, err, c.write)
		}
		if err := e.Close(); !errors.Is(err, c.end) {
			t.Errorf("%s: Close = %v, want %v", c.name, err, c.end)
		}
		if err := e.Close(); err != nil {
			t.Errorf("%s: second Close = %v, want nil", c.name, err)
		}
	}
}

type full struct{}

var errFull = errors.New("no room")

func (full) Write([]byte) (int, error) { return 0, errFull }

func TestWriterErrors(t *testing.T) {
	img := imaging.Image{Mode: scan.ModeGray, Depth: 8, Width: 100, Height: 100}
	e, err := imaging.NewEncoder(full{}, img, scan.FormatJPEG, 0, codecs(t))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 {
		if err := e.WriteRows(make([]byte, 5000)); !errors.Is(err, errFull) {
			t.Errorf("WriteRows = %v, want %v", err, errFull)
		}
	}
	if err := e.Close(); !errors.Is(err, errFull) {
		t.Errorf("Close = %v, want %v", err, errFull)
	}
}

// TestLibraryErrors: an error of the library is an error here, with its words, and
// neither ends the process nor harms what comes after. Image dimensions that the
// library refuses do not get past NewEncoder, so they are handed in behind it.
func TestLibraryErrors(t *testing.T) {
	codecs(t)
	lib, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	bad := imaging.Image{Mode: scan.ModeColor, Depth: 8, Width: imaging.MaxSide + 500, Height: 10}
	for range 200 {
		_, err := newEncoder(lib, io.Discard, bad, 80)
		if err == nil || !strings.Contains(err.Error(), "65500") {
			t.Fatalf("newEncoder(%d wide) = %v, want the library's words about 65500", bad.Width, err)
		}
		img := imaging.Image{Mode: scan.ModeColor, Depth: 8, Width: 30, Height: 20}
		file, _ := encode(t, img, page(img), 3, codecs(t))
		decode(t, file)
	}
	e, err := newEncoder(lib, io.Discard, imaging.Image{Mode: scan.ModeGray, Depth: 8, Width: 30, Height: 20}, 80)
	if err != nil {
		t.Fatal(err)
	}
	if err := e.call(lib.finish); err == nil { // too early
		t.Error("jpeg_finish_compress without rows: no error")
	}
	if err := e.free(); err != nil {
		t.Error(err)
	}
}

func TestWrongStructSize(t *testing.T) {
	codecs(t)
	lib, err := loaded()
	if err != nil {
		t.Fatal(err)
	}
	e, err := newEncoder(lib, io.Discard, imaging.Image{Mode: scan.ModeGray, Depth: 8, Width: 8, Height: 8}, 80)
	if err != nil {
		t.Fatal(err)
	}
	defer e.free()
	other, err := newEncoder(lib, io.Discard, e.img, 80)
	if err != nil {
		t.Fatal(err)
	}
	if err := other.free(); err != nil {
		t.Fatal(err)
	}
	if err := other.call(lib.createCompress, libVersion, unsafe.Sizeof(other.c)+8); err == nil {
		t.Error("jpeg_CreateCompress takes another size of its structure, want an error")
	}
	if err := other.call(lib.createCompress, 80, unsafe.Sizeof(other.c)); err == nil {
		t.Error("jpeg_CreateCompress takes another version, want an error")
	}
}

func TestMissingLibrary(t *testing.T) {
	if _, err := load("libnosuchjpeg.so.99"); err == nil || !strings.Contains(err.Error(), "libnosuchjpeg") {
		t.Errorf("load = %v, want an error that names the library", err)
	}
	if _, err := load("libc.so.6"); err == nil || !strings.Contains(err.Error(), "jpeg_std_error") {
		t.Errorf("load(libc) = %v, want an error that names the missing function", err)
	}
}

func TestParallelEncoders(t *testing.T) {
	img := imaging.Image{Mode: scan.ModeColor, Depth: 8, Width: 500, Height: 300}
	raw, c := page(img), codecs(t)
	want, _ := encode(t, img, raw, 10, c)
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			for range 5 {
				if got, _ := encode(t, img, raw, 10, c); !bytes.Equal(got, want) {
					t.Error("encoders side by side disturb each other")
				}
				runtime.GC()
			}
		})
	}
	all.Wait()
}

// TestMemory: what is allocated for a page of 209 MB is the encoder's buffers.
func TestMemory(t *testing.T) {
	img := imaging.Image{Mode: scan.ModeColor, Depth: 8, Width: 7016, Height: 9921, Resolution: 600}
	rows := page(imaging.Image{Mode: scan.ModeColor, Depth: 8, Width: 7016, Height: 9})
	c := codecs(t)
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	e, err := imaging.NewEncoder(io.Discard, img, scan.FormatJPEG, 0, c)
	if err != nil {
		t.Fatal(err)
	}
	for done := 0; done < img.Height; done += 9 {
		if err := e.WriteRows(rows[:min(9, img.Height-done)*img.Stride()]); err != nil {
			t.Fatal(err)
		}
	}
	if err := e.Close(); err != nil {
		t.Fatal(err)
	}
	runtime.ReadMemStats(&after)
	if got := after.TotalAlloc - before.TotalAlloc; got > 2<<20 {
		t.Errorf("%d bytes allocated, want at most 2 MiB", got)
	}
}

// TestFirstBytesLeaveEarly: the first row of MCUs is written when it is complete.
func TestFirstBytesLeaveEarly(t *testing.T) {
	img := imaging.Image{Mode: scan.ModeColor, Depth: 8, Width: 2480, Height: 3508}
	var b bytes.Buffer
	e, err := imaging.NewEncoder(&b, img, scan.FormatJPEG, 0, codecs(t))
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close() // too early, on purpose
	if err := e.WriteRows(make([]byte, 16*img.Stride())); err != nil {
		t.Fatal(err)
	}
	const header = 600
	if b.Len() < header {
		t.Errorf("%d bytes after the first row of MCUs, want the header and more", b.Len())
	}
}
