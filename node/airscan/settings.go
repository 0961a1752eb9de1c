package airscan

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"mime"
	"net/http"

	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

// order is what a client asks for, as the API takes it, complete.
type order struct {
	Settings scan.Settings
	Format   string // MIME type of what the client gets
	Concat   bool   // all pages in one file
	Duplex   bool
}

// key is the same for the same order.
func (o order) key() string {
	b, _ := json.Marshal(o) // strings and numbers only
	return string(b)
}

func (o order) feeder() bool { return o.Settings.Source.Feeder() }

// Resolutions that clients mean who say none.
const (
	normalResolution  = 300
	previewResolution = 100
)

// order translates settings. loaded says that there is paper in the feeder for certain.
// The error is a refusal: the scanner cannot do that.
func (k *known) order(s *escl.Settings, loaded bool) (order, error) {
	var o order
	src, err := k.source(s, loaded)
	if err != nil {
		return o, err
	}
	o.Duplex = src.Source == scan.SourceADFDuplex
	o.Settings.Source = src.Source
	for _, step := range []func(*order, *escl.Settings, scan.SourceCapabilities) error{setMode, k.setFormat, setResolution, setRegion} {
		if err := step(&o, s, src); err != nil {
			return o, err
		}
	}
	if !o.feeder() {
		o.Settings.Pages = 1
	}
	o.Concat = s.Concat && o.feeder() && o.Format == escl.PDF
	if factor, said := s.Adjustments[escl.CompressionFactor]; said && o.Settings.Format == scan.FormatJPEG {
		o.Settings.Quality = quality(factor)
	}
	for _, n := range k.knobs {
		if asked, said := s.Adjustments[n.adjustment]; said {
			if value, set := n.value(asked, o.Settings.Mode); set {
				if o.Settings.Options == nil {
					o.Settings.Options = map[string]string{}
				}
				o.Settings.Options[n.option] = value
			}
		}
	}
	o.Settings, err = k.caps.Resolve(o.Settings)
	var wrong *scan.SettingsError
	if errors.As(err, &wrong) {
		return o, impossible("%s", wrong.Reason)
	}
	return o, err
}

func impossible(format string, args ...any) error {
	return &refusal{status: http.StatusConflict, text: fmt.Sprintf(format, args...)}
}

// source picks where the paper lies: where the client says, else where it is known to
// be, else on the glass.
func (k *known) source(s *escl.Settings, loaded bool) (scan.SourceCapabilities, error) {
	feeder := scan.SourceADF
	if s.Duplex {
		feeder = scan.SourceADFDuplex
	}
	want := scan.SourcePlaten
	switch s.Source {
	case escl.FromPlaten: // which has one side, whatever a client says
	case escl.FromFeeder:
		want = feeder
	case "":
		if loaded && k.has(feeder) || s.Duplex || k.offers.Platen == nil {
			want = feeder
		}
	default:
		return scan.SourceCapabilities{}, impossible("this scanner has no such source")
	}
	if !k.has(want) {
		return scan.SourceCapabilities{}, impossible("this scanner has no source %s", want)
	}
	src, _ := k.caps.Source(want)
	return src, nil
}

// has reports whether the source is offered.
func (k *known) has(s scan.Source) bool {
	return map[scan.Source]*escl.InputCaps{
		scan.SourcePlaten: k.offers.Platen, scan.SourceADF: k.offers.Simplex, scan.SourceADFDuplex: k.offers.Duplex,
	}[s] != nil
}

// preferred are the colour modes for clients that say none, the best first.
var preferred = []escl.ColorMode{escl.RGB24, escl.Grayscale8, escl.BlackAndWhite1, escl.RGB48, escl.Grayscale16}

func setMode(o *order, s *escl.Settings, src scan.SourceCapabilities) error {
	wanted := []escl.ColorMode{s.Mode}
	if s.Mode == "" {
		wanted = preferred
	}
	for _, name := range wanted {
		for _, m := range modes {
			if m.name == name && has(src, m.mode, m.depth) {
				o.Settings.Mode, o.Settings.Depth = m.mode, m.depth
				return nil
			}
		}
	}
	return impossible("this source does not have that colour mode")
}

