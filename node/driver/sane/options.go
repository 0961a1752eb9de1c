package sane

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
)

// Errors of setting an option.
var (
	errNoOption = errors.New("the device has no such option")
	errInactive = errors.New("the option cannot be set together with the other settings")
	errReadOnly = errors.New("the option can be read but not set")
)

// options are those of an open device, by name: their numbers may change with every reload.
type options struct {
	b      backend
	list   []*option
	byName map[string]*option

	// journal holds the values that options had when the device was opened, of those
	// that were set since, in the order of setting.
	journal []saved
}

type saved struct {
	name  string
	value []byte
}

func newOptions(b backend) *options {
	o := &options{b: b}
	o.reload()
	return o
}

// reload reads all descriptors anew.
func (o *options) reload() {
	o.list, o.byName = nil, make(map[string]*option)
	group := ""
	for n := int32(1); ; n++ { // option 0 is the number of options
		opt, ok := o.b.option(n)
		if !ok {
			return
		}
		if opt.typ == typeGroup {
			group = opt.title
			continue
		}
		if opt.name == "" || o.byName[opt.name] != nil {
			continue
		}
		opt.group = group
		o.list = append(o.list, &opt)
		o.byName[opt.name] = &opt
	}
}

// find is an option that can be set now, or nil.
func (o *options) find(name string) *option {
	if opt := o.byName[name]; opt != nil && opt.active() && opt.settable() {
		return opt
	}
	return nil
}

// get reads a value.
func (o *options) get(opt *option) ([]byte, error) {
	if !opt.active() || opt.typ == typeButton || opt.typ == typeGroup {
		return nil, errInactive
	}
	value := make([]byte, opt.valueSize())
	if _, st := o.b.control(opt.index, actionGet, value); st != statusGood {
		return nil, fmt.Errorf("reading option %s: %v", opt.name, st)
	}
	return value, nil
}

// number reads a numeric option.
func (o *options) number(name string) (float64, bool) {
	opt := o.byName[name]
	if opt == nil || !opt.scalar() {
		return 0, false
	}
	value, err := o.get(opt)
	if err != nil {
		return 0, false
	}
	return opt.number(int32(binary.NativeEndian.Uint32(value))), true
}

// text reads an option in words; "" if it cannot be read.
func (o *options) text(name string) string {
	opt := o.byName[name]
	if opt == nil {
		return ""
	}
	value, err := o.get(opt)
	if err != nil {
		return ""
	}
	return opt.format(value)
}

// set sets an option to what its documentation would call value.
func (o *options) set(name, value string) error {
	opt := o.byName[name]
	if opt == nil {
		return fmt.Errorf("option %s: %w", name, errNoOption)
	}
	b, err := opt.parse(value)
	if err != nil {
		return fmt.Errorf("option %s: %w", name, err)
	}
	return o.setBytes(opt, b)
}

// setNumber sets a numeric option to the nearest value that it takes.
func (o *options) setNumber(name string, number float64) error {
	opt := o.byName[name]
	if opt == nil {
		return fmt.Errorf("option %s: %w", name, errNoOption)
	}
	return o.setBytes(opt, wordBytes(opt.nearest(number)))
}

func (o *options) setBytes(opt *option, value []byte) error {
	switch {
	case !opt.settable():
		return fmt.Errorf("option %s: %w", opt.name, errReadOnly)
	case !opt.active():
		return fmt.Errorf("option %s: %w", opt.name, errInactive)
	}
	o.remember(opt)
	info, st := o.b.control(opt.index, actionSet, value)
	if st != statusGood {
		return stopFor(st, "setting option "+opt.name)
	}
	if info&infoReloadOptions != 0 {
		o.reload()
	}
	return nil
}

func (o *options) remember(opt *option) {
	for _, s := range o.journal {
		if s.name == opt.name {
			return
		}
	}
	if value, err := o.get(opt); err == nil {
		o.journal = append(o.journal, saved{opt.name, value})
	}
}

// restore gives every option that was set the value that it had at first. One that is
// inactive now stays on the list until it can be.
func (o *options) restore() {
	var kept []saved
	for i := len(o.journal) - 1; i >= 0; i-- {
		s := o.journal[i]
		opt := o.find(s.name)
		if opt == nil || opt.valueSize() != len(s.value) {
			kept = append([]saved{s}, kept...)
			continue
		}
		info, _ := o.b.control(opt.index, actionSet, s.value) // the device may have changed its mind about what it offers
		if info&infoReloadOptions != 0 {
			o.reload()
		}
	}
	o.journal = kept
}

// scalar reports whether the option is one number.
func (o *option) scalar() bool { return (o.typ == typeInt || o.typ == typeFixed) && o.size == 4 }

// valueSize is the size of a buffer for the option's value.
func (o *option) valueSize() int {
	const most = 1 << 20
	return min(max(o.size, 4), most)
}

// nearest is the word for number, or the closest that the constraint allows.
func (o *option) nearest(number float64) int32 {
	word := o.word(number)
	switch {
	case o.constraint == constraintRange:
		word = min(max(word, o.min), o.max)
	case o.constraint == constraintWordList && len(o.words) > 0:
		best := o.words[0]
		for _, w := range o.words {
			if math.Abs(o.number(w)-number) < math.Abs(o.number(best)-number) {
				best = w
			}
		}
		word = best
	}
	return word
}

func wordBytes(word int32) []byte {
	return binary.NativeEndian.AppendUint32(nil, uint32(word))
}

// parse makes the device's form of a value in words.
func (o *option) parse(value string) ([]byte, error) {
	switch {
	case o.typ == typeBool:
		switch value {
		case "yes":
			return wordBytes(1), nil
		case "no":
			return wordBytes(0), nil
		}
		return nil, fmt.Errorf(`%q is not "yes" or "no"`, value)
	case o.typ == typeButton:
		return wordBytes(0), nil
	case o.typ == typeString:
		if len(value) >= o.size || strings.ContainsRune(value, 0) {
			return nil, fmt.Errorf("at most %d characters are allowed", o.size-1)
		}
		b := make([]byte, o.valueSize())
		copy(b, value)
		return b, nil
	case o.scalar():
		number, err := strconv.ParseFloat(value, 64)
		if err != nil || math.IsNaN(number) {
			return nil, fmt.Errorf("%q is not a number", value)
		}
		return wordBytes(o.word(number)), nil
	}
	return nil, errors.New("values of its type cannot be written in words")
}

// format is parse the other way round.
func (o *option) format(value []byte) string {
	switch {
	case o.typ == typeString:
		s, _, _ := strings.Cut(string(value), "\x00")
		return s
	case o.typ == typeBool:
		if binary.NativeEndian.Uint32(value) != 0 {
			return "yes"
		}
		return "no"
	case o.scalar():
		return o.formatWord(int32(binary.NativeEndian.Uint32(value)))
	}
	return ""
}

func (o *option) formatWord(word int32) string {
	return strconv.FormatFloat(math.Round(o.number(word)*1e4)/1e4, 'f', -1, 64)
}
