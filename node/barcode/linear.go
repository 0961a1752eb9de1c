package barcode

import (
	"image"
	"slices"

	"github.com/makiuchi-d/gozxing"
	"github.com/makiuchi-d/gozxing/oned"

	"github.com/platen-scan/platen/proto/api"
)

// Linear codes are looked for along every few rows and columns of the page. A line is cut
// where it is white for long; what lies between, with enough bars, goes to the decoders
// with white on both sides, so that several codes on one line are all read.

const (
	minRuns = 17   // bars and spaces of the shortest code
	maxRuns = 1000 // and of the longest one
	// A bar or space is at most 4 times as wide as the narrowest; ink spreads.
	widest = 10
	// Of two lines so many pixels apart, so many per cent of a code may differ: it may be
	// askew, and dusty.
	coherence     = 3
	maxDifference = 14
)

// allGaps are the white runs, in pixels, at which a line is cut: the quiet zone of a code
// with modules of 1 to 12 pixels is among them.
var allGaps = [...]int{120, 60, 30, 15, 8}

// reader is a decoder of linear codes and how many lines must agree on one.
type reader struct {
	formats []api.BarcodeFormat
	rows    oned.RowDecoder
	votes   int
	minText int
	minRuns int
	upca    bool // an EAN-13 code that begins with 0 is called UPC-A
}

// newReaders are the decoders for one format, or all. Those without a check digit need
// more votes, and texts that are not of chance.
func newReaders(only api.BarcodeFormat) []reader {
	products := map[gozxing.DecodeHintType]any{}
	upcean := []api.BarcodeFormat{api.BarcodeFormatEan13, api.BarcodeFormatEan8, api.BarcodeFormatUpca, api.BarcodeFormatUpce}
	if slices.Contains(upcean, only) { // else one reader takes them all
		for theirs, ours := range names {
			if ours == only {
				products[gozxing.DecodeHintType_POSSIBLE_FORMATS] = []gozxing.BarcodeFormat{theirs}
			}
		}
	}
	all := []reader{
		{[]api.BarcodeFormat{api.BarcodeFormatCode128}, rowDecoder(oned.NewCode128Reader()), 2, 1, 25, false},
		{upcean, rowDecoder(oned.NewMultiFormatUPCEANReader(products)), 3, 8, 33, only == ""},
		{[]api.BarcodeFormat{api.BarcodeFormatCode93}, rowDecoder(oned.NewCode93Reader()), 2, 1, 25, false},
		{[]api.BarcodeFormat{api.BarcodeFormatCode39}, rowDecoder(oned.NewCode39Reader()), 3, 2, 29, false},
		{[]api.BarcodeFormat{api.BarcodeFormatItf}, rowDecoder(oned.NewITFReader()), 4, 6, 37, false},
		{[]api.BarcodeFormat{api.BarcodeFormatCodabar}, rowDecoder(oned.NewCodaBarReader()), 4, 4, 39, false},
	}
	if only == "" {
		return all
	}
	return slices.DeleteFunc(all, func(r reader) bool { return !slices.Contains(r.formats, only) })
}

func rowDecoder(r gozxing.Reader) oned.RowDecoder {
	d, _ := r.(oned.RowDecoder)
	return d
}

// line is a row of the page, or a column of it.
type line struct {
	page     *page
	upright  bool // a column
	at, size int
}

func (p *page) line(upright bool, at int) line {
	l := line{p, upright, at, p.width}
	if upright {
		l.size = p.height
	}
	return l
}

func (l line) black(i int) bool {
	if l.upright {
		return l.page.black.Get(l.at, i)
	}
	return l.page.black.Get(i, l.at)
}

// segment is a part of a line: bars and spaces in turn, bars at both ends.
type segment struct {
	from, to int
	runs     []int
}

// linear finds the linear codes of one format, or of all.
func (p *page) linear(only api.BarcodeFormat) []Code {
	readers := newReaders(only)
	if len(readers) == 0 {
		return nil
	}
	var t tally
	step := max(min(p.width, p.height)/400, 2)
	for _, upright := range []bool{false, true} {
		across := p.height
		if upright {
			across = p.width
		}
		for at := step / 2; at < across-coherence; at += step {
			l := p.line(upright, at)
			l.segments(func(s segment) {
				if l.looksLikeBars(s) {
					t.read(l, s, readers, 3*step)
				}
			})
		}
	}
	return t.codes()
}

// segments cuts the line at its white gaps, at long ones first, and gives each part once.
func (l line) segments(use func(segment)) {
	runs := make([]int, 0, 512)
	start, run := -1, 0
	for i := range l.size {
		black := l.black(i)
		switch {
		case start < 0 && !black:
			continue
		case start < 0:
			start, run = i, 1
			continue
		}
		if black == (len(runs)%2 == 0) {
			run++
			continue
		}
		runs, run = append(runs, run), 1
	}
	if start < 0 {
		return
	}
	if len(runs)%2 == 0 { // the last run is black
		runs = append(runs, run)
	}
	cut(segment{start, 0, runs}, allGaps[:], use)
}

func cut(s segment, gaps []int, use func(segment)) {
	if len(s.runs) < minRuns {
		return
	}
	if len(gaps) == 0 {
		s.finish(use)
		return
	}
	at, begin, pieces := s.from, 0, 0
	from := at
	for i, w := range s.runs {
		if i%2 == 1 && w >= gaps[0] {
			cut(segment{from, 0, s.runs[begin:i]}, gaps[1:], use)
			begin, from, pieces = i+1, at+w, pieces+1
		}
		at += w
	}
	if pieces > 0 && len(gaps) < len(allGaps) {
		s.finish(use)
	}
	cut(segment{from, 0, s.runs[begin:]}, gaps[1:], use)
}

func (s segment) finish(use func(segment)) {
	if len(s.runs) > maxRuns {
		return
	}
	s.to = s.from
	for _, w := range s.runs {
		s.to += w
	}
	use(s)
}

// looksLikeBars is quick to say that a segment is no code: some of its runs are far wider
// than others, or the next lines are different.
func (l line) looksLikeBars(s segment) bool {
	if (s.to-s.from)/len(s.runs) > 40 {
		return false
	}
	narrow := slices.Clone(s.runs)
	slices.Sort(narrow)
	if narrow[len(narrow)-1] > widest*narrow[len(narrow)/4] {
		return false
	}
	next, different := l.page.line(l.upright, l.at+coherence), 0
	limit := (s.to - s.from) * maxDifference / 100
	for i := s.from; i < s.to; i++ {
		if l.black(i) != next.black(i) {
			if different++; different > limit {
				return false
			}
		}
	}
	return true
}

// bits are the segment for a decoder, with quiet zones.
func (s segment) bits() (bits *gozxing.BitArray, quiet int) {
	quiet = max((s.to-s.from)/len(s.runs)*12, 24)
	bits = gozxing.NewBitArray(s.to - s.from + 2*quiet)
	at := quiet
	for i, w := range s.runs {
		if i%2 == 0 {
			for k := range w {
				bits.Set(at + k)
			}
		}
		at += w
	}
	return bits, quiet
}

// box is a part of the line on the page, from and to along it.
func (l line) box(from, to int) image.Rectangle {
	if l.upright {
		return image.Rect(l.at, from, l.at+1, to)
	}
	return image.Rect(from, l.at, to, l.at+1)
}
