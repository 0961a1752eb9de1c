package document

import (
	"bytes"
	"encoding/binary"
	"errors"
	"image"
	"io"
	"math"
	"slices"
	"testing"

	"golang.org/x/image/tiff"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// directory is a TIFF directory read back: values by tag.
type directory map[uint16][]uint32

// readTIFF reads the directories of a big-endian TIFF file, checking what readers rely on.
func readTIFF(t *testing.T, b []byte) (all []directory) {
	t.Helper()
	if !bytes.HasPrefix(b, []byte("MM\x00*")) {
		t.Fatalf("header = %q", b[:8])
	}
	for at := binary.BigEndian.Uint32(b[4:]); at != 0; {
		if at%2 != 0 {
			t.Fatalf("directory at odd offset %d", at)
		}
		d, n := directory{}, int(binary.BigEndian.Uint16(b[at:]))
		last := uint16(0)
		for i := range n {
			f := b[int(at)+2+12*i:][:12]
			tag, kind, count := binary.BigEndian.Uint16(f), binary.BigEndian.Uint16(f[2:]), int(binary.BigEndian.Uint32(f[4:]))
			if tag <= last {
				t.Errorf("tag %d after %d", tag, last)
			}
			last = tag
			size := map[uint16]int{2: 1, 3: 2, 4: 4, 5: 8}[kind]
			value := f[8:]
			if size*count > 4 {
				value = b[binary.BigEndian.Uint32(f[8:]):]
			}
			for k := range count {
				switch v := value[k*size:]; size {
				case 1:
					d[tag] = append(d[tag], uint32(v[0]))
				case 2:
					d[tag] = append(d[tag], uint32(binary.BigEndian.Uint16(v)))
				case 4:
					d[tag] = append(d[tag], binary.BigEndian.Uint32(v))
				case 8:
					d[tag] = append(d[tag], binary.BigEndian.Uint32(v)/binary.BigEndian.Uint32(v[4:]))
				}
			}
		}
		all = append(all, d)
		at = binary.BigEndian.Uint32(b[int(at)+2+12*n:])
	}
	return all
}

// data puts a page's strips together.
func (d directory) data(b []byte) (data []byte) {
	for i, at := range d[273] {
		data = append(data, b[at:at+d[279][i]]...)
	}
	return data
}

func TestTIFFHoldsThePages(t *testing.T) {
	all := samplePages(t)
	var b bytes.Buffer
	if err := WriteTIFF(t.Context(), &b, sampleMeta, pagesOf(all)); err != nil {
		t.Fatal(err)
	}
	dirs := readTIFF(t, b.Bytes())
	if len(dirs) != len(all) {
		t.Fatalf("%d directories, want %d", len(dirs), len(all))
	}
	for i, s := range all {
		d, img := dirs[i], s.img
		want := directory{
			254: {2}, 256: {uint32(img.Width)}, 257: {uint32(img.Height)}, 259: {1}, 262: {1},
			274: {map[int]uint32{0: 1, 90: 6, 180: 3, 270: 8}[s.page.Rotate]}, 277: {uint32(img.Channels())},
			282: {uint32(img.Resolution)}, 283: {uint32(img.Resolution)}, 284: {1}, 296: {2}, 297: {uint32(i), uint32(len(all))},
		}
		want[258] = slices.Repeat([]uint32{uint32(img.Depth)}, img.Channels())
		data := s.raw
		switch {
		case s.page.Format == scan.FormatJPEG:
			data, want[259] = s.file, []uint32{7}
			if img.Mode == scan.ModeColor {
				want[262], want[530], want[532] = []uint32{6}, []uint32{2, 2}, []uint32{0, 255, 128, 255, 128, 255}
			}
		case img.Mode == scan.ModeLineart:
			want[262] = []uint32{0}
		case img.Mode == scan.ModeColor:
			want[262] = []uint32{2}
		}
		for tag, v := range want {
			if !slices.Equal(d[tag], v) {
				t.Errorf("page %d: tag %d = %v, want %v", i+1, tag, d[tag], v)
			}
		}
		if !bytes.Equal(d.data(b.Bytes()), data) {
			t.Errorf("page %d: other data than were stored", i+1)
		}
	}
}

// TestTIFFDecodes: a decoder that is not ours shows the pixels of PNG pages.
func TestTIFFDecodes(t *testing.T) {
	for _, s := range samplePages(t) {
		if s.page.Format != scan.FormatPNG {
			continue
		}
		var b, alone bytes.Buffer
		if err := WriteTIFF(t.Context(), &b, Meta{}, []Page{s.page}); err != nil {
			t.Fatal(err)
		}
		got, err := tiff.Decode(bytes.NewReader(b.Bytes()))
		if err != nil {
			t.Fatalf("tiff.Decode: %v", err)
		}
		if err := imaging.Convert(bytes.NewReader(s.file), scan.FormatPNG, imaging.Spec{Format: scan.FormatTIFF}, &alone); err != nil {
			t.Fatal(err)
		}
		want, err := tiff.Decode(&alone)
		if err != nil {
			t.Fatal(err)
		}
		if got.Bounds() != want.Bounds() {
			t.Fatalf("size = %v, want %v", got.Bounds(), want.Bounds())
		}
		for y := range s.img.Height {
			for x := range s.img.Width {
				if got.At(x, y) != want.At(x, y) {
					t.Fatalf("%v: pixel %d, %d = %v, want %v", s.img, x, y, got.At(x, y), want.At(x, y))
				}
			}
		}
	}
}

// TestTIFFTooLarge: a file beyond 4 GiB is refused before its first byte. The pages
// are never read further than their headers.
func TestTIFFTooLarge(t *testing.T) {
	s := makePage(t, scan.FormatPNG, scan.ModeColor, 16, image.Pt(64, 64), 300, 0)
	file := bytes.Clone(s.file)
	var ihdr bytes.Buffer
	e, err := imaging.NewEncoder(&ihdr, imaging.Image{Mode: scan.ModeColor, Depth: 16, Width: 10000, Height: 17000}, scan.FormatPNG, 0, imaging.Codecs{})
	if err != nil {
		t.Fatal(err)
	}
	if err := e.WriteRows(make([]byte, 10*60000)); err != nil {
		t.Fatal(err)
	}
	const header = 8 + 25 // signature and IHDR
	copy(file, ihdr.Bytes()[:header])
	s.page.Open, s.page.Width, s.page.Height = opener(file), 10000, 17000
	pages := make([]Page, int64(math.MaxUint32)/(60000*17000)+1)
	for i := range pages {
		pages[i] = s.page
	}
	var b bytes.Buffer
	if err := WriteTIFF(t.Context(), &b, Meta{}, pages); !errors.Is(err, imaging.ErrTooLarge) || b.Len() > 0 {
		t.Errorf("WriteTIFF of %d pages of 1 GB = %v after %d bytes, want %v after 0", len(pages), err, b.Len(), imaging.ErrTooLarge)
	}
}

func TestTIFFBoundedMemory(t *testing.T) {
	page := makePage(t, scan.FormatPNG, scan.ModeGray, 8, image.Pt(2000, 4000), 300, 0).page
	got := testing.Benchmark(func(b *testing.B) {
		b.ReportAllocs()
		for b.Loop() {
			if err := WriteTIFF(b.Context(), io.Discard, Meta{}, []Page{page}); err != nil {
				b.Fatal(err)
			}
		}
	})
	if limit := int64(1 << 20); got.AllocedBytesPerOp() > limit {
		t.Errorf("%d bytes allocated for a page of 8 MB, want at most %d", got.AllocedBytesPerOp(), limit)
	}
}
