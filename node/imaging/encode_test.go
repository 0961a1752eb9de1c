package imaging

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"math/rand/v2"
	"runtime"
	"testing"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/proto/scan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// kinds are all the images that scanners make, without a size.
var kinds = []Image{
	{Mode: scan.ModeLineart, Depth: 1}, {Mode: scan.ModeGray, Depth: 8}, {Mode: scan.ModeGray, Depth: 16},
	{Mode: scan.ModeColor, Depth: 8}, {Mode: scan.ModeColor, Depth: 16},
}

// sizes meet the edges of bytes, MCUs and strips.
var sizes = []image.Point{{1, 1}, {7, 5}, {8, 16}, {16, 8}, {17, 33}, {100, 160}, {333, 577}}

func (i Image) sized(size image.Point, resolution int) Image {
	i.Width, i.Height, i.Resolution = size.X, size.Y, resolution
	return i
}

func (i Image) String() string {
	return fmt.Sprintf("%s%d-%dx%d", i.Mode, i.Depth, i.Width, i.Height)
}

// write encodes rows in uneven pieces.
func write(w io.Writer, img Image, format scan.Format, raw []byte) (Encoder, error) {
	e, err := NewEncoder(w, img, format, 0, Codecs{})
	if err != nil {
		return nil, err
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	for len(raw) > 0 {
		n := min((1+rnd.IntN(40))*img.Stride(), len(raw))
		if err := e.WriteRows(raw[:n]); err != nil {
			return e, errors.Join(err, e.Close())
		}
		raw = raw[n:]
	}
	return e, e.Close()
}

// sample is the value of a raw sample scaled to 16 bits, white for a clear lineart bit.
func sample(raw []byte, img Image, x, y, c int) uint32 {
	row := raw[y*img.Stride():]
	switch i := x*img.Channels() + c; img.Depth {
	case 1:
		return 0xffff * uint32(1-row[x/8]>>(7-x%8)&1)
	case 8:
		return uint32(row[i]) * 0x101
	default:
		return uint32(row[2*i])<<8 | uint32(row[2*i+1])
	}
}

// checkPixels compares a decoded image with raw rows, sample by sample.
func checkPixels(t *testing.T, m image.Image, img Image, raw []byte) {
	t.Helper()
	if b := m.Bounds(); b.Dx() != img.Width || b.Dy() != img.Height {
		t.Fatalf("decoded size = %v, want %d × %d", b, img.Width, img.Height)
	}
	for y := range img.Height {
		for x := range img.Width {
			r, g, b, _ := m.At(x, y).RGBA()
			want := [3]uint32{sample(raw, img, x, y, 0)}
			want[1], want[2] = want[0], want[0]
			if img.Channels() == 3 {
				want[1], want[2] = sample(raw, img, x, y, 1), sample(raw, img, x, y, 2)
			}
			if got := [3]uint32{r, g, b}; got != want {
				t.Fatalf("pixel %d, %d = %04x, want %04x", x, y, got, want)
			}
		}
	}
}

func TestPNGIsExact(t *testing.T) {
	for _, kind := range kinds {
		for _, size := range sizes {
			img := kind.sized(size, 300)
			t.Run(img.String(), func(t *testing.T) {
				raw := testPage(img)
				var b bytes.Buffer
				if _, err := write(&b, img, scan.FormatPNG, raw); err != nil {
					t.Fatal(err)
				}
				m, err := png.Decode(bytes.NewReader(b.Bytes()))
				if err != nil {
					t.Fatalf("png.Decode: %v", err)
				}
				checkPixels(t, m, img, raw)
				r, err := NewPNGReader(&b)
				if err != nil {
					t.Fatal(err)
				}
				if r.Image() != img {
					t.Errorf("NewPNGReader.Image() = %+v, want %+v", r.Image(), img)
				}
			})
		}
	}
}

// TestJPEGStripsJoin: joined strips decode to the very pixels that one encoding of the
// whole page gives.
func TestJPEGStripsJoin(t *testing.T) {
	for _, kind := range []Image{{Mode: scan.ModeGray, Depth: 8}, {Mode: scan.ModeColor, Depth: 8}} {
		for _, size := range sizes {
			img := kind.sized(size, 600)
			t.Run(img.String(), func(t *testing.T) {
				raw := testPage(img)
				var b, whole bytes.Buffer
				if _, err := write(&b, img, scan.FormatJPEG, raw); err != nil {
					t.Fatal(err)
				}
				got, err := jpeg.Decode(bytes.NewReader(b.Bytes()))
				if err != nil {
					t.Fatalf("jpeg.Decode: %v", err)
				}
				if err := jpeg.Encode(&whole, picture(img, raw), &jpeg.Options{Quality: DefaultQuality}); err != nil {
					t.Fatal(err)
				}
				want, err := jpeg.Decode(&whole)
				if err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(appendPixels(nil, got), appendPixels(nil, want)) {
					t.Error("the joined strips have other pixels than the whole page")
				}
				h, err := ReadJPEGHeader(&b)
				if err != nil {
					t.Fatal(err)
				}
				if found, err := h.Image(); err != nil || found != img {
					t.Errorf("ReadJPEGHeader.Image() = %+v, %v, want %+v", found, err, img)
				}
			})
		}
	}
}

// picture wraps 8 bit rows into an image.
func picture(img Image, raw []byte) image.Image {
	bounds := image.Rect(0, 0, img.Width, img.Height)
	if img.Channels() == 1 {
		return &image.Gray{Pix: raw, Stride: img.Stride(), Rect: bounds}
	}
	m := image.NewRGBA(bounds)
	for i := range img.Width * img.Height {
		copy(m.Pix[4*i:], []byte{raw[3*i], raw[3*i+1], raw[3*i+2], 0xff})
	}
	return m
}

// TestUnknownHeight: a page whose height comes last is, once patched, the file that it
// would have been.
func TestUnknownHeight(t *testing.T) {
	for _, kind := range kinds {
		for _, format := range []scan.Format{scan.FormatPNG, scan.FormatJPEG} {
			if format == scan.FormatJPEG && kind.Depth != 8 {
				continue
			}
			for _, size := range sizes {
				img := kind.sized(size, 300)
				t.Run(fmt.Sprintf("%s/%v", format, img), func(t *testing.T) {
					raw := testPage(img)
					open := img
					open.Height = 0
					var known, unknown bytes.Buffer
					e, err := write(&known, img, format, raw)
					if err != nil {
						t.Fatal(err)
					}
					if _, _, ok := e.Patch(); ok {
						t.Error("Patch() has something to patch where the height was known")
					}
					if e, err = write(&unknown, open, format, raw); err != nil {
						t.Fatal(err)
					}
					offset, patch, ok := e.Patch()
					if !ok {
						t.Fatal("Patch() has nothing to patch")
					}
					copy(unknown.Bytes()[offset:], patch)
					if !bytes.Equal(known.Bytes(), unknown.Bytes()) {
						t.Error("the patched file differs from that of a known height")
					}
					if e.Rows() != img.Height {
						t.Errorf("Rows() = %d, want %d", e.Rows(), img.Height)
					}
				})
			}
		}
	}
}

func TestRowsMustMatch(t *testing.T) {
	img := Image{Mode: scan.ModeColor, Depth: 8, Width: 10, Height: 20}
	for _, format := range []scan.Format{scan.FormatPNG, scan.FormatJPEG} {
		for _, c := range []struct {
			name       string
			bytes      int
			write, end error
		}{
			{"whole", 600, nil, nil},
			{"one row short", 570, nil, ErrShort},
			{"none", 0, nil, ErrShort},
			{"one row long", 630, ErrLong, ErrShort},
		} {
			e, err := NewEncoder(io.Discard, img, format, 0, Codecs{})
			if err != nil {
				t.Fatal(err)
			}
			if err := e.WriteRows(make([]byte, c.bytes)); !errors.Is(err, c.write) {
				t.Errorf("%s, %s: WriteRows = %v, want %v", format, c.name, err, c.write)
			}
			if err := e.Close(); !errors.Is(err, c.end) {
				t.Errorf("%s, %s: Close = %v, want %v", format, c.name, err, c.end)
			}
		}
		e, err := NewEncoder(io.Discard, img, format, 0, Codecs{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.WriteRows(make([]byte, 31)); err == nil {
			t.Errorf("%s: WriteRows of a row and a byte = nil, want an error", format)
		}
	}
}

func TestLimits(t *testing.T) {
	good := Image{Mode: scan.ModeColor, Depth: 16, Width: 100, Height: 100, Resolution: 300}
	for _, c := range []struct {
		name   string
		change func(*Image)
		want   error
	}{
		{"good", func(*Image) {}, nil},
		{"unknown height", func(i *Image) { i.Height = 0 }, nil},
		{"no width", func(i *Image) { i.Width = 0 }, ErrTooLarge},
		{"too wide", func(i *Image) { i.Width = MaxSide + 1 }, ErrTooLarge},
		{"too high", func(i *Image) { i.Height = MaxSide + 1 }, ErrTooLarge},
		{"too many bytes", func(i *Image) { i.Width, i.Height = 14000, 14000 }, ErrTooLarge},
		{"negative height", func(i *Image) { i.Height = -1 }, ErrTooLarge},
		{"negative resolution", func(i *Image) { i.Resolution = -1 }, ErrTooLarge},
		{"too fine", func(i *Image) { i.Resolution = maxResolution + 1 }, ErrTooLarge},
		{"no mode", func(i *Image) { i.Mode = "" }, ErrUnsupported},
		{"12 bits", func(i *Image) { i.Depth = 12 }, ErrUnsupported},
		{"lineart of 8 bits", func(i *Image) { i.Mode, i.Depth = scan.ModeLineart, 8 }, ErrUnsupported},
		{"gray of 1 bit", func(i *Image) { i.Mode, i.Depth = scan.ModeGray, 1 }, ErrUnsupported},
	} {
		img := good
		c.change(&img)
		if _, err := NewEncoder(io.Discard, img, scan.FormatPNG, 0, Codecs{}); !errors.Is(err, c.want) {
			t.Errorf("%s: NewEncoder = %v, want %v", c.name, err, c.want)
		}
	}
	if _, err := NewEncoder(io.Discard, good, scan.FormatJPEG, 0, Codecs{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("NewEncoder(JPEG of 16 bits) = %v, want %v", err, ErrUnsupported)
	}
	if _, err := NewEncoder(io.Discard, good, scan.FormatTIFF, 0, Codecs{}); !errors.Is(err, ErrUnsupported) {
		t.Errorf("NewEncoder(TIFF) = %v, want %v", err, ErrUnsupported)
	}
}

// TestEndlessPage: a device that never ends a page meets the limits.
func TestEndlessPage(t *testing.T) {
	img := Image{Mode: scan.ModeColor, Depth: 16, Width: MaxSide}
	count := NewCounter(img)
	row := make([]byte, img.Stride())
	var err error
	rows := 0
	for ; err == nil && rows <= MaxSide; rows++ {
		_, err = count.Add(row)
	}
	if !errors.Is(err, ErrTooLarge) || rows > MaxBytes/img.Stride()+1 {
		t.Errorf("after %d rows: %v, want %v after %d", rows, err, ErrTooLarge, MaxBytes/img.Stride())
	}
}

// failAfter fails once n bytes were written.
type failAfter struct{ n int }

var errFull = errors.New("no room")

func (f *failAfter) Write(p []byte) (int, error) {
	if f.n -= len(p); f.n < 0 {
		return 0, errFull
	}
	return len(p), nil
}

func TestWriterErrors(t *testing.T) {
	img := Image{Mode: scan.ModeGray, Depth: 8, Width: 1000, Height: 700}
	raw := testPage(img)
	for _, format := range []scan.Format{scan.FormatPNG, scan.FormatJPEG} {
		whole := len(encode(t, img, format, raw))
		for _, room := range []int{0, 500, whole / 2, whole - 1} {
			if _, err := write(&failAfter{room}, img, format, raw); !errors.Is(err, errFull) {
				t.Errorf("%s with room for %d of %d bytes: %v, want %v", format, room, whole, err, errFull)
			}
		}
	}
}

// TestFirstBytesLeaveEarly: readers see something long before the page ends.
func TestFirstBytesLeaveEarly(t *testing.T) {
	for _, c := range []struct {
		format scan.Format
		img    Image
		rows   int
	}{
		{scan.FormatJPEG, Image{Mode: scan.ModeColor, Depth: 8, Width: 2480, Height: 3508}, 16},
		{scan.FormatPNG, Image{Mode: scan.ModeColor, Depth: 8, Width: 2480, Height: 3508}, 36},
		{scan.FormatPNG, Image{Mode: scan.ModeColor, Depth: 16, Width: 2480, Height: 3508}, 18},
		{scan.FormatPNG, Image{Mode: scan.ModeLineart, Depth: 1, Width: 2480, Height: 3508}, 256},
	} {
		var w countWriter
		e, err := NewEncoder(&w, c.img, c.format, 0, Codecs{})
		if err != nil {
			t.Fatal(err)
		}
		if err := e.WriteRows(make([]byte, c.rows*c.img.Stride())); err != nil {
			t.Fatal(err)
		}
		if w.n < 100 {
			t.Errorf("%s of %v: %d bytes after %d rows, want at least 100", c.format, c.img, w.n, c.rows)
		}
	}
}

// TestMemoryOfALargePage: a page as wide as A3 at 600 dpi is encoded in what a few
// strips take. All that is ever allocated is counted, not only what is alive.
func TestMemoryOfALargePage(t *testing.T) {
	img := Image{Mode: scan.ModeColor, Depth: 8, Width: 7016, Height: 2500, Resolution: 600}
	rows := testPage(Image{Mode: scan.ModeColor, Depth: 8, Width: 7016, Height: 9})
	for _, c := range []struct {
		format scan.Format
		limit  uint64
	}{{scan.FormatJPEG, 6 << 20}, {scan.FormatPNG, 14 << 20}} {
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		var w countWriter
		e, err := NewEncoder(&w, img, c.format, 0, Codecs{})
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
		if got := after.TotalAlloc - before.TotalAlloc; got > c.limit {
			t.Errorf("%s of %d bytes: %d bytes allocated, want at most %d", c.format, img.Stride()*img.Height, got, c.limit)
		}
	}
}
