package imaging

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"image/jpeg"
	"image/png"
	"io"
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/image/tiff"

	"github.com/platen-scan/platen/proto/scan"
)

func convert(t *testing.T, file []byte, from scan.Format, spec Spec) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := Convert(bytes.NewReader(file), from, spec, &b); err != nil {
		t.Fatalf("Convert(%s, %+v): %v", from, spec, err)
	}
	return b.Bytes()
}

// wantPNM is the PNM file of rows whose unused bits are clear.
func wantPNM(img Image, raw []byte) []byte {
	switch {
	case img.Depth == 1:
		return append(fmt.Appendf(nil, "P4\n%d %d\n", img.Width, img.Height), raw...)
	case img.Channels() == 1:
		return append(fmt.Appendf(nil, "P5\n%d %d\n%d\n", img.Width, img.Height, 1<<img.Depth-1), raw...)
	}
	return append(fmt.Appendf(nil, "P6\n%d %d\n%d\n", img.Width, img.Height, 1<<img.Depth-1), raw...)
}

func TestConvertPNGIsExact(t *testing.T) {
	for _, kind := range kinds {
		for _, size := range sizes {
			img := kind.sized(size, 300)
			t.Run(img.String(), func(t *testing.T) {
				raw := testPage(img)
				file := encode(t, img, scan.FormatPNG, raw)
				if got := convert(t, file, scan.FormatPNG, Spec{Format: scan.FormatPNM}); !bytes.Equal(got, wantPNM(img, raw)) {
					t.Error("the PNM differs from the rows")
				}
				if got := convert(t, file, scan.FormatPNG, Spec{Format: scan.FormatPNG}); !bytes.Equal(got, file) {
					t.Error("PNG to PNG is not the same file")
				}
				m, err := tiff.Decode(bytes.NewReader(convert(t, file, scan.FormatPNG, Spec{Format: scan.FormatTIFF})))
				if err != nil {
					t.Fatalf("tiff.Decode: %v", err)
				}
				checkPixels(t, m, img, raw)
			})
		}
	}
}

// jpegFiles are JPEG files of our own and of others.
func jpegFiles(t *testing.T) map[string][]byte {
	files := make(map[string][]byte)
	for _, mode := range []scan.ColorMode{scan.ModeGray, scan.ModeColor} {
		for _, size := range sizes {
			img := Image{Mode: mode, Depth: 8}.sized(size, 300)
			files[img.String()] = encode(t, img, scan.FormatJPEG, testPage(img))
		}
	}
	names, err := filepath.Glob("testdata/*.jpg")
	if err != nil || len(names) == 0 {
		t.Fatalf("testdata: %v, %v", names, err)
	}
	for _, name := range names {
		if files[filepath.Base(name)], err = os.ReadFile(name); err != nil {
			t.Fatal(err)
		}
	}
	return files
}

// TestConvertJPEG: what comes out of strips is what the standard decoder makes of the whole.
func TestConvertJPEG(t *testing.T) {
	for name, file := range jpegFiles(t) {
		t.Run(name, func(t *testing.T) {
			m, err := jpeg.Decode(bytes.NewReader(file))
			if err != nil {
				t.Fatal(err)
			}
			if _, ok := m.(*image.CMYK); ok {
				err := Convert(bytes.NewReader(file), scan.FormatJPEG, Spec{Format: scan.FormatPNM}, io.Discard)
				if !errors.Is(err, ErrUnsupported) {
					t.Errorf("Convert of CMYK = %v, want %v", err, ErrUnsupported)
				}
				return
			}
			img := Image{Mode: scan.ModeColor, Depth: 8, Width: m.Bounds().Dx(), Height: m.Bounds().Dy()}
			if _, ok := m.(*image.Gray); ok {
				img.Mode = scan.ModeGray
			}
			pixels := appendPixels(nil, m)
			if got := convert(t, file, scan.FormatJPEG, Spec{Format: scan.FormatPNM}); !bytes.Equal(got, wantPNM(img, pixels)) {
				t.Error("the PNM differs from the decoded file")
			}
			made, err := png.Decode(bytes.NewReader(convert(t, file, scan.FormatJPEG, Spec{Format: scan.FormatPNG})))
			if err != nil {
				t.Fatal(err)
			}
			checkPixels(t, made, img, pixels)
			if made, err = tiff.Decode(bytes.NewReader(convert(t, file, scan.FormatJPEG, Spec{Format: scan.FormatTIFF}))); err != nil {
				t.Fatal(err)
			}
			checkPixels(t, made, img, pixels)
			if got := convert(t, file, scan.FormatJPEG, Spec{Width: 5000}); !bytes.Equal(got, file) {
				t.Error("JPEG to a larger width is not the same file")
			}
		})
	}
}

// TestOwnJPEGIsDecodedInStrips guards the memory bound of Convert.
func TestOwnJPEGIsDecodedInStrips(t *testing.T) {
	for name, want := range map[string]int{
		"gray8-333x577": 16, "color8-333x577": 16, "color8-1x1": 16,
		"444-restart.jpg": 8, "gray-2x2.jpg": 8, "440.jpg": 16,
		"progressive.jpg": 0, "422-restart-odd.jpg": 0, "rgb.jpg": 0,
	} {
		r, err := newJPEGReader(bytes.NewReader(jpegFiles(t)[name]))
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		if r.strip != want {
			t.Errorf("%s is decoded in strips of %d rows, want %d", name, r.strip, want)
		}
	}
}

