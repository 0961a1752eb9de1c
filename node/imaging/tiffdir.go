package imaging

import "encoding/binary"

// TIFF tags (TIFF 6.0, appendix A).
const (
	tagSubfileType         = 254
	tagWidth               = 256
	tagHeight              = 257
	tagBits                = 258
	tagCompression         = 259
	tagPhotometric         = 262
	tagDocumentName        = 269
	tagStripOffsets        = 273
	tagOrientation         = 274
	tagSamples             = 277
	tagRowsPerStrip        = 278
	tagStripBytes          = 279
	tagXResolution         = 282
	tagYResolution         = 283
	tagPlanar              = 284
	tagResolutionUnit      = 296
	tagPageNumber          = 297
	tagSoftware            = 305
	tagDateTime            = 306
	tagSubsampling         = 530
	tagReferenceBlackWhite = 532
)

// Field types (TIFF 6.0, section 2).
const (
	typeASCII    = 2
	typeShort    = 3
	typeLong     = 4
	typeRational = 5
)

// tiffDirectory collects the fields of an image file directory, in the order of tags.
type tiffDirectory struct {
	fields []tiffField
}

type tiffField struct {
	tag, kind uint16
	count     uint32
	value     []byte
}

func (d *tiffDirectory) short(tag uint16, v ...uint16) {
	var b []byte
	for _, v := range v {
		b = binary.BigEndian.AppendUint16(b, v)
	}
	d.fields = append(d.fields, tiffField{tag, typeShort, uint32(len(v)), b})
}

func (d *tiffDirectory) long(tag uint16, v ...uint32) {
	var b []byte
	for _, v := range v {
		b = binary.BigEndian.AppendUint32(b, v)
	}
	d.fields = append(d.fields, tiffField{tag, typeLong, uint32(len(v)), b})
}

// rational appends whole numbers.
func (d *tiffDirectory) rational(tag uint16, v ...uint32) {
	var b []byte
	for _, v := range v {
		b = binary.BigEndian.AppendUint32(b, v)
		b = binary.BigEndian.AppendUint32(b, 1)
	}
	d.fields = append(d.fields, tiffField{tag, typeRational, uint32(len(v)), b})
}

func (d *tiffDirectory) text(tag uint16, s string) {
	b := append([]byte(s), 0)
	d.fields = append(d.fields, tiffField{tag, typeASCII, uint32(len(b)), b})
}

// value is where a field's value stands, to be filled in.
func (d *tiffDirectory) value(tag uint16) []byte {
	for _, f := range d.fields {
		if f.tag == tag {
			return f.value
		}
	}
	return nil
}

// Values of up to 4 bytes stand in the field, longer ones behind the directory.
const fieldBytes, inField = 12, 4

// size is the length of the directory with its values, an even number.
func (d *tiffDirectory) size() int64 {
	n := int64(2 + fieldBytes*len(d.fields) + 4)
	for _, f := range d.fields {
		if len(f.value) > inField {
			n += int64(len(f.value)+1) &^ 1
		}
	}
	return n
}

// bytes lays the directory out at an offset; next is the offset of the next, or 0.
func (d *tiffDirectory) bytes(at, next uint32) []byte {
	b := binary.BigEndian.AppendUint16(make([]byte, 0, d.size()), uint16(len(d.fields)))
	var behind []byte
	start := at + uint32(2+fieldBytes*len(d.fields)+4)
	for _, f := range d.fields {
		b = binary.BigEndian.AppendUint16(b, f.tag)
		b = binary.BigEndian.AppendUint16(b, f.kind)
		b = binary.BigEndian.AppendUint32(b, f.count)
		if len(f.value) <= inField {
			b = append(b, append(f.value, make([]byte, inField-len(f.value))...)...)
			continue
		}
		b = binary.BigEndian.AppendUint32(b, start+uint32(len(behind)))
		behind = append(behind, f.value...)
		if len(behind)%2 == 1 {
			behind = append(behind, 0)
		}
	}
	b = binary.BigEndian.AppendUint32(b, next)
	return append(b, behind...)
}
