package sane

// backend is an open device as libsane shows it. Tests have one of their own.
type backend interface {
	// option describes option n; false: there is none.
	option(n int32) (option, bool)
	// control gets or sets option n. value has the option's size.
	control(n, action int32, value []byte) (info int32, st status)
	parameters() (parameters, status)
	start() status
	read(p []byte) (int, status)
	cancel()
	close()
}

// option is an option as it is now (SANE_Option_Descriptor).
type option struct {
	index       int32
	name        string
	title       string
	description string
	group       string // title of the group it stands in
	typ         valueType
	unit        unit
	size        int // bytes of a value
	caps        int32
	constraint  int32
	min, max    int32 // of a range
	quant       int32
	words       []int32
	strings     []string
}

func (o *option) active() bool   { return o.caps&capInactive == 0 }
func (o *option) settable() bool { return o.caps&capSoftSelect != 0 }
func (o *option) readable() bool { return o.caps&capSoftDetect != 0 }

// number is a word of the option as a number in its unit.
func (o *option) number(word int32) float64 {
	if o.typ == typeFixed {
		return float64(word) / fixedOne
	}
	return float64(word)
}

// word is the other way round. It cuts like the macro SANE_FIX, which other frontends
// use, so that the same region has the same pixels.
func (o *option) word(number float64) int32 {
	if o.typ == typeFixed {
		number *= fixedOne
	}
	const limit = 1<<31 - 1
	return int32(min(max(number, -limit), limit))
}

// bounds are the least and the greatest value that the option takes, in its unit.
func (o *option) bounds() (low, high float64, ok bool) {
	switch {
	case o.constraint == constraintRange:
		return o.number(o.min), o.number(o.max), true
	case o.constraint == constraintWordList && len(o.words) > 0:
		low, high = o.number(o.words[0]), o.number(o.words[0])
		for _, w := range o.words {
			low, high = min(low, o.number(w)), max(high, o.number(w))
		}
		return low, high, true
	}
	return 0, 0, false
}
