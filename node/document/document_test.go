package document

import (
	"bytes"
	"context"
	"errors"
	"image"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stored is a page with what is in its file.
type stored struct {
	page Page
	file []byte
	raw  []byte // rows that were encoded
	img  imaging.Image
}

type nopCloser struct{ *bytes.Reader }

func (nopCloser) Close() error { return nil }

func opener(file []byte) func() (io.ReadSeekCloser, error) {
	return func() (io.ReadSeekCloser, error) { return nopCloser{bytes.NewReader(file)}, nil }
}

// makePage encodes a page with gradients, edges and values that need all their bits.
func makePage(t testing.TB, format scan.Format, mode scan.ColorMode, depth int, size image.Point, resolution, rotate int) stored {
	t.Helper()
	img := imaging.Image{Mode: mode, Depth: depth, Width: size.X, Height: size.Y, Resolution: resolution}
	raw := make([]byte, img.Stride()*img.Height)
	for i := range raw {
		x, y := i%img.Stride(), i/img.Stride()
		raw[i] = byte(x*7/3 + y*5 + x/16%2*y/16%2*120)
		if depth == 1 && x == img.Stride()-1 && img.Width%8 != 0 {
			raw[i] &= 0xff << (8 - img.Width%8)
		}
	}
	var b bytes.Buffer
	e, err := imaging.NewEncoder(&b, img, format, 0, imaging.Codecs{})
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(e.WriteRows(raw), e.Close()); err != nil {
		t.Fatal(err)
	}
	return stored{file: b.Bytes(), raw: raw, img: img, page: Page{
		Open: opener(b.Bytes()), Format: format, Mode: mode, Depth: depth,
		Width: img.Width, Height: img.Height, Resolution: resolution, Rotate: rotate,
	}}
}

// samplePages are pages of every kind, of sizes that end within bytes and MCUs.
func samplePages(t testing.TB) []stored {
	return []stored{
		makePage(t, scan.FormatJPEG, scan.ModeColor, 8, image.Pt(211, 307), 300, 0),
		makePage(t, scan.FormatJPEG, scan.ModeGray, 8, image.Pt(203, 101), 600, 90),
		makePage(t, scan.FormatPNG, scan.ModeLineart, 1, image.Pt(413, 299), 300, 180),
		makePage(t, scan.FormatPNG, scan.ModeGray, 8, image.Pt(97, 61), 75, 270),
		makePage(t, scan.FormatPNG, scan.ModeGray, 16, image.Pt(97, 61), 200, 0),
		makePage(t, scan.FormatPNG, scan.ModeColor, 8, image.Pt(333, 577), 150, 0),
		makePage(t, scan.FormatPNG, scan.ModeColor, 16, image.Pt(64, 64), 1200, 0),
	}
}

func pagesOf(all []stored) []Page {
	pages := make([]Page, len(all))
	for i, s := range all {
		pages[i] = s.page
	}
	return pages
}

var sampleMeta = Meta{Title: `Scan (1) \ 22`, Created: time.Date(2026, 11, 22, 1, 37, 42, 0, time.UTC)}

// writers are the three functions of the package.
var writers = map[string]func(context.Context, io.Writer, Meta, []Page) error{"PDF": WritePDF, "TIFF": WriteTIFF, "ZIP": WriteZIP}

// tool runs a program that these tests need.
func tool(t *testing.T, name string, args ...string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		t.Fatalf("this test needs %s (Debian: qpdf, poppler-utils): %v", name, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	out, err := exec.CommandContext(ctx, path, args...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

func save(t *testing.T, name string, write func(w io.Writer) error) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), name)
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(write(f), f.Close()); err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDeterministic(t *testing.T) {
	pages := pagesOf(samplePages(t))
	for name, write := range writers {
		var a, b bytes.Buffer
		if err := errors.Join(write(t.Context(), &a, sampleMeta, pages), write(t.Context(), &b, sampleMeta, pages)); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if !bytes.Equal(a.Bytes(), b.Bytes()) {
			t.Errorf("%s: the same pages gave different files", name)
		}
	}
}

// TestRefusedBeforeTheFirstByte: what can be known before is told before, and so a
// client gets an error and not half a file.
func TestRefusedBeforeTheFirstByte(t *testing.T) {
	good := samplePages(t)
	jpeg, png := good[0], good[5]
	damaged := bytes.Clone(png.file)
	damaged[len(damaged)/2] ^= 1
	missing := errors.New("no such file")
	for _, c := range []struct {
		name    string
		change  func(p *Page)
		want    error
		formats string
	}{
		{"another width", func(p *Page) { p.Width++ }, ErrMismatch, "PDF TIFF ZIP"},
		{"another depth", func(p *Page) { p.Depth = 16 }, ErrMismatch, "PDF TIFF ZIP"},
		{"another mode", func(p *Page) { p.Mode = scan.ModeGray }, ErrMismatch, "PDF TIFF ZIP"},
		{"odd rotation", func(p *Page) { p.Rotate = 45 }, imaging.ErrUnsupported, "PDF TIFF ZIP"},
		{"no master format", func(p *Page) { p.Format = scan.FormatTIFF }, imaging.ErrUnsupported, "PDF TIFF ZIP"},
		{"PNG for JPEG", func(p *Page) { p.Open = opener(png.file) }, imaging.ErrDamaged, "PDF TIFF ZIP"},
		{"empty", func(p *Page) { p.Open = opener(nil) }, imaging.ErrDamaged, "PDF TIFF ZIP"},
		{"missing", func(p *Page) { p.Open = func() (io.ReadSeekCloser, error) { return nil, missing } }, missing, "PDF TIFF ZIP"},
		{"damaged PNG", func(p *Page) { *p = png.page; p.Open = opener(damaged) }, imaging.ErrDamaged, "PDF"},
	} {
		for name, write := range writers {
			if !strings.Contains(c.formats, name) {
				continue
			}
			pages := []Page{good[1].page, jpeg.page}
			c.change(&pages[1])
			var b bytes.Buffer
			if err := write(t.Context(), &b, sampleMeta, pages); !errors.Is(err, c.want) {
				t.Errorf("%s, %s: %v, want %v", name, c.name, err, c.want)
			}
			if b.Len() > 0 {
				t.Errorf("%s, %s: %d bytes were written", name, c.name, b.Len())
			}
		}
	}
	for name, write := range writers {
		if err := write(t.Context(), io.Discard, sampleMeta, nil); !errors.Is(err, ErrNoPages) {
			t.Errorf("%s without pages = %v, want %v", name, err, ErrNoPages)
		}
	}
}

// TestChangedFile: a file that changes between the look and the copy spoils the
// document loudly.
func TestChangedFile(t *testing.T) {
	for _, s := range samplePages(t) {
		for name, write := range writers {
			for _, second := range [][]byte{s.file[:len(s.file)-20], append(bytes.Clone(s.file), 0)} {
				if s.page.Format == scan.FormatPNG && name != "ZIP" && len(second) > len(s.file) {
					continue // bytes behind the end of a PNG file are not part of the page
				}
				p, opened := s.page, 0
				p.Open = func() (io.ReadSeekCloser, error) {
					if opened++; opened > 1 {
						return opener(second)()
					}
					return opener(s.file)()
				}
				if err := write(t.Context(), io.Discard, sampleMeta, []Page{p}); err == nil {
					t.Errorf("%s of a %s page that grew by %d bytes = nil, want an error", name, p.Format, len(second)-len(s.file))
				}
			}
		}
	}
}

func TestCancel(t *testing.T) {
	pages := pagesOf(samplePages(t))
	for name, write := range writers {
		whole := &countdown{}
		if err := write(t.Context(), whole, sampleMeta, pages); err != nil {
			t.Fatal(err)
		}
		for _, after := range []int{0, 1, whole.writes / 2} {
			ctx, cancel := context.WithCancel(t.Context())
			w := &countdown{left: after, cancel: cancel}
			if after == 0 {
				cancel()
			}
			err := write(ctx, w, sampleMeta, pages)
			cancel()
			if !errors.Is(err, context.Canceled) {
				t.Errorf("%s canceled after %d of %d writes = %v, want %v", name, after, whole.writes, err, context.Canceled)
			}
		}
	}
}

// countdown cancels at a write.
type countdown struct {
	writes, left int
	cancel       func()
}

func (c *countdown) Write(p []byte) (int, error) {
	c.writes++
	if c.left--; c.left == 0 {
		c.cancel()
	}
	return len(p), nil
}

func TestWriterErrors(t *testing.T) {
	pages := pagesOf(samplePages(t))
	for name, write := range writers {
		var whole bytes.Buffer
		if err := write(t.Context(), &whole, sampleMeta, pages); err != nil {
			t.Fatal(err)
		}
		for _, room := range []int{0, 100, whole.Len() / 2, whole.Len() - 1} {
			if err := write(t.Context(), &failAfter{room}, sampleMeta, pages); !errors.Is(err, errFull) {
				t.Errorf("%s with room for %d of %d bytes = %v, want %v", name, room, whole.Len(), err, errFull)
			}
		}
	}
}

type failAfter struct{ n int }

var errFull = errors.New("no room")

func (f *failAfter) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

// FuzzDocument: no master, however damaged, does more than give an error.
func FuzzDocument(f *testing.F) {
	for _, s := range samplePages(f) {
		f.Add(s.file)
	}
	f.Fuzz(func(t *testing.T, file []byte) {
		page := Page{Open: opener(file), Format: scan.FormatJPEG}
		if h, err := imaging.ReadJPEGHeader(bytes.NewReader(file)); err == nil {
			img, err := h.Image()
			if err != nil {
				return
			}
			page.Mode, page.Depth, page.Width, page.Height = img.Mode, img.Depth, img.Width, img.Height
		} else if png, err := imaging.NewPNGReader(bytes.NewReader(file)); err == nil {
			img := png.Image()
			page.Format, page.Mode, page.Depth, page.Width, page.Height = scan.FormatPNG, img.Mode, img.Depth, img.Width, img.Height
		}
		if page.Width*page.Height > 1<<18 {
			return
		}
		for name, write := range writers {
			var b bytes.Buffer
			if err := write(context.Background(), &b, Meta{}, []Page{page}); err == nil && b.Len() < len("%PDF-1.7") {
				t.Errorf("%s: no error and %d bytes", name, b.Len())
			}
		}
	})
}
