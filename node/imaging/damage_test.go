package imaging

import (
	"bytes"
	"errors"
	"fmt"
	"image"
	"io"
	"strings"
	"testing"

	"github.com/platen-scan/platen/proto/scan"
)

// isKnown reports whether an error says what is wrong with a file.
func isKnown(err error) bool {
	return errors.Is(err, ErrDamaged) || errors.Is(err, ErrTooLarge) || errors.Is(err, ErrUnsupported)
}

var renditions = []Spec{{Format: scan.FormatPNM}, {Width: 16}, {Format: scan.FormatTIFF}, {Format: scan.FormatPNG, Quality: 1}}

// TestDamagedPNG: every bit of a PNG file is under a checksum, so every flipped bit is found.
func TestDamagedPNG(t *testing.T) {
	for _, kind := range kinds {
		img := kind.sized(image.Pt(23, 31), 300)
		file := encode(t, img, scan.FormatPNG, testPage(img))
		for i := range file {
			for _, damaged := range [][]byte{flipped(file, i), file[:i]} {
				err := Convert(bytes.NewReader(damaged), scan.FormatPNG, renditions[0], io.Discard)
				if !isKnown(err) {
					t.Fatalf("%v damaged at byte %d of %d (%d left): Convert = %v", img, i, len(file), len(damaged), err)
				}
			}
		}
	}
}

// TestDamagedJPEG: a file that ends early or lost a marker is never whole. Other flipped
// bits may pass, but never as another error than one that says what is wrong.
func TestDamagedJPEG(t *testing.T) {
	for name, file := range jpegFiles(t) {
		if len(file) > 2200 {
			continue
		}
		for i := range file {
			if err := Convert(bytes.NewReader(file[:i]), scan.FormatJPEG, renditions[0], io.Discard); !isKnown(err) {
				t.Fatalf("%s cut at byte %d of %d: Convert = %v", name, i, len(file), err)
			}
			err := Convert(bytes.NewReader(flipped(file, i)), scan.FormatJPEG, renditions[1], io.Discard)
			if err != nil && !isKnown(err) {
				t.Fatalf("%s flipped at byte %d: Convert = %v", name, i, err)
			}
		}
	}
}

func TestLostStrip(t *testing.T) {
	img := Image{Mode: scan.ModeGray, Depth: 8, Width: 64, Height: 64}
	file := encode(t, img, scan.FormatJPEG, testPage(img))
	first, second := bytes.Index(file, []byte{0xff, markerRST0}), bytes.Index(file, []byte{0xff, markerRST0 + 1})
	if first < 0 || second < first {
		t.Fatal("the file has no restart markers")
	}
	lost := append(bytes.Clone(file[:first]), file[second:]...)
	if err := Convert(bytes.NewReader(lost), scan.FormatJPEG, renditions[0], io.Discard); !errors.Is(err, ErrDamaged) {
		t.Errorf("Convert of a file that lost a strip = %v, want %v", err, ErrDamaged)
	}
}

func flipped(file []byte, at int) []byte {
	damaged := bytes.Clone(file)
	damaged[at] ^= 0x10
	return damaged
}

// TestHugeHeaders: dimensions are judged before memory is taken for them.
func TestHugeHeaders(t *testing.T) {
	for _, size := range []image.Point{{65501, 1}, {1, 65501}, {40000, 40000}, {1 << 30, 1 << 30}} {
		img := Image{Mode: scan.ModeColor, Depth: 16, Width: size.X, Height: size.Y}
		file := appendChunk([]byte(pngSignature), "IHDR", ihdr(img))
		file = appendChunk(file, "IDAT", []byte{0x78, 0x01})
		err := Convert(bytes.NewReader(file), scan.FormatPNG, renditions[0], io.Discard)
		if !errors.Is(err, ErrTooLarge) {
			t.Errorf("Convert of a PNG of %v = %v, want %v", size, err, ErrTooLarge)
		}
	}
	small := encode(t, Image{Mode: scan.ModeColor, Depth: 8, Width: 9, Height: 9}, scan.FormatJPEG, make([]byte, 243))
	at := bytes.Index(small, []byte{0xff, markerSOF0})
	copy(small[at+5:], []byte{0xff, 0xdc, 0xff, 0xdc}) // 65500 × 65500
	if err := Convert(bytes.NewReader(small), scan.FormatJPEG, renditions[0], io.Discard); !errors.Is(err, ErrTooLarge) {
		t.Errorf("Convert of a JPEG of 65500 × 65500 = %v, want %v", err, ErrTooLarge)
	}
}

