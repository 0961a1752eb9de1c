package imaging

import (
	"fmt"
	"io"

	"github.com/platen-scan/platen/proto/scan"
)

// pnmWriter writes PBM, PGM or PPM in their binary forms (P4, P5, P6), whose samples are
// laid out as in Image: big-endian, and at 1 bit black is 1.
type pnmWriter struct {
	w     io.Writer
	count Counter
}

func newPNMWriter(w io.Writer, img Image) (*pnmWriter, error) {
	header := fmt.Sprintf("P4\n%d %d\n", img.Width, img.Height)
	switch {
	case img.Mode == scan.ModeColor:
		header = fmt.Sprintf("P6\n%d %d\n%d\n", img.Width, img.Height, 1<<img.Depth-1)
	case img.Mode == scan.ModeGray:
		header = fmt.Sprintf("P5\n%d %d\n%d\n", img.Width, img.Height, 1<<img.Depth-1)
	}
	_, err := io.WriteString(w, header)
	return &pnmWriter{w: w, count: NewCounter(img)}, err
}

func (p *pnmWriter) WriteRows(rows []byte) error {
	if _, err := p.count.Add(rows); err != nil {
		return err
	}
	_, err := p.w.Write(rows)
	return err
}

func (p *pnmWriter) Close() error { return p.count.End() }