// eightBit is the page as 8 bit rows.
func eightBit(img Image, raw []byte) (Image, []byte) {
	out := img
	out.Depth = 8
	if img.Mode == scan.ModeLineart {
		out.Mode = scan.ModeGray
	}
	return out, appendEightBit(nil, img, raw)
}

// average is the area average of the source at an output pixel, the slow and plain way.
func average(img Image, rows []byte, outW, outH, x, y, c int) float64 {
	x0, x1 := float64(x*img.Width)/float64(outW), float64((x+1)*img.Width)/float64(outW)
	y0, y1 := float64(y*img.Height)/float64(outH), float64((y+1)*img.Height)/float64(outH)
	sum := 0.0
	for j := int(y0); j < img.Height && float64(j) < y1; j++ {
		for i := int(x0); i < img.Width && float64(i) < x1; i++ {
			area := (min(x1, float64(i+1)) - max(x0, float64(i))) * (min(y1, float64(j+1)) - max(y0, float64(j)))
			sum += area * float64(rows[j*img.Stride()+i*img.Channels()+c])
		}
	}
	return sum / ((x1 - x0) * (y1 - y0))
}

func TestBoxScaler(t *testing.T) {
	img := Image{Mode: scan.ModeColor, Depth: 8, Width: 97, Height: 61}
	rows := testPage(img)
	for _, out := range []image.Point{{97, 61}, {96, 60}, {48, 30}, {33, 17}, {1, 1}, {97, 1}, {120, 100}} {
		var got []byte
		s := newBoxScaler(3, img.Width, img.Height, out.X, out.Y, func(row []byte) error {
			got = append(got, row...)
			return nil
		})
		for y := range img.Height {
			if err := s.add(rows[y*img.Stride():][:img.Stride()]); err != nil {
				t.Fatal(err)
			}
		}
		if len(got) != 3*out.X*out.Y {
			t.Fatalf("%v: %d bytes, want %d", out, len(got), 3*out.X*out.Y)
		}
		for i, v := range got {
			x, y, c := i/3%out.X, i/3/out.X, i%3
			if want := average(img, rows, out.X, out.Y, x, y, c); float64(v)-want > 0.51 || want-float64(v) > 0.51 {
				t.Fatalf("%v: sample %d, %d, %d = %d, want %.2f", out, x, y, c, v, want)
			}
		}
	}
}

// TestThumbnails: scaled pages look like the average of what they show.
func TestThumbnails(t *testing.T) {
	for _, kind := range kinds {
		for _, from := range []scan.Format{scan.FormatPNG, scan.FormatJPEG} {
			if from == scan.FormatJPEG && kind.Depth != 8 {
				continue
			}
			img := kind.sized(image.Pt(640, 905), 300)
			t.Run(fmt.Sprintf("%s/%v", from, img), func(t *testing.T) {
				raw := testPage(img)
				file := encode(t, img, from, raw)
				thumb := convert(t, file, from, Spec{Width: 160, Quality: 95})
				h, err := ReadJPEGHeader(bytes.NewReader(thumb))
				if err != nil {
					t.Fatal(err)
				}
				if h.Width != 160 || h.Height != 226 || h.Resolution != 75 {
					t.Errorf("thumbnail = %d × %d at %d dpi, want 160 × 226 at 75", h.Width, h.Height, h.Resolution)
				}
				m, err := jpeg.Decode(bytes.NewReader(thumb))
				if err != nil {
					t.Fatal(err)
				}
				source, rows := eightBit(img, raw)
				got, ch := appendPixels(nil, m), source.Channels()
				sum := 0.0
				for i, v := range got {
					d := float64(v) - average(source, rows, 160, 226, i/ch%160, i/ch/160, i%ch)
					sum += d * d
				}
				if mse := sum / float64(len(got)); mse > 60 {
					t.Errorf("mean square error = %.1f, want at most 60", mse)
				}
			})
		}
	}
}

// TestToJPEG: a page of 1 or 16 bits as JPEG, in full size.
func TestToJPEG(t *testing.T) {
	for _, kind := range kinds {
		img := kind.sized(image.Pt(100, 160), 300)
		raw := testPage(img)
		file := convert(t, encode(t, img, scan.FormatPNG, raw), scan.FormatPNG, Spec{Format: scan.FormatJPEG})
		source, rows := eightBit(img, raw)
		if want := encode(t, source, scan.FormatJPEG, rows); !bytes.Equal(file, want) {
			t.Errorf("%v: the JPEG differs from that of the 8 bit rows", img)
		}
	}
}

func TestConvertRefuses(t *testing.T) {
	img := Image{Mode: scan.ModeGray, Depth: 8, Width: 20, Height: 20}
	file := encode(t, img, scan.FormatPNG, testPage(img))
	for _, c := range []struct {
		from scan.Format
		spec Spec
	}{
		{scan.FormatPNG, Spec{Format: scan.FormatTIFF, Width: 10}},
		{scan.FormatPNG, Spec{Format: scan.FormatPNG, Width: 10}},
		{scan.FormatPNG, Spec{Width: -1}},
		{scan.FormatPNG, Spec{Format: "gif"}},
		{scan.FormatPNG, Spec{Format: scan.FormatJPEG, Quality: 101}},
		{scan.FormatTIFF, Spec{Format: scan.FormatPNG}},
	} {
		if err := Convert(bytes.NewReader(file), c.from, c.spec, io.Discard); !errors.Is(err, ErrUnsupported) {
			t.Errorf("Convert(%s, %+v) = %v, want %v", c.from, c.spec, err, ErrUnsupported)
		}
	}
}
