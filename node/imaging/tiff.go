package imaging

import (
	"encoding/binary"
	"fmt"
	"io"
	"math"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// TIFFHeader begins a TIFF file in big-endian order, which is that of our 16 bit
// samples. The first directory follows it.
const TIFFHeader = "MM\x00\x2a\x00\x00\x00\x08"

// TIFFPage describes one page of a TIFF file, whose data directly follow its directory.
type TIFFPage struct {
	Image   Image
	JPEG    *JPEGHeader // the data are this JPEG file; nil: raw rows
	Bytes   int64       // of a JPEG file
	Rotate  int         // clockwise when shown: 0, 90, 180 or 270 degrees
	Number  int         // of this page, from 0
	Total   int         // pages of the file
	Title   string
	Created time.Time // zero: not said
}

// Compression and photometric values (TIFF 6.0 section 8, Technical Note 2).
const (
	tiffRaw  = 1
	tiffJPEG = 7

	tiffWhiteIsZero = 0
	tiffBlackIsZero = 1
	tiffRGB         = 2
	tiffYCbCr       = 6
)

// tiffStrip is about how many bytes a strip of raw rows has.
const tiffStrip = 64 << 10

// DataBytes is the length of the page's data.
func (p TIFFPage) DataBytes() int64 {
	if p.JPEG != nil {
		return p.Bytes
	}
	return int64(p.Image.Stride()) * int64(p.Image.Height)
}

// Directory is what stands before the page's data if it is put at an offset in the file,
// and the offset of the next page; padding fills what the data leave of an even number.
func (p TIFFPage) Directory(at int64, last bool) (dir []byte, next int64, err error) {
	d := p.entries()
	data := at + d.size()
	next = (data + p.DataBytes() + 1) &^ 1
	if next > math.MaxUint32 {
		return nil, 0, fmt.Errorf("%w: a TIFF file ends at 4 GiB", ErrTooLarge)
	}
	p.strips(d, uint32(data))
	following := uint32(next)
	if last {
		following = 0
	}
	return d.bytes(uint32(at), following), next, nil
}

// entries are the directory's, in the order of their tags; strip offsets come later.
func (p TIFFPage) entries() *tiffDirectory {
	d := &tiffDirectory{}
	if p.Total > 1 {
		d.long(tagSubfileType, 2) // one page of several
	}
	d.long(tagWidth, uint32(p.Image.Width))
	d.long(tagHeight, uint32(p.Image.Height))
	bits := make([]uint16, p.Image.Channels())
	for i := range bits {
		bits[i] = uint16(p.Image.Depth)
	}
	d.short(tagBits, bits...)
	compression := uint16(tiffRaw)
	if p.JPEG != nil {
		compression = tiffJPEG
	}
	d.short(tagCompression, compression)
	d.short(tagPhotometric, p.photometric())
	if p.Title != "" {
		d.text(tagDocumentName, p.Title)
	}
	rows, n := p.stripLayout()
	d.long(tagStripOffsets, make([]uint32, n)...)
	d.short(tagOrientation, map[int]uint16{0: 1, 90: 6, 180: 3, 270: 8}[p.Rotate])
	d.short(tagSamples, uint16(p.Image.Channels()))
	d.long(tagRowsPerStrip, uint32(rows))
	d.long(tagStripBytes, make([]uint32, n)...)
	if p.Image.Resolution > 0 {
		d.rational(tagXResolution, uint32(p.Image.Resolution))
		d.rational(tagYResolution, uint32(p.Image.Resolution))
	}
	d.short(tagPlanar, 1)
	if p.Image.Resolution > 0 {
		d.short(tagResolutionUnit, 2) // inches
	}
	if p.Total > 1 {
		d.short(tagPageNumber, uint16(p.Number), uint16(min(p.Total, math.MaxUint16)))
	}
	d.text(tagSoftware, "Platen")
	if !p.Created.IsZero() {
		d.text(tagDateTime, p.Created.UTC().Format("2006:01:02 15:04:05"))
	}
	if p.photometric() == tiffYCbCr {
		d.short(tagSubsampling, uint16(p.JPEG.HSamp), uint16(p.JPEG.VSamp))
		d.rational(tagReferenceBlackWhite, 0, 255, 128, 255, 128, 255) // the full range of JFIF
	}
	return d
}

func (p TIFFPage) photometric() uint16 {
	switch {
	case p.Image.Mode == scan.ModeLineart:
		return tiffWhiteIsZero
	case p.Image.Mode == scan.ModeGray:
		return tiffBlackIsZero
	case p.JPEG != nil && !p.JPEG.RGB:
		return tiffYCbCr
	}
	return tiffRGB
}

// stripLayout is the rows of a strip and the number of strips. A JPEG file is one strip.
func (p TIFFPage) stripLayout() (rows, strips int) {
	if p.JPEG != nil {
		return p.Image.Height, 1
	}
	rows = min(max(tiffStrip/p.Image.Stride(), 1), p.Image.Height)
	return rows, (p.Image.Height + rows - 1) / rows
}

// strips fills in where the strips are.
func (p TIFFPage) strips(d *tiffDirectory, data uint32) {
	rows, n := p.stripLayout()
	step, end := uint32(rows*p.Image.Stride()), data+uint32(p.DataBytes())
	if p.JPEG != nil {
		step = end - data
	}
	for i := range n {
		at := data + uint32(i)*step
		binary.BigEndian.PutUint32(d.value(tagStripOffsets)[4*i:], at)
		binary.BigEndian.PutUint32(d.value(tagStripBytes)[4*i:], min(step, end-at))
	}
}

// tiffWriter writes a TIFF file of one page, not compressed.
type tiffWriter struct {
	w     io.Writer
	count Counter
}

func newTIFFWriter(w io.Writer, img Image) (*tiffWriter, error) {
	dir, _, err := TIFFPage{Image: img, Total: 1}.Directory(int64(len(TIFFHeader)), true)
	if err != nil {
		return nil, err
	}
	_, err = w.Write(append([]byte(TIFFHeader), dir...))
	return &tiffWriter{w: w, count: NewCounter(img)}, err
}

func (t *tiffWriter) WriteRows(rows []byte) error {
	if _, err := t.count.Add(rows); err != nil {
		return err
	}
	_, err := t.w.Write(rows)
	return err
}

func (t *tiffWriter) Close() error { return t.count.End() }
