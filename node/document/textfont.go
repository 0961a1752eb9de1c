package document

import (
	"bytes"
	"compress/zlib"
	"encoding/binary"
	"fmt"
)

// The objects of the font of invisible text, which follow those of the pages.
const (
	pdfFont = iota
	pdfFontSigns
	pdfFontDescriptor
	pdfFontFile
	pdfFontGlyphs
	pdfFontUnicode

	pdfFontObjects
)

// textFont writes the font: a composite one (ISO 32000-1, section 9.7) whose codes are
// Unicode, which all stand for the one glyph of a TrueType file, and that is empty.
func (p *pdfFile) textFont(first int) {
	p.object(first+pdfFont, "<< /Type /Font /Subtype /Type0 /BaseFont /PlatenInvisible /Encoding /Identity-H /DescendantFonts [%d 0 R] /ToUnicode %d 0 R >>",
		first+pdfFontSigns, first+pdfFontUnicode)
	p.object(first+pdfFontSigns, "<< /Type /Font /Subtype /CIDFontType2 /BaseFont /PlatenInvisible /CIDSystemInfo << /Registry (Adobe) /Ordering (Identity) /Supplement 0 >>"+
		" /FontDescriptor %d 0 R /DW %d /CIDToGIDMap %d 0 R >>", first+pdfFontDescriptor, pdfGlyphWidth, first+pdfFontGlyphs)
	p.object(first+pdfFontDescriptor, "<< /Type /FontDescriptor /FontName /PlatenInvisible /Flags 4 /FontBBox [0 0 %d 1000] /ItalicAngle 0"+
		" /Ascent 1000 /Descent -1 /CapHeight 1000 /StemV 80 /FontFile2 %d 0 R >>", pdfGlyphWidth, first+pdfFontFile)
	file := emptyFont()
	p.packed(first+pdfFontFile, fmt.Sprintf(" /Length1 %d", len(file)), file)
	p.packed(first+pdfFontGlyphs, "", make([]byte, 2<<16))
	p.packed(first+pdfFontUnicode, "", unicodeMap())
}

// packed writes a compressed stream.
func (p *pdfFile) packed(n int, entries string, content []byte) {
	var b bytes.Buffer
	z := zlib.NewWriter(&b)
	z.Write(content) // into memory
	z.Close()
	p.object(n, "<< /Filter /FlateDecode /Length %d%s >>\nstream\n%s\nendstream", b.Len(), entries, b.Bytes())
}

// unicodeMap says that codes are Unicode. A range covers 256 codes, and a list of ranges
// has at most 100 (ISO 32000-1, section 9.10.3).
func unicodeMap() []byte {
	var b bytes.Buffer
	b.WriteString("/CIDInit /ProcSet findresource begin\n12 dict begin\nbegincmap\n" +
		"/CIDSystemInfo << /Registry (Adobe) /Ordering (UCS) /Supplement 0 >> def\n/CMapName /Adobe-Identity-UCS def\n/CMapType 2 def\n" +
		"1 begincodespacerange\n<0000> <FFFF>\nendcodespacerange\n")
	const ranges, most = 256, 100
	for from := 0; from < ranges; from += most {
		n := min(most, ranges-from)
		fmt.Fprintf(&b, "%d beginbfrange\n", n)
		for high := from; high < from+n; high++ {
			fmt.Fprintf(&b, "<%02X00> <%02XFF> <%02X00>\n", high, high, high)
		}
		b.WriteString("endbfrange\n")
	}
	b.WriteString("endcmap\nCMapName currentdict /CMap defineresource pop\nend\nend\n")
	return b.Bytes()
}

// emptyFont is the smallest TrueType file: one glyph without outlines.
func emptyFont() []byte {
	const em = 1000
	be := binary.BigEndian
	head := make([]byte, 54)
	be.PutUint32(head[0:], 0x00010000)
	be.PutUint32(head[4:], 0x00010000)
	be.PutUint32(head[12:], 0x5f0f3cf5) // the magic number
	be.PutUint16(head[18:], em)
	be.PutUint16(head[40:], pdfGlyphWidth) // right and upper end of all glyphs
	be.PutUint16(head[42:], em)
	be.PutUint16(head[46:], 8) // smallest readable size
	be.PutUint16(head[48:], 2) // direction: left to right
	hhea := make([]byte, 36)
	be.PutUint32(hhea[0:], 0x00010000)
	be.PutUint16(hhea[4:], em) // ascent
	be.PutUint16(hhea[10:], pdfGlyphWidth)
	be.PutUint16(hhea[34:], 1) // widths in hmtx
	maxp := make([]byte, 32)
	be.PutUint32(maxp[0:], 0x00010000)
	be.PutUint16(maxp[4:], 1)  // glyphs
	be.PutUint16(maxp[14:], 2) // zones
	hmtx := be.AppendUint16(nil, pdfGlyphWidth)
	hmtx = be.AppendUint16(hmtx, 0)
	tables := []struct {
		tag  string
		data []byte
	}{{"glyf", make([]byte, 4)}, {"head", head}, {"hhea", hhea}, {"hmtx", hmtx}, {"loca", make([]byte, 4)}, {"maxp", maxp}}

	n := len(tables)
	font := be.AppendUint32(nil, 0x00010000)
	for _, v := range []uint16{uint16(n), 64, 2, uint16(n*16 - 64)} { // search range, selector and shift of 4 tables
		font = be.AppendUint16(font, v)
	}
	at := len(font) + 16*n
	for _, t := range tables {
		font = append(font, t.tag...)
		font = be.AppendUint32(font, checksum(t.data))
		font = be.AppendUint32(font, uint32(at))
		font = be.AppendUint32(font, uint32(len(t.data)))
		at += (len(t.data) + 3) &^ 3
	}
	headAt := 0
	for _, t := range tables {
		if t.tag == "head" {
			headAt = len(font)
		}
		font = append(font, t.data...)
		font = append(font, make([]byte, -len(t.data)&3)...)
	}
	be.PutUint32(font[headAt+8:], 0xb1b0afba-checksum(font))
	return font
}

// checksum is the sum of big-endian words, the last one filled up with zeros.
func checksum(b []byte) (sum uint32) {
	for ; len(b) > 0; b = b[min(4, len(b)):] {
		var word [4]byte
		copy(word[:], b)
		sum += binary.BigEndian.Uint32(word[:])
	}
	return sum
}
