package imaging

import "encoding/binary"

// PNG filters (PNG specification, section 9.2).
const (
	filterNone = iota
	filterSub
	filterUp
	filterAverage
	filterPaeth
)

// appendFiltered appends the number of the filter that promises the smallest residues
// for the row, and the filtered row. above is the row above, nil at the top; bpp is the
// distance of two pixels in bytes.
func appendFiltered(dst, row, above []byte, bpp int) []byte {
	n := len(row)
	kind := filterSub
	if above != nil {
		kind = chooseFilter(row, above, bpp)
	}
	dst = append(dst, byte(kind))
	start := len(dst)
	dst = append(dst, row...)
	out := dst[start:]
	// The first pixel has no left neighbour, so it stands apart in every filter.
	switch kind {
	case filterSub:
		subtract(out[bpp:], row[bpp:], row[:n-bpp])
	case filterUp:
		subtract(out, row, above)
	case filterAverage:
		for i := range bpp {
			out[i] = row[i] - above[i]/2
		}
		subtractAverage(out[bpp:], row[bpp:], row[:n-bpp], above[bpp:])
	case filterPaeth:
		subtract(out[:bpp], row[:bpp], above[:bpp])
		subtractPaeth(out[bpp:], row[bpp:], row[:n-bpp], above[bpp:], above[:n-bpp])
	}
	return dst
}

// Rows are judged by samples: runs of sampleRun bytes, one in sampleEvery bytes. The
// sum of absolute residues is the measure that the specification recommends (12.8).
const (
	sampleRun   = 24
	sampleEvery = 192
)

func chooseFilter(row, above []byte, bpp int) int {
	var sub, up, average, paeth int
	for start := bpp; start < len(row); start += sampleEvery {
		end := min(start+sampleRun, len(row))
		x, a := row[start:end], row[start-bpp:end-bpp]
		b, c := above[start:end], above[start-bpp:end-bpp]
		for i := range x {
			sub += magnitude(x[i] - a[i])
			up += magnitude(x[i] - b[i])
			average += magnitude(x[i] - byte((int(a[i])+int(b[i]))/2))
			paeth += magnitude(x[i] - predictPaeth(a[i], b[i], c[i]))
		}
	}
	kind, least := filterUp, up
	for _, other := range [...]struct{ kind, sum int }{{filterSub, sub}, {filterAverage, average}, {filterPaeth, paeth}} {
		if other.sum < least {
			kind, least = other.kind, other.sum
		}
	}
	return kind
}

// magnitude is the absolute value of a residue, taken as signed.
func magnitude(b byte) int {
	v := int(int8(b))
	if v < 0 {
		return -v
	}
	return v
}

// High and low bits of eight bytes in a word.
const (
	highBits  = 0x8080808080808080
	upperBits = 0xfefefefefefefefe
)

// subtractWord subtracts eight bytes from eight bytes, without borrow between them.
func subtractWord(x, y uint64) uint64 {
	return ((x | highBits) - (y &^ highBits)) ^ ((x ^ ^y) & highBits)
}

// subtract sets out = x - y. The slices have the same length; out is neither x nor y.
func subtract(out, x, y []byte) {
	x, y = x[:len(out)], y[:len(out)]
	for len(out) >= 8 && len(x) >= 8 && len(y) >= 8 {
		binary.LittleEndian.PutUint64(out, subtractWord(binary.LittleEndian.Uint64(x), binary.LittleEndian.Uint64(y)))
		out, x, y = out[8:], x[8:], y[8:]
	}
	for i := range out {
		out[i] = x[i] - y[i]
	}
}

// subtractAverage sets out = x - (a+b)/2.
func subtractAverage(out, x, a, b []byte) {
	x, a, b = x[:len(out)], a[:len(out)], b[:len(out)]
	for len(out) >= 8 && len(x) >= 8 && len(a) >= 8 && len(b) >= 8 {
		left, up := binary.LittleEndian.Uint64(a), binary.LittleEndian.Uint64(b)
		mean := left&up + (left^up)&upperBits>>1
		binary.LittleEndian.PutUint64(out, subtractWord(binary.LittleEndian.Uint64(x), mean))
		out, x, a, b = out[8:], x[8:], a[8:], b[8:]
	}
	for i := range out {
		out[i] = x[i] - byte((int(a[i])+int(b[i]))/2)
	}
}

// subtractPaeth sets out = x - Paeth(a, b, c).
func subtractPaeth(out, x, a, b, c []byte) {
	x, a, b, c = x[:len(out)], a[:len(out)], b[:len(out)], c[:len(out)]
	for i := range out {
		out[i] = x[i] - predictPaeth(a[i], b[i], c[i])
	}
}

// predictPaeth chooses of left, up and upper left the one nearest to left + up - upper left.
func predictPaeth(a, b, c byte) byte {
	pa, pb := int(b)-int(c), int(a)-int(c)
	pc := pa + pb
	if pa < 0 {
		pa = -pa
	}
	if pb < 0 {
		pb = -pb
	}
	if pc < 0 {
		pc = -pc
	}
	if pa <= pb && pa <= pc {
		return a
	}
	if pb <= pc {
		return b
	}
	return c
}
