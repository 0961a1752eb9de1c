package sane

import (
	"fmt"
	"math"
	"slices"
	"sort"
	"strconv"
	"strings"

	"github.com/platen-scan/platen/proto/scan"
)

// sourcePlan says how a source is chosen on this device.
type sourcePlan struct {
	source scan.Source
	set    []assignment
}

type assignment struct{ name, value string }

// sourcePlans finds the sources of the device, as it was opened. fallback is for one
// that has no option to choose them by.
func (o *options) sourcePlans() []sourcePlan {
	plans := make(map[scan.Source]sourcePlan)
	if opt := o.find(optSource); opt != nil && opt.constraint == constraintStringList {
		for _, value := range opt.strings {
			s := sourceKind(value)
			if _, taken := plans[s]; s != "" && !taken {
				plans[s] = sourcePlan{s, []assignment{{optSource, value}}}
			}
		}
	}
	if len(plans) == 0 {
		plans[scan.SourcePlaten] = sourcePlan{source: scan.SourcePlaten}
		if o.looksSheetFed() {
			plans = map[scan.Source]sourcePlan{scan.SourceADF: {source: scan.SourceADF}}
		}
	}
	adf, hasADF := plans[scan.SourceADF]
	if _, hasDuplex := plans[scan.SourceADFDuplex]; hasADF && !hasDuplex {
		if one, two, ok := o.sidesSwitch(); ok {
			plans[scan.SourceADFDuplex] = sourcePlan{scan.SourceADFDuplex, append(slices.Clone(adf.set), two)}
			adf.set = append(slices.Clone(adf.set), one)
			plans[scan.SourceADF] = adf
		}
	}
	var list []sourcePlan
	for _, s := range scan.Sources {
		if p, ok := plans[s]; ok {
			list = append(list, p)
		}
	}
	return list
}

// looksSheetFed reports whether a device without sources has a feeder only: back ends
// of such devices describe the paper or sense it.
func (o *options) looksSheetFed() bool {
	return o.byName[optPageWidth] != nil || o.byName[optPageLoaded] != nil || o.byName[optDuplex] != nil
}

// sidesSwitch finds the option by which a feeder takes one or both sides.
func (o *options) sidesSwitch() (one, two assignment, ok bool) {
	for _, name := range adfModes {
		opt := o.byName[name]
		if opt == nil || opt.typ != typeString {
			continue
		}
		for _, value := range opt.strings {
			if strings.Contains(strings.ToLower(value), "duplex") {
				two = assignment{name, value}
			} else if one.name == "" {
				one = assignment{name, value}
			}
		}
		if one.name != "" && two.name != "" {
			return one, two, true
		}
	}
	if opt := o.byName[optDuplex]; opt != nil && opt.typ == typeBool {
		return assignment{optDuplex, "no"}, assignment{optDuplex, "yes"}, true
	}
	return one, two, false
}

func (o *options) choose(p sourcePlan) error {
	for _, a := range p.set {
		if err := o.set(a.name, a.value); err != nil {
			return err
		}
	}
	return nil
}

// modePlan says how a colour mode at a depth is chosen.
type modePlan struct {
	mode      scan.ColorMode
	depth     int
	value     string // of the option mode; "": there is none to set
	bits      int    // of the option depth; 0: nothing to set
	threshold bool   // the device gives gray, and lineart is made of it here
	rank      int
}

// modePlans tries every mode of the present source. The best plan for each mode and depth
// is kept, colours and 8 bits first.
func (o *options) modePlans() ([]modePlan, error) {
	var all []modePlan
	add := func(p modePlan) { all = append(all, p) }
	opt := o.find(optMode)
	if opt == nil || opt.constraint != constraintStringList {
		p, st := o.b.parameters()
		if st != statusGood {
			return nil, stopFor(st, "asking for parameters")
		}
		o.addDepths(add, modeOf(p), modePlan{}, int(p.Depth))
	} else {
		for _, value := range slices.Clone(opt.strings) {
			mode, hint, rank := modeKind(value)
			if mode == "" || o.set(optMode, value) != nil {
				continue
			}
			if hint == 0 {
				if p, st := o.b.parameters(); st == statusGood {
					hint = int(p.Depth)
				}
			}
			o.addDepths(add, mode, modePlan{value: value, rank: rank}, hint)
		}
	}
	return bestModes(all), nil
}

func modeOf(p parameters) scan.ColorMode {
	switch {
	case p.Format != frameGray:
		return scan.ModeColor
	case p.Depth == 1:
		return scan.ModeLineart
	}
	return scan.ModeGray
}

