package airscan

import (
	"cmp"
	"math"
	"slices"
	"strings"

	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

// naps2 are the extensions of NAPS2 that are answered here.
const naps2 = "Progress;ErrorDetails"

// usual are the resolutions that a scanner with a range is said to have: clients take a
// list and nothing else.
var usual = []int{75, 100, 150, 200, 240, 300, 400, 600, 1200, 2400}

// colorMode is one in words of eSCL, and in ours.
type colorMode struct {
	name  escl.ColorMode
	mode  scan.ColorMode
	depth int // bits per sample
}

// modes pairs the colour modes of eSCL, in their order, with the device's.
var modes = []colorMode{
	{escl.BlackAndWhite1, scan.ModeLineart, 1},
	{escl.Grayscale8, scan.ModeGray, 8},
	{escl.Grayscale16, scan.ModeGray, 16},
	{escl.RGB24, scan.ModeColor, 8},
	{escl.RGB48, scan.ModeColor, 16},
}

// translate says in words of eSCL what the scanner can do, and nothing that it cannot.
func (k *known) translate() escl.Capabilities {
	c := escl.Capabilities{
		Version: escl.Version, MakeAndModel: makeAndModel(k.scanner), Manufacturer: k.scanner.Make,
		UUID: escl.UUIDOf(k.scanner.ID), Naps2: naps2, JobSource: true, Adjustments: map[escl.Adjustment]escl.Range{},
	}
	for _, src := range k.caps.Sources {
		in := k.inputCaps(src)
		if in == nil {
			continue
		}
		switch src.Source {
		case scan.SourcePlaten:
			c.Platen = in
		case scan.SourceADF:
			c.Simplex = in
		case scan.SourceADFDuplex:
			c.Duplex = in
		}
		if src.Feeder != nil {
			c.Feeder.Capacity = max(c.Feeder.Capacity, src.Feeder.Capacity)
			c.Feeder.DetectsLoad = c.Feeder.DetectsLoad || src.Feeder.DetectsLoad
		}
	}
	for _, n := range k.knobs {
		c.Adjustments[n.adjustment] = n.limits
	}
	if k.stores(scan.FormatJPEG) {
		c.Adjustments[escl.CompressionFactor] = compression
	}
	return c
}

// makeAndModel is what people know the device as; many say the make in the model too.
func makeAndModel(s scan.Scanner) string {
	if s.Make == "" || strings.HasPrefix(strings.ToLower(s.Model), strings.ToLower(s.Make)) {
		return cmp.Or(s.Model, s.Name)
	}
	return strings.TrimSpace(s.Make + " " + s.Model)
}

// inputCaps describe a source, nil where nothing can be scanned from it.
func (k *known) inputCaps(src scan.SourceCapabilities) *escl.InputCaps {
	in := &escl.InputCaps{
		MinWidth: max(roundUp(src.Area.MinWidth), 1), MaxWidth: units(src.Area.MaxWidth),
		MinHeight: max(roundUp(src.Area.MinHeight), 1), MaxHeight: units(src.Area.MaxHeight),
		Resolutions: resolutions(src.Resolutions),
		Intents:     []escl.Intent{escl.Document, escl.TextAndGraphic, escl.Photo},
	}
	if !src.Source.Feeder() {
		in.Intents = append(in.Intents, escl.Preview)
	}
	for _, m := range modes {
		if has(src, m.mode, m.depth) && (m.depth == 8 || k.stores(scan.FormatPNG)) {
			in.Modes = append(in.Modes, m.name)
		}
	}
	if in.MaxWidth < in.MinWidth || in.MaxHeight < in.MinHeight || len(in.Modes) == 0 || len(in.Resolutions) == 0 {
		return nil
	}
	in.MaxResolution = in.Resolutions[len(in.Resolutions)-1]
	in.Formats = k.formats(in.Modes)
	return in
}

func has(src scan.SourceCapabilities, mode scan.ColorMode, depth int) bool {
	return slices.ContainsFunc(src.Modes, func(m scan.ModeDepths) bool { return m.Mode == mode && slices.Contains(m.Depths, depth) })
}

// formats are those in which pages of these modes can be had.
func (k *known) formats(all []escl.ColorMode) []string {
	formats := []string{escl.PDF}
	if slices.Contains(all, escl.Grayscale8) || slices.Contains(all, escl.RGB24) {
		formats = append(formats, escl.JPEG)
	}
	if k.stores(scan.FormatPNG) {
		formats = append(formats, escl.PNG)
	}
	if slices.Contains(all, escl.BlackAndWhite1) {
		formats = append(formats, escl.TIFF)
	}
	return formats
}

func (k *known) stores(f scan.Format) bool { return slices.Contains(k.caps.Formats, f) }

// resolutions are all that a list has, or the usual ones of a range.
func resolutions(r scan.Resolutions) []int {
	if len(r.Values) > 0 {
		return r.Values
	}
	var list []int
	for _, dpi := range usual {
		if r.Has(dpi) {
			list = append(list, dpi)
		}
	}
	if len(list) == 0 && r.Max > 0 {
		list = []int{r.Nearest(usual[len(usual)/2])}
	}
	return list
}

// units is a length in 1/300 inch, never more than it is.
func units(mm float64) int { return int(math.Floor(mm*escl.PerInch/scan.MMPerInch + rounding)) }

// roundUp is a length in 1/300 inch, never less than it is.
func roundUp(mm float64) int { return int(math.Ceil(mm*escl.PerInch/scan.MMPerInch - rounding)) }

// rounding is what the conversion of a whole number of units may be off.
const rounding = 1e-6

// millimetres is the way back.
func millimetres(units int) float64 { return float64(units) * scan.MMPerInch / escl.PerInch }
