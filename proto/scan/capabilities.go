package scan

import (
	"fmt"
	"slices"
	"sort"
	"strconv"
	"strings"
)

// Capabilities say what a scanner can do. They are asked of the device, never
// assumed; a value that the device does not offer is absent.
type Capabilities struct {
	Sources  []SourceCapabilities `json:"sources"`
	Formats  []Format             `json:"formats"`           // master formats
	Options  []Option             `json:"options,omitempty"` // the device's own, in its order
	Defaults Settings             `json:"defaults"`          // complete: Resolve of the zero Settings
}

// SourceCapabilities say what one source of a scanner can do.
type SourceCapabilities struct {
	Source      Source           `json:"source"`
	Modes       []ModeDepths     `json:"modes"`
	Resolutions Resolutions      `json:"resolutions"`
	Area        Area             `json:"area"`
	Defaults    *SourceDefaults  `json:"defaults,omitempty"`
	Feeder      *FeederAbilities `json:"feeder,omitempty"` // nil for the glass
}

// SourceDefaults are the device's preferences for one source.
type SourceDefaults struct {
	Mode       ColorMode `json:"mode,omitempty"`
	Resolution int       `json:"resolution,omitempty"`
}

// FeederAbilities describe a document feeder.
type FeederAbilities struct {
	Capacity    int  `json:"capacity,omitempty"`    // sheets; 0 unknown
	DetectsLoad bool `json:"detectsLoad,omitempty"` // Status.Feeder is true, not a guess
}

// ModeDepths pairs a colour mode with its bits per sample, best default first.
type ModeDepths struct {
	Mode   ColorMode `json:"mode"`
	Depths []int     `json:"depths"`
}

// Resolutions are either listed or a range with a step, in dots per inch.
type Resolutions struct {
	Values []int `json:"values,omitempty"` // ascending; empty: the range counts
	Min    int   `json:"min,omitempty"`
	Max    int   `json:"max,omitempty"`
	Step   int   `json:"step,omitempty"` // 0 or 1: every whole number
}

// Has reports whether dpi can be asked for.
func (r Resolutions) Has(dpi int) bool {
	if len(r.Values) > 0 {
		return slices.Contains(r.Values, dpi)
	}
	return dpi >= r.Min && dpi <= r.Max && (r.Step <= 1 || (dpi-r.Min)%r.Step == 0)
}

// Nearest is the resolution closest to dpi that can be asked for, the finer of two equals.
func (r Resolutions) Nearest(dpi int) int {
	if len(r.Values) > 0 {
		i := sort.SearchInts(r.Values, dpi)
		switch {
		case i == 0:
			return r.Values[0]
		case i == len(r.Values):
			return r.Values[i-1]
		case r.Values[i]-dpi <= dpi-r.Values[i-1]:
			return r.Values[i]
		}
		return r.Values[i-1]
	}
	dpi = min(max(dpi, r.Min), r.Max)
	if r.Step > 1 {
		dpi = r.Min + (dpi-r.Min+r.Step/2)/r.Step*r.Step
		if dpi > r.Max {
			dpi -= r.Step
		}
	}
	return dpi
}

func (r Resolutions) String() string {
	if len(r.Values) > 0 {
		words := make([]string, len(r.Values))
		for i, v := range r.Values {
			words[i] = strconv.Itoa(v)
		}
		return strings.Join(words, ", ")
	}
	return fmt.Sprintf("%d to %d", r.Min, r.Max)
}

// Area bounds the scan region of a source, in millimetres.
type Area struct {
	MinWidth  float64 `json:"minWidth,omitempty"`
	MinHeight float64 `json:"minHeight,omitempty"`
	MaxWidth  float64 `json:"maxWidth"`
	MaxHeight float64 `json:"maxHeight"`
}

// OptionType is the type of a device option's value.
type OptionType string

// The option types (SANE standard, section 4.2.9.4).
const (
	OptionBool   OptionType = "bool" // "yes" or "no"
	OptionInt    OptionType = "int"
	OptionFixed  OptionType = "fixed" // decimal number
	OptionString OptionType = "string"
	OptionButton OptionType = "button" // setting it to anything presses it
)

// Option is an option of the device itself that no field of Settings covers.
type Option struct {
	Name        string     `json:"name"`
	Title       string     `json:"title,omitempty"`
	Description string     `json:"description,omitempty"`
	Group       string     `json:"group,omitempty"`
	Type        OptionType `json:"type"`
	Unit        string     `json:"unit,omitempty"` // "px", "bit", "mm", "dpi", "%" or "µs"
	Values      []string   `json:"values,omitempty"`
	Min         *float64   `json:"min,omitempty"`
	Max         *float64   `json:"max,omitempty"`
	Step        float64    `json:"step,omitempty"`
	Default     string     `json:"default,omitempty"`
	Advanced    bool       `json:"advanced,omitempty"`
	ReadOnly    bool       `json:"readOnly,omitempty"`
	Inactive    bool       `json:"inactive,omitempty"` // becomes settable when another option changes
}

// Source finds the capabilities of one source.
func (c *Capabilities) Source(s Source) (SourceCapabilities, bool) {
	for _, sc := range c.Sources {
		if sc.Source == s {
			return sc, true
		}
	}
	return SourceCapabilities{}, false
}
