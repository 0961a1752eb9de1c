package imaging

// boxScaler scales rows of 8 bit samples by averaging over areas, exactly and in
// integers: an input row covers outH units of height and an output row inH of them, so
// that both add up to the same; likewise with widths. It holds one row of sums.
type boxScaler struct {
	channels   int
	inW, inH   int
	outW, outH int
	sums       []uint32 // of the output row in the making, by input column
	need       uint32   // units that this output row still lacks
	emit       func(row []byte) error
	row        []byte
	weight     uint64 // of a whole output pixel
}

// newBoxScaler calls emit for each output row, which is valid during the call. Sizes are
// in pixels; an output larger than the input repeats pixels.
func newBoxScaler(channels, inW, inH, outW, outH int, emit func(row []byte) error) *boxScaler {
	return &boxScaler{
		channels: channels, inW: inW, inH: inH, outW: outW, outH: outH, emit: emit,
		sums: make([]uint32, channels*inW), need: uint32(inH), row: make([]byte, channels*outW),
		weight: uint64(inW) * uint64(inH),
	}
}

// add takes the next input row.
func (s *boxScaler) add(row []byte) error {
	for units := uint32(s.outH); units > 0; {
		part := min(units, s.need)
		// 255 × MaxSide fits many times into the sums.
		sums := s.sums[:len(row)]
		for i, v := range row {
			sums[i] += uint32(v) * part
		}
		units -= part
		if s.need -= part; s.need == 0 {
			s.shrink()
			if err := s.emit(s.row); err != nil {
				return err
			}
			clear(s.sums)
			s.need = uint32(s.inH)
		}
	}
	return nil
}

// shrink averages the sums over the columns of each output pixel.
func (s *boxScaler) shrink() {
	for c := range s.channels {
		var sum uint64
		need := s.inW
		out := c
		for i := c; i < len(s.sums); i += s.channels {
			v := uint64(s.sums[i])
			for units := s.outW; units > 0; {
				part := min(units, need)
				sum += v * uint64(part)
				units -= part
				if need -= part; need == 0 {
					s.row[out] = byte((sum + s.weight/2) / s.weight)
					out += s.channels
					sum, need = 0, s.inW
				}
			}
		}
	}
}
