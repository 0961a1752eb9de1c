package virtual

import (
	"context"

	"github.com/platen-scan/platen/proto/scan"
)

// The size of every sheet and of the glass: A4, in millimetres.
const (
	sheetWidth  = 210.0
	sheetHeight = 297.0
)

var resolutions = []int{75, 100, 150, 200, 240, 300, 400, 600, 1200}

// Capabilities are the same at all times.
func (d *device) Capabilities(context.Context) (scan.Capabilities, error) {
	source := func(s scan.Source) scan.SourceCapabilities {
		sc := scan.SourceCapabilities{
			Source: s,
			Modes: []scan.ModeDepths{
				{Mode: scan.ModeColor, Depths: []int{8, 16}},
				{Mode: scan.ModeGray, Depths: []int{8, 16}},
				{Mode: scan.ModeLineart, Depths: []int{1}},
			},
			Resolutions: scan.Resolutions{Values: resolutions},
			Area:        scan.Area{MinWidth: 10, MinHeight: 10, MaxWidth: sheetWidth, MaxHeight: sheetHeight},
		}
		if s.Feeder() {
			sc.Feeder = &scan.FeederAbilities{Capacity: maxSheets, DetectsLoad: true}
		}
		return sc
	}
	c := scan.Capabilities{
		Formats: []scan.Format{scan.FormatJPEG, scan.FormatPNG},
		Options: describeOptions(),
	}
	for _, s := range scan.Sources {
		c.Sources = append(c.Sources, source(s))
	}
	var err error
	c.Defaults, err = c.Resolve(scan.Settings{})
	return c, err
}