// TestReadErrorsStay: what the disk says is not called damage of the page.
func TestReadErrorsStay(t *testing.T) {
	img := Image{Mode: scan.ModeColor, Depth: 8, Width: 200, Height: 300}
	for _, format := range []scan.Format{scan.FormatPNG, scan.FormatJPEG} {
		file := encode(t, img, format, testPage(img))
		for _, at := range []int{0, 20, len(file) / 2, len(file) - 1} {
			err := Convert(&brokenDisk{bytes.NewReader(file), at}, format, renditions[0], io.Discard)
			if !errors.Is(err, errDisk) || isKnown(err) {
				t.Errorf("%s, disk failing at byte %d: Convert = %v, want %v", format, at, err, errDisk)
			}
		}
	}
}

var errDisk = errors.New("input/output error")

// brokenDisk fails where reading reaches a byte.
type brokenDisk struct {
	*bytes.Reader
	at int
}

func (b *brokenDisk) Read(p []byte) (int, error) {
	here := int(b.Size()) - b.Len()
	if here >= b.at {
		return 0, errDisk
	}
	return b.Reader.Read(p[:min(len(p), b.at-here)])
}

// TestPaddingBits: what a device leaves in the unused bits of a row is not passed on.
func TestPaddingBits(t *testing.T) {
	img := Image{Mode: scan.ModeLineart, Depth: 1, Width: 13, Height: 1}
	file := encode(t, img, scan.FormatPNG, []byte{0x55, 0xaf})
	got := convert(t, file, scan.FormatPNG, renditions[0])
	if want := "P4\n13 1\n\x55\xa8"; string(got) != want {
		t.Errorf("PNM = %q, want %q", got, want)
	}
}

// FuzzConvert: no file, however damaged, does more than give an error that names it.
func FuzzConvert(f *testing.F) {
	for _, kind := range kinds {
		img := kind.sized(image.Pt(23, 31), 300)
		f.Add(encode(f, img, scan.FormatPNG, testPage(img)), true)
		if img.Depth == 8 {
			f.Add(encode(f, img, scan.FormatJPEG, testPage(img)), false)
		}
	}
	for _, s := range []string{"", pngSignature, "\xff\xd8\xff\xda\x00\x02"} {
		f.Add([]byte(s), strings.HasPrefix(s, "\x89"))
	}
	f.Fuzz(func(t *testing.T, file []byte, isPNG bool) {
		from := scan.FormatJPEG
		if isPNG {
			from = scan.FormatPNG
		}
		rows, err := open(bytes.NewReader(file), from)
		if err != nil {
			if !isKnown(err) {
				t.Fatalf("open = %v", err)
			}
			return
		}
		if img := rows.Image(); img.Width*img.Height > 1<<18 {
			return // slow, not instructive
		}
		for _, spec := range renditions {
			err := Convert(bytes.NewReader(file), from, spec, io.Discard)
			if err != nil && !isKnown(err) {
				t.Fatalf("Convert(%s, %+v) = %v", from, spec, err)
			}
		}
	})
}

// FuzzRoundTrip: whatever the rows, PNG gives them back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("rows"), uint8(3), uint8(0))
	f.Fuzz(func(t *testing.T, data []byte, width, kind uint8) {
		img := kinds[int(kind)%len(kinds)]
		img.Width = int(width) + 1
		img.Height = min(len(data)/img.Stride(), 500)
		if img.Height == 0 {
			return
		}
		data = data[:img.Height*img.Stride()]
		if rest := img.Width % 8; img.Depth == 1 && rest != 0 {
			for y := range img.Height {
				data[(y+1)*img.Stride()-1] &= 0xff << (8 - rest)
			}
		}
		got := convert(t, encode(t, img, scan.FormatPNG, data), scan.FormatPNG, renditions[0])
		if !bytes.Equal(got, wantPNM(img, data)) {
			t.Error(fmt.Sprintf("%v", img), "came back differently")
		}
	})
}