// addDepths adds the depths of the present mode. only is the depth where the device has no choice.
func (o *options) addDepths(add func(modePlan), mode scan.ColorMode, p modePlan, only int) {
	choices := map[int]int{only: 0}
	if opt := o.find(optDepth); opt != nil && opt.scalar() {
		choices = depthChoices(opt)
	}
	for depth, bits := range choices {
		p := p
		p.mode, p.depth, p.bits = mode, depth, bits
		switch {
		case depth == 1 && mode == scan.ModeGray:
			p.mode = scan.ModeLineart
			p.rank++ // a mode of that name knows better
		case depth == 1 && mode == scan.ModeColor, depth != 1 && mode == scan.ModeLineart:
			continue
		}
		add(p)
		if p.mode == scan.ModeGray && p.depth == 8 {
			p.mode, p.depth, p.threshold = scan.ModeLineart, 1, true
			p.rank += 100
			add(p)
		}
	}
}

// depthChoices are the depths that pages can have, and what to set for each. All
// depths above 8 come as 16.
func depthChoices(opt *option) map[int]int {
	choices := make(map[int]int)
	offer := func(bits int) {
		switch {
		case bits == 1 || bits == 8 || bits == 16:
			choices[bits] = bits
		case bits > 8 && bits < 16:
			if choices[16] < bits {
				choices[16] = bits
			}
		}
	}
	if opt.constraint == constraintWordList {
		for _, w := range opt.words {
			offer(int(opt.number(w)))
		}
		return choices
	}
	if low, high, ok := opt.bounds(); ok {
		for bits := max(int(low), 1); bits <= min(int(high), 16); bits++ {
			offer(bits)
		}
	}
	return choices
}

// bestModes keeps the best plan of each mode and depth, in the order to offer them.
func bestModes(all []modePlan) []modePlan {
	order := func(p modePlan) int { return 100*slices.Index(scan.ColorModes, p.mode) + max(p.depth-8, 0) }
	sort.SliceStable(all, func(i, j int) bool {
		if a, b := order(all[i]), order(all[j]); a != b {
			return a < b
		}
		return all[i].rank < all[j].rank
	})
	return slices.CompactFunc(all, func(a, b modePlan) bool { return a.mode == b.mode && a.depth == b.depth })
}

func (o *options) chooseMode(p modePlan) error {
	if p.value != "" {
		if err := o.set(optMode, p.value); err != nil {
			return err
		}
	}
	if p.bits != 0 {
		return o.set(optDepth, strconv.Itoa(p.bits))
	}
	return nil
}

// setResolution sets both axes and answers what the device made of it.
func (o *options) setResolution(dpi int) (int, error) {
	for _, name := range []string{optResolution, optXResolution, optYResolution} {
		if o.find(name) == nil {
			continue
		}
		if err := o.setNumber(name, float64(dpi)); err != nil {
			return 0, err
		}
	}
	return o.resolution(dpi), nil
}

// resolution is the present one, or otherwise where the device does not tell.
func (o *options) resolution(otherwise int) int {
	for _, name := range []string{optResolution, optXResolution} {
		if v, ok := o.number(name); ok && v >= 1 {
			return int(math.Round(v))
		}
	}
	return otherwise
}

// resolutions are those that can be asked for.
func (o *options) resolutions() scan.Resolutions {
	opt := o.byName[optResolution]
	if opt == nil || !opt.scalar() || !opt.active() {
		opt = o.byName[optXResolution]
	}
	switch {
	case opt == nil || !opt.scalar():
		return scan.Resolutions{Values: []int{o.resolution(300)}}
	case opt.constraint == constraintWordList:
		var values []int
		for _, w := range opt.words {
			if v := int(math.Round(opt.number(w))); v > 0 {
				values = append(values, v)
			}
		}
		slices.Sort(values)
		if values = slices.Compact(values); len(values) > 0 {
			return scan.Resolutions{Values: values}
		}
	case opt.constraint == constraintRange:
		low, high := int(math.Ceil(opt.number(opt.min))), int(opt.number(opt.max))
		if low = max(low, 1); high >= low {
			step := int(math.Round(opt.number(opt.quant)))
			return scan.Resolutions{Min: low, Max: high, Step: max(step, 1)}
		}
	}
	return scan.Resolutions{Values: []int{o.resolution(300)}}
}

// setOptions sets the device's own options, in the device's order. Some become active
// by others, so those that are not are tried again.
func (o *options) setOptions(values map[string]string) error {
	left := make(map[string]string, len(values))
	for name, value := range values {
		if mapped[name] || withheld(name) || o.byName[name] == nil {
			return fmt.Errorf("option %s: %w", name, errNoOption)
		}
		left[name] = value
	}
	for len(left) > 0 {
		before := len(left)
		for _, opt := range slices.Clone(o.list) {
			value, wanted := left[opt.name]
			if !wanted || o.find(opt.name) == nil {
				continue
			}
			if err := o.set(opt.name, value); err != nil {
				return err
			}
			delete(left, opt.name)
		}
		if len(left) == before {
			for name := range left {
				return fmt.Errorf("option %s: %w", name, errInactive)
			}
		}
	}
	return nil
}
