package document

import (
	"crypto/sha256"
	"fmt"
	"hash"
	"io"
	"strings"
	"time"
	"unicode/utf16"

	"github.com/platen-scan/platen/node/imaging"
)

// maxPDFOffset is the largest offset that the cross-reference table can hold.
const maxPDFOffset = 9_999_999_999

// pdfFile writes the objects of a PDF file and keeps where they are. After an error it
// writes nothing more.
type pdfFile struct {
	w       io.Writer
	sum     hash.Hash
	at      int64
	offsets []int64 // by object number; 0 is not used
	font    int     // number of the first object of the font of invisible text
	err     error
}

func newPDFFile(w io.Writer, objects int) *pdfFile {
	return &pdfFile{w: w, sum: sha256.New(), offsets: make([]int64, objects+1)}
}

func (p *pdfFile) Write(b []byte) (int, error) {
	if p.err != nil {
		return 0, p.err
	}
	n, err := p.w.Write(b)
	p.sum.Write(b[:n])
	p.at += int64(n)
	if err == nil && p.at > maxPDFOffset {
		err = fmt.Errorf("%w: more than %d bytes", imaging.ErrTooLarge, int64(maxPDFOffset))
	}
	p.err = err
	return n, err
}

func (p *pdfFile) raw(s string) { io.WriteString(p, s) } // p keeps the error

// begin notes where object n is.
func (p *pdfFile) begin(n int) {
	p.offsets[n] = p.at
	p.raw(fmt.Sprintf("%d 0 obj\n", n))
}

func (p *pdfFile) object(n int, format string, args ...any) {
	p.begin(n)
	p.raw(fmt.Sprintf(format, args...) + "\nendobj\n")
}

// end writes the cross-reference table, whose lines are 20 bytes each, and the trailer.
// The file's ID is taken from all that stands before.
func (p *pdfFile) end() error {
	id := p.sum.Sum(nil)[:16]
	table := p.at
	var b strings.Builder
	fmt.Fprintf(&b, "xref\n0 %d\n0000000000 65535 f \n", len(p.offsets))
	for _, offset := range p.offsets[1:] {
		fmt.Fprintf(&b, "%010d 00000 n \n", offset)
	}
	fmt.Fprintf(&b, "trailer\n<< /Size %d /Root %d 0 R /Info %d 0 R /ID [<%x> <%x>] >>\nstartxref\n%d\n%%%%EOF\n",
		len(p.offsets), pdfCatalog, pdfInfo, id, id, table)
	p.raw(b.String())
	return p.err
}

// pdfInfoEntries are the entries of the document information dictionary.
func pdfInfoEntries(meta Meta) string {
	entries := "/Producer (Platen) "
	if meta.Title != "" {
		entries += "/Title " + pdfText(meta.Title) + " "
	}
	if !meta.Created.IsZero() {
		entries += "/CreationDate (" + pdfDate(meta.Created) + ") "
	}
	return entries
}

func pdfDate(t time.Time) string { return t.UTC().Format("D:20060102150405Z") }

// pdfText writes a text string: printable ASCII as it is, all else in UTF-16 with a byte
// order mark (ISO 32000-1, section 7.9.2.2).
func pdfText(s string) string {
	plain := true
	for _, r := range s {
		plain = plain && r >= ' ' && r <= '~'
	}
	if plain {
		return "(" + strings.NewReplacer(`\`, `\\`, "(", `\(`, ")", `\)`).Replace(s) + ")"
	}
	var b strings.Builder
	b.WriteString("<FEFF")
	for _, u := range utf16.Encode([]rune(s)) {
		fmt.Fprintf(&b, "%04X", u)
	}
	b.WriteString(">")
	return b.String()
}
