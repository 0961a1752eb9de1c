package scan

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
)

// SettingsError names the field of Settings that a scanner cannot do.
type SettingsError struct {
	Field  string // JSON path below settings, as "resolution" or "options.gamma"
	Reason string // what is wrong and what is possible, for people
}

func (e *SettingsError) Error() string { return e.Field + ": " + e.Reason }

const (
	defaultResolution = 300
	defaultQuality    = 85
	maxPages          = 1000
	maxOptions        = 64
)

// Resolve checks s against what the scanner can do and fills in what s leaves
// open, in one pass. The result is complete: every field but Region and Options
// is set, and a nil Region means the whole area. An error is a *SettingsError.
func (c *Capabilities) Resolve(s Settings) (Settings, error) {
	if len(c.Sources) == 0 {
		return s, &SettingsError{"source", "this scanner offers no source"}
	}
	src, err := c.resolveSource(&s)
	if err != nil {
		return s, err
	}
	for _, step := range []func(SourceCapabilities, *Settings) error{
		resolveMode, resolveResolution, resolveRegion, resolvePages, c.resolveFormat, c.resolveOptions,
	} {
		if err := step(src, &s); err != nil {
			return s, err
		}
	}
	return s, nil
}

func (c *Capabilities) resolveSource(s *Settings) (SourceCapabilities, error) {
	if s.Source == "" {
		s.Source = c.Sources[0].Source
		if _, ok := c.Source(c.Defaults.Source); ok {
			s.Source = c.Defaults.Source
		}
	}
	src, ok := c.Source(s.Source)
	if !ok {
		names := make([]string, len(c.Sources))
		for i, sc := range c.Sources {
			names[i] = sc.Source.String()
		}
		return src, &SettingsError{"source", fmt.Sprintf("this scanner has no source %q; it has %s", clip(s.Source.String()), strings.Join(names, ", "))}
	}
	return src, nil
}

func resolveMode(src SourceCapabilities, s *Settings) error {
	if len(src.Modes) == 0 {
		return &SettingsError{"mode", "this source offers no colour mode"}
	}
	if s.Mode == "" {
		s.Mode = preferredMode(src, s.Depth)
	}
	i := slices.IndexFunc(src.Modes, func(m ModeDepths) bool { return m.Mode == s.Mode })
	if i < 0 {
		names := make([]string, len(src.Modes))
		for i, m := range src.Modes {
			names[i] = m.Mode.String()
		}
		return &SettingsError{"mode", fmt.Sprintf("%q is not offered by this source; it has %s", clip(s.Mode.String()), strings.Join(names, ", "))}
	}
	depths := src.Modes[i].Depths
	if s.Depth == 0 && len(depths) > 0 {
		s.Depth = depths[0]
	}
	if !slices.Contains(depths, s.Depth) {
		return &SettingsError{"depth", fmt.Sprintf("%d bits are not offered in mode %s; it has %v", s.Depth, s.Mode, depths)}
	}
	return nil
}

// preferredMode is the source's default mode, or the first one that has the depth asked for.
func preferredMode(src SourceCapabilities, depth int) ColorMode {
	if src.Defaults != nil {
		for _, m := range src.Modes {
			if m.Mode == src.Defaults.Mode && (depth == 0 || slices.Contains(m.Depths, depth)) {
				return m.Mode
			}
		}
	}
	for _, m := range src.Modes {
		if depth != 0 && slices.Contains(m.Depths, depth) {
			return m.Mode
		}
	}
	return src.Modes[0].Mode
}

func resolveResolution(src SourceCapabilities, s *Settings) error {
	if s.Resolution == 0 {
		want := defaultResolution
		if src.Defaults != nil && src.Defaults.Resolution > 0 {
			want = src.Defaults.Resolution
		}
		s.Resolution = src.Resolutions.Nearest(want)
	}
	if !src.Resolutions.Has(s.Resolution) {
		return &SettingsError{"resolution", fmt.Sprintf("%d dpi is not offered; the source has %s", s.Resolution, src.Resolutions)}
	}
	return nil
}

// regionSlack lets a client ask for A4 of a device that reports 209.97 mm.
const regionSlack = 0.5

