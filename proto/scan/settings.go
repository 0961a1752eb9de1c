package scan

// Settings say how to scan. A zero field means "not said": Capabilities.Resolve
// fills it in.
type Settings struct {
	Source     Source    `json:"source,omitempty"`
	Mode       ColorMode `json:"mode,omitempty"`
	Depth      int       `json:"depth,omitempty"`      // bits per sample: 1, 8 or 16
	Resolution int       `json:"resolution,omitempty"` // dots per inch, both axes
	Region     *Region   `json:"region,omitempty"`     // nil: all that the source can see
	Pages      int       `json:"pages,omitempty"`      // 0: one from the glass, all from a feeder
	Format     Format    `json:"format,omitempty"`     // master format of the stored pages
	Quality    int       `json:"quality,omitempty"`    // JPEG quality, 1 to 100

	// Options are the device's own options by name, as in Capabilities.Options.
	// Values are written as the device's documentation writes them ("yes", "12", "3.5").
	Options map[string]string `json:"options,omitempty"`
}

// Region is a rectangle on the source in millimetres, from its top left corner.
type Region struct {
	X      float64 `json:"x"`
	Y      float64 `json:"y"`
	Width  float64 `json:"width"`
	Height float64 `json:"height"`
}

// MMPerInch converts between resolutions and lengths.
const MMPerInch = 25.4

// Pixels is the number of dots that mm millimetres have at dpi.
func Pixels(mm float64, dpi int) int { return int(mm*float64(dpi)/MMPerInch + 0.5) }
