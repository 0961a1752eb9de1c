package barcode

import (
	"image"
	"slices"

	"github.com/makiuchi-d/gozxing"

	"github.com/platen-scan/platen/proto/api"
)

// tally gathers what single lines gave.
type tally struct{ found []candidate }

// candidate is a code that some lines agree on.
type candidate struct {
	Code
	votes, need int
	upright     bool
}

// maxCandidates bounds what a page of noise gathers.
const maxCandidates = 5000

// read lets the decoders read a segment in both directions. Lines that lie no more than
// reach apart are of one code.
func (t *tally) read(l line, s segment, readers []reader, reach int) {
	bits, quiet := s.bits()
	for _, reversed := range []bool{false, true} {
		for _, r := range readers {
			if len(s.runs) < r.minRuns || r.rows == nil || len(t.found) >= maxCandidates {
				continue
			}
			var result *gozxing.Result
			guarded(func() {
				if got, err := r.rows.DecodeRow(l.at, bits, nil); err == nil {
					result = got
				}
			})
			if result == nil {
				continue
			}
			from, to := s.extent(result, quiet, reversed)
			code, ok := newCode(result, l.box(from, to))
			if ok && r.upca && code.Format == api.BarcodeFormatEan13 && code.Text[0] == '0' {
				code.Format, code.Text = api.BarcodeFormatUpca, code.Text[1:] // the same bars
			}
			if ok && len(code.Text) >= r.minText && slices.Contains(r.formats, code.Format) {
				t.add(code, l.upright, r.votes, reach)
			}
		}
		bits.Reverse()
	}
}

// extent is where on its line a code was read, from the middle of its first sign to that
// of its last one. reversed says that the decoder saw the line backwards.
func (s segment) extent(r *gozxing.Result, quiet int, reversed bool) (from, to int) {
	points := r.GetResultPoints()
	if len(points) < 2 {
		return s.from, s.to
	}
	size := s.to - s.from
	a, b := int(points[0].GetX())-quiet, int(points[1].GetX())-quiet
	if reversed {
		a, b = size-a, size-b
	}
	a, b = max(min(a, b), 0), min(max(a, b), size)
	if a >= b {
		return s.from, s.to
	}
	return s.from + a, s.from + b
}

// add counts a vote.
func (t *tally) add(c Code, upright bool, need, reach int) {
	near := c.Box.Inset(-reach)
	for i := range t.found {
		f := &t.found[i]
		if f.Format == c.Format && f.Text == c.Text && f.upright == upright && near.Overlaps(f.Box) {
			f.votes++
			f.Box = f.Box.Union(c.Box)
			return
		}
	}
	t.found = append(t.found, candidate{c, 1, need, upright})
}

// codes are the candidates that enough lines agree on. Of several at one place the one
// with the most votes is real, and the others parts of it.
func (t *tally) codes() []Code {
	slices.SortStableFunc(t.found, func(a, b candidate) int { return weight(b) - weight(a) })
	var codes []Code
	for _, c := range t.found {
		if c.votes < c.need || slices.ContainsFunc(codes, func(other Code) bool { return sameplace(other.Box, c.Box) }) {
			continue
		}
		codes = append(codes, c.Code)
	}
	return codes
}

// weight is the votes; those for a code with a check digit count twice.
func weight(c candidate) int {
	switch c.Format {
	case api.BarcodeFormatItf, api.BarcodeFormatCodabar, api.BarcodeFormatCode39:
		return c.votes
	}
	return 2 * c.votes
}

// sameplace reports whether most of b lies in a.
func sameplace(a, b image.Rectangle) bool {
	i := a.Intersect(b)
	return i.Dx()*i.Dy()*2 > b.Dx()*b.Dy()
}