func resolveRegion(src SourceCapabilities, s *Settings) error {
	if s.Region == nil {
		return nil
	}
	r, a := *s.Region, src.Area
	const limit = 1e5
	for _, v := range []float64{r.X, r.Y, r.Width, r.Height} {
		if !(v >= 0 && v <= limit) { // also refuses NaN
			return &SettingsError{"region", "x, y, width and height are millimetres from 0"}
		}
	}
	if r.Width == 0 || r.Height == 0 {
		return &SettingsError{"region", "width and height must be more than 0 mm"}
	}
	if r.Width < a.MinWidth-regionSlack || r.Height < a.MinHeight-regionSlack {
		return &SettingsError{"region", fmt.Sprintf("the smallest region is %.1f × %.1f mm", a.MinWidth, a.MinHeight)}
	}
	if r.X+r.Width > a.MaxWidth+regionSlack || r.Y+r.Height > a.MaxHeight+regionSlack {
		return &SettingsError{"region", fmt.Sprintf("the region ends outside the source, which is %.1f × %.1f mm", a.MaxWidth, a.MaxHeight)}
	}
	r.Width = min(r.Width, a.MaxWidth-r.X)
	r.Height = min(r.Height, a.MaxHeight-r.Y)
	if r.Width <= 0 || r.Height <= 0 {
		return &SettingsError{"region", fmt.Sprintf("the region begins outside the source, which is %.1f × %.1f mm", a.MaxWidth, a.MaxHeight)}
	}
	s.Region = &r
	return nil
}

func resolvePages(src SourceCapabilities, s *Settings) error {
	if s.Pages < 0 || s.Pages > maxPages {
		return &SettingsError{"pages", fmt.Sprintf("must be from 0 (all) to %d", maxPages)}
	}
	if s.Pages == 0 && !src.Source.Feeder() {
		s.Pages = 1
	}
	return nil
}

func (c *Capabilities) resolveFormat(_ SourceCapabilities, s *Settings) error {
	if s.Format == "" {
		s.Format = FormatPNG // keeps 1 and 16 bits; JPEG has 8 only
		if s.Depth == 8 {
			s.Format = FormatJPEG
		}
	}
	if !s.Format.Master() || !slices.Contains(c.Formats, s.Format) {
		return &SettingsError{"format", fmt.Sprintf("pages are not stored as %q; %v are possible", clip(s.Format.String()), c.Formats)}
	}
	if s.Format == FormatJPEG && s.Depth != 8 {
		return &SettingsError{"format", fmt.Sprintf("jpeg holds 8 bits a sample, not %d; ask for png", s.Depth)}
	}
	if s.Quality == 0 {
		s.Quality = defaultQuality
	}
	if s.Quality < 1 || s.Quality > 100 {
		return &SettingsError{"quality", "must be from 1 to 100"}
	}
	return nil
}

func (c *Capabilities) resolveOptions(_ SourceCapabilities, s *Settings) error {
	if len(s.Options) > maxOptions {
		return &SettingsError{"options", fmt.Sprintf("at most %d can be set", maxOptions)}
	}
	for name, value := range s.Options {
		i := slices.IndexFunc(c.Options, func(o Option) bool { return o.Name == name })
		field := "options." + clip(name)
		if i < 0 {
			return &SettingsError{field, "this scanner has no such option"}
		}
		if reason := c.Options[i].check(value); reason != "" {
			return &SettingsError{field, reason}
		}
	}
	return nil
}

// check says why value cannot be set, or "".
func (o Option) check(value string) string {
	if o.ReadOnly {
		return "can be read but not set"
	}
	switch o.Type {
	case OptionBool:
		if value != "yes" && value != "no" {
			return `must be "yes" or "no"`
		}
	case OptionInt, OptionFixed:
		return o.checkNumber(value)
	case OptionString:
		if len(o.Values) > 0 && !slices.Contains(o.Values, value) {
			return fmt.Sprintf("must be one of %s", strings.Join(o.Values, ", "))
		}
	case OptionButton:
	}
	return ""
}

func (o Option) checkNumber(value string) string {
	v, err := strconv.ParseFloat(value, 64)
	if err != nil || v != v || (o.Type == OptionInt && v != float64(int64(v))) {
		return fmt.Sprintf("must be a number, not %q", clip(value))
	}
	if len(o.Values) > 0 {
		for _, known := range o.Values {
			if k, err := strconv.ParseFloat(known, 64); err == nil && k == v {
				return ""
			}
		}
		return fmt.Sprintf("must be one of %s", strings.Join(o.Values, ", "))
	}
	switch {
	case o.Min != nil && v < *o.Min:
		return fmt.Sprintf("must be at least %v", *o.Min)
	case o.Max != nil && v > *o.Max:
		return fmt.Sprintf("must be at most %v", *o.Max)
	}
	return ""
}
