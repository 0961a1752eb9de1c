package airscan

import (
	"math"
	"strconv"

	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

// knob is an option of the device that a client sets by an adjustment.
type knob struct {
	adjustment escl.Adjustment
	option     string
	limits     escl.Range
	scale      float64 // the adjustment's value for an option of 1
	lineart    bool    // of use for one bit only
}

// knobNames are the options that mean the same as an adjustment, as devices call them
// (SANE standard, section 4.5, and the back ends' habits).
var knobNames = []struct {
	adjustment escl.Adjustment
	options    []string
}{
	{escl.Brightness, []string{"brightness"}},
	{escl.Contrast, []string{"contrast"}},
	{escl.Gamma, []string{"gamma", "analog-gamma"}},
	{escl.Highlight, []string{"highlight", "white-level"}},
	{escl.Shadow, []string{"shadow", "black-level"}},
	{escl.Sharpen, []string{"sharpness", "sharpen"}},
	{escl.NoiseRemoval, []string{"noise-removal", "noise-reduction"}},
	{escl.Threshold, []string{"threshold"}},
}

// knobsOf finds the adjustments that the device has.
func knobsOf(options []scan.Option) []knob {
	var knobs []knob
	for _, names := range knobNames {
		for _, name := range names.options {
			if k, ok := newKnob(names.adjustment, name, options); ok {
				knobs = append(knobs, k)
				break
			}
		}
	}
	return knobs
}

// steps is how many different values an adjustment has at least.
const steps = 20

func newKnob(a escl.Adjustment, name string, options []scan.Option) (knob, bool) {
	for _, o := range options {
		number := o.Type == scan.OptionInt || o.Type == scan.OptionFixed
		if o.Name != name || !number || o.ReadOnly || o.Min == nil || o.Max == nil || *o.Min >= *o.Max {
			continue
		}
		lineart := a == escl.Threshold
		if o.Inactive && !lineart {
			continue // what makes it settable cannot be said in eSCL
		}
		k := knob{adjustment: a, option: name, scale: 1, lineart: lineart}
		for o.Type == scan.OptionFixed && k.scale < 100 && (*o.Max-*o.Min)*k.scale < steps {
			k.scale *= 10 // a gamma from 0.3 to 3 becomes 3 to 30
		}
		k.limits = escl.Range{Min: int(math.Ceil(*o.Min * k.scale)), Max: int(math.Floor(*o.Max * k.scale)), Step: max(int(o.Step*k.scale), 1)}
		if k.limits.Min >= k.limits.Max {
			continue
		}
		normal, err := strconv.ParseFloat(o.Default, 64)
		if err != nil {
			normal = 0
		}
		k.limits.Normal = min(max(int(math.Round(normal*k.scale)), k.limits.Min), k.limits.Max)
		return k, true
	}
	return knob{}, false
}

// value is what the option is set to for an adjustment; ok is false where the device is
// to do as it does anyway.
func (k knob) value(asked int, mode scan.ColorMode) (string, bool) {
	if asked == k.limits.Normal || k.lineart && mode != scan.ModeLineart {
		return "", false
	}
	asked = min(max(asked, k.limits.Min), k.limits.Max)
	return strconv.FormatFloat(float64(asked)/k.scale, 'f', -1, 64), true
}

// compression is the range of CompressionFactor: what JPEG quality lacks of 100.
var compression = escl.Range{Min: 0, Max: 99, Normal: 15, Step: 1}

func quality(factor int) int { return 100 - min(max(factor, compression.Min), compression.Max) }
