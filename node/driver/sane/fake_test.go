package sane

import (
	"bytes"
	"encoding/binary"
	"testing"
)

// fake is a back end in memory. Its options are what a test says, its page is data.
type fake struct {
	t       *testing.T
	options []option
	values  map[string][]byte
	changed func(f *fake, name string) int32 // after a set; answers info bits
	sets    []string                         // "name=value", in order

	frames  []parameters
	data    [][]byte // of each frame
	at      int      // frame
	chunk   int      // bytes a read gives at most; 0: all
	starts  []status // what start answers, one after another; then good
	cancels int
}

func (f *fake) option(n int32) (option, bool) {
	if n == 0 {
		return option{name: "", typ: typeInt, size: 4}, true
	}
	if int(n) > len(f.options) {
		return option{}, false
	}
	o := f.options[n-1]
	o.index = n
	if o.caps == 0 {
		o.caps = capSoftSelect | capSoftDetect
	}
	if o.size == 0 {
		o.size = 4
		if o.typ == typeString {
			o.size = 64
		}
	}
	return o, true
}

func (f *fake) control(n, action int32, value []byte) (int32, status) {
	o, ok := f.option(n)
	if !ok || o.caps&capInactive != 0 {
		f.t.Errorf("control of option %d (%q), which is not there or inactive", n, o.name)
		return 0, statusInvalid
	}
	if action == actionGet {
		copy(value, f.values[o.name])
		return 0, statusGood
	}
	f.values[o.name] = bytes.Clone(value)
	f.sets = append(f.sets, o.name+"="+o.format(value))
	if f.changed != nil {
		return f.changed(f, o.name), statusGood
	}
	return 0, statusGood
}

// value is what an option is set to, in words.
func (f *fake) value(name string) string {
	for i := range f.options {
		if o, _ := f.option(int32(i + 1)); o.name == name && f.values[name] != nil {
			return o.format(f.values[name])
		}
	}
	return ""
}

// find is the option to change in a test.
func (f *fake) find(name string) *option {
	for i := range f.options {
		if f.options[i].name == name {
			return &f.options[i]
		}
	}
	f.t.Fatalf("no option %s", name)
	return nil
}

func (f *fake) parameters() (parameters, status) {
	if len(f.frames) == 0 {
		return parameters{LastFrame: 1, BytesPerLine: 100, PixelsPerLine: 100, Lines: 100, Depth: 8}, statusGood
	}
	return f.frames[f.at%len(f.frames)], statusGood
}

func (f *fake) start() status {
	if len(f.starts) > 0 {
		st := f.starts[0]
		f.starts = f.starts[1:]
		return st
	}
	return statusGood
}

func (f *fake) read(p []byte) (int, status) {
	if f.at >= len(f.data) || len(f.data[f.at]) == 0 {
		f.at++
		return 0, statusEOF
	}
	if f.chunk > 0 {
		p = p[:min(len(p), f.chunk)]
	}
	n := copy(p, f.data[f.at])
	f.data[f.at] = f.data[f.at][n:]
	return n, statusGood
}

func (f *fake) cancel() { f.cancels++ }
func (f *fake) close()  {}

// The kinds of options that devices have.
func stringList(name string, values ...string) option {
	return option{name: name, typ: typeString, constraint: constraintStringList, strings: values}
}

func intList(name string, values ...int32) option {
	return option{name: name, typ: typeInt, constraint: constraintWordList, words: values}
}

func fixedRange(name string, u unit, low, high float64) option {
	return option{name: name, typ: typeFixed, unit: u, constraint: constraintRange, min: int32(low * fixedOne), max: int32(high * fixedOne)}
}

func boolean(name string) option { return option{name: name, typ: typeBool} }

// newFake makes a back end whose options have their first values.
func newFake(t *testing.T, options ...option) *fake {
	f := &fake{t: t, options: options, values: make(map[string][]byte)}
	for _, o := range options {
		var word int32
		switch {
		case len(o.strings) > 0:
			f.values[o.name] = append([]byte(o.strings[0]), 0)
			continue
		case len(o.words) > 0:
			word = o.words[0]
		case o.name == optBRX, o.name == optBRY, o.name == optPageWidth, o.name == optPageHeight:
			word = o.max
		default:
			word = o.min
		}
		f.values[o.name] = binary.NativeEndian.AppendUint32(nil, uint32(word))
	}
	return f
}

func area(maxWidth, maxHeight float64) []option {
	return []option{
		fixedRange(optTLX, unitMM, 0, maxWidth), fixedRange(optTLY, unitMM, 0, maxHeight),
		fixedRange(optBRX, unitMM, 0, maxWidth), fixedRange(optBRY, unitMM, 0, maxHeight),
	}
}