// setFormat decides what the client gets and how the node stores it.
func (k *known) setFormat(o *order, s *escl.Settings, _ scan.SourceCapabilities) error {
	o.Settings.Format = scan.FormatJPEG
	if o.Settings.Depth != 8 || !k.stores(scan.FormatJPEG) {
		o.Settings.Format = scan.FormatPNG
	}
	o.Format = s.Format
	if o.Format == "" {
		o.Format = defaultFormat(s.Intent, o.Settings)
	}
	name, _, err := mime.ParseMediaType(o.Format)
	if err != nil {
		return impossible("there is no such document format")
	}
	switch o.Format = name; name {
	case escl.JPEG, "image/jpg":
		if o.Settings.Depth != 8 {
			return impossible("JPEG holds 8 bits a sample, not %d", o.Settings.Depth)
		}
		o.Format = escl.JPEG
	case escl.PNG, escl.TIFF:
		o.Settings.Format = scan.FormatPNG
	case escl.PDF:
	default:
		return impossible("pages cannot be had in this document format")
	}
	if !k.stores(o.Settings.Format) {
		return impossible("this scanner does not make pages for %s", o.Format)
	}
	return nil
}

func defaultFormat(intent escl.Intent, s scan.Settings) string {
	switch {
	case intent == escl.Document || intent == escl.TextAndGraphic:
		return escl.PDF
	case s.Format == scan.FormatPNG:
		return escl.PNG
	}
	return escl.JPEG
}

func setResolution(o *order, s *escl.Settings, src scan.SourceCapabilities) error {
	dpi := cmp.Or(s.Resolution, s.ResolutionY)
	switch {
	case s.ResolutionY != 0 && s.ResolutionY != dpi:
		return impossible("the resolution has to be the same in both directions")
	case dpi == 0 && s.Intent == escl.Preview:
		dpi = src.Resolutions.Nearest(previewResolution)
	case dpi == 0:
		dpi = src.Resolutions.Nearest(normalResolution)
	}
	o.Settings.Resolution = dpi
	return nil
}

// setRegion cuts what is asked for to what there is.
func setRegion(o *order, s *escl.Settings, src scan.SourceCapabilities) error {
	if s.Region == nil {
		return nil
	}
	x, width, okX := cut(s.Region.X, s.Region.Width, units(src.Area.MaxWidth))
	y, height, okY := cut(s.Region.Y, s.Region.Height, units(src.Area.MaxHeight))
	if !okX || !okY {
		return impossible("the region lies outside of the source")
	}
	o.Settings.Region = &scan.Region{X: millimetres(x), Y: millimetres(y), Width: millimetres(width), Height: millimetres(height)}
	return nil
}

// cut is the part of a line that lies within the limit.
func cut(from int, length *int, limit int) (at, rest int, ok bool) {
	to := limit
	if length != nil && *length < limit-max(from, 0) {
		to = max(from, 0) + *length
	}
	from = max(from, 0)
	return from, to - from, from < to
}

// complete is an order as a client would have to say it to leave nothing open.
func (k *known) complete(o order, asked *escl.Settings) escl.Settings {
	s := *asked
	s.Version, s.Format, s.Concat, s.Duplex = escl.Version, o.Format, o.Concat, o.Duplex
	s.Source = escl.FromPlaten
	if o.feeder() {
		s.Source = escl.FromFeeder
	}
	for _, m := range modes {
		if m.mode == o.Settings.Mode && m.depth == o.Settings.Depth {
			s.Mode = m.name
		}
	}
	s.Resolution, s.ResolutionY = o.Settings.Resolution, o.Settings.Resolution
	area := k.area(o)
	width, height := units(area.Width), units(area.Height)
	s.Region = &escl.Region{X: units(area.X), Y: units(area.Y), Width: &width, Height: &height}
	return s
}

// area is what an order scans.
func (k *known) area(o order) scan.Region {
	if o.Settings.Region != nil {
		return *o.Settings.Region
	}
	src, _ := k.caps.Source(o.Settings.Source)
	return scan.Region{Width: src.Area.MaxWidth, Height: src.Area.MaxHeight}
}

// bytesPerLine is that of raw samples.
func bytesPerLine(width int, mode scan.ColorMode, depth int) int {
	if mode == scan.ModeColor {
		depth *= 3
	}
	return (width*depth + 7) / 8
}
