package sane

import (
	"context"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// Capabilities tries what the device offers. It sets options, moves no paper, and puts
// everything back.
func (d *device) Capabilities(context.Context) (scan.Capabilities, error) {
	d.options.restore()
	defer d.options.restore()
	c := scan.Capabilities{Formats: []scan.Format{scan.FormatJPEG, scan.FormatPNG}, Options: d.options.describe()}
	for _, plan := range d.options.sourcePlans() {
		sc, err := d.sourceCapabilities(plan)
		if err != nil {
			return c, err
		}
		if len(sc.Modes) > 0 {
			c.Sources = append(c.Sources, sc)
		}
	}
	if len(c.Sources) == 0 {
		return c, &driver.Stop{Reason: scan.ReasonUnsupported, Detail: "the device has no colour mode that Platen knows"}
	}
	var err error
	c.Defaults, err = c.Resolve(scan.Settings{})
	return c, err
}

func (d *device) sourceCapabilities(plan sourcePlan) (scan.SourceCapabilities, error) {
	o := d.options
	sc := scan.SourceCapabilities{Source: plan.source}
	o.restore()
	if err := o.choose(plan); err != nil {
		return sc, err
	}
	modes, err := o.modePlans()
	if err != nil {
		return sc, err
	}
	for _, m := range modes {
		if n := len(sc.Modes); n > 0 && sc.Modes[n-1].Mode == m.mode {
			sc.Modes[n-1].Depths = append(sc.Modes[n-1].Depths, m.depth)
			continue
		}
		sc.Modes = append(sc.Modes, scan.ModeDepths{Mode: m.mode, Depths: []int{m.depth}})
	}
	if len(modes) > 0 {
		if err := o.chooseMode(modes[0]); err != nil {
			return sc, err
		}
	}
	sc.Resolutions = o.resolutions()
	sc.Area = o.area()
	if plan.source.Feeder() {
		sc.Feeder = &scan.FeederAbilities{DetectsLoad: o.byName[optPageLoaded] != nil}
	}
	return sc, nil
}

var optionTypes = map[valueType]scan.OptionType{
	typeBool: scan.OptionBool, typeInt: scan.OptionInt, typeFixed: scan.OptionFixed,
	typeString: scan.OptionString, typeButton: scan.OptionButton,
}

// describe lists the options that no field of scan.Settings covers.
func (o *options) describe() []scan.Option {
	var list []scan.Option
	for _, opt := range o.list {
		kind, known := optionTypes[opt.typ]
		number := opt.typ == typeInt || opt.typ == typeFixed
		if !known || mapped[opt.name] || withheld(opt.name) || number && !opt.scalar() || !opt.settable() && !opt.readable() {
			continue
		}
		so := scan.Option{
			Name: opt.name, Title: opt.title, Description: opt.description, Group: opt.group, Type: kind, Unit: opt.unit.String(),
			Default: o.text(opt.name), Advanced: opt.caps&capAdvanced != 0, ReadOnly: !opt.settable(), Inactive: !opt.active(),
		}
		switch {
		case number && opt.constraint == constraintRange:
			low, high := opt.number(opt.min), opt.number(opt.max)
			so.Min, so.Max, so.Step = &low, &high, opt.number(opt.quant)
		case number:
			for _, w := range opt.words {
				so.Values = append(so.Values, opt.formatWord(w))
			}
		case opt.typ == typeString:
			so.Values = opt.strings
		}
		list = append(list, so)
	}
	return list
}
