package escl

import (
	"slices"
	"strings"
)

// adjustments in the order in which they are written.
var adjustments = []Adjustment{
	Brightness, CompressionFactor, Contrast, Gamma, Highlight, NoiseRemoval, Shadow, Sharpen, Threshold,
}

const support = "Support" // follows an adjustment's name in Capabilities

// XML is the document ScannerCapabilities. Each source has its settings in full: not all
// clients follow references to shared profiles. Some elements are there even if they are
// empty: ScanBridge (Android) refuses scanners without SerialNumber, AdfOptions, ColorModes
// or SupportedIntents.
func (c *Capabilities) XML() []byte {
	return document("scan:ScannerCapabilities", func(w *writer) {
		w.text("pwg:Version", orVersion(c.Version))
		w.text("pwg:MakeAndModel", c.MakeAndModel)
		w.text("pwg:SerialNumber", c.SerialNumber)
		w.maybe("pwg:Manufacturer", c.Manufacturer)
		w.text("scan:UUID", c.UUID)
		w.maybe("scan:AdminURI", c.AdminURI)
		w.maybe("scan:IconURI", c.IconURI)
		w.maybe("scan:Naps2Extensions", c.Naps2)
		if c.Platen != nil {
			w.in("scan:Platen", "", func() { c.Platen.write(w, "scan:PlatenInputCaps") })
		}
		if c.Simplex != nil || c.Duplex != nil || c.Feeder != (FeederCaps{}) {
			w.in("scan:Adf", "", func() { c.writeFeeder(w) })
		}
		for _, a := range adjustments {
			if r, ok := c.Adjustments[a]; ok {
				w.in("scan:"+string(a)+support, "", func() { r.write(w) })
			}
		}
		if c.JobSource {
			w.flag("scan:JobSourceInfoSupport", true)
		}
	})
}

func orVersion(version string) string {
	if version == "" {
		return Version
	}
	return version
}

func (c *Capabilities) writeFeeder(w *writer) {
	if c.Simplex != nil {
		c.Simplex.write(w, "scan:AdfSimplexInputCaps")
	}
	if c.Duplex != nil {
		c.Duplex.write(w, "scan:AdfDuplexInputCaps")
	}
	if c.Feeder.Capacity > 0 {
		w.number("scan:FeederCapacity", c.Feeder.Capacity)
	}
	w.in("scan:AdfOptions", "", func() {
		if c.Feeder.DetectsLoad {
			w.text("scan:AdfOption", "DetectPaperLoaded")
		}
		if c.Duplex != nil {
			w.text("scan:AdfOption", "Duplex")
		}
	})
	if c.Feeder.AlignX != "" || c.Feeder.AlignY != "" {
		w.in("scan:Justification", "", func() {
			w.maybe("pwg:XImagePosition", c.Feeder.AlignX)
			w.maybe("pwg:YImagePosition", c.Feeder.AlignY)
		})
	}
}

func (r Range) write(w *writer) {
	w.number("scan:Min", r.Min)
	w.number("scan:Max", r.Max)
	w.number("scan:Normal", r.Normal)
	w.number("scan:Step", r.Step)
}

func (in *InputCaps) write(w *writer, name string) {
	w.in(name, "", func() {
		w.number("scan:MinWidth", in.MinWidth)
		w.number("scan:MaxWidth", in.MaxWidth)
		w.number("scan:MinHeight", in.MinHeight)
		w.number("scan:MaxHeight", in.MaxHeight)
		w.number("scan:MaxXOffset", max(0, in.MaxWidth-in.MinWidth))
		w.number("scan:MaxYOffset", max(0, in.MaxHeight-in.MinHeight))
		if in.MaxResolution > 0 {
			w.number("scan:MaxOpticalXResolution", in.MaxResolution)
			w.number("scan:MaxOpticalYResolution", in.MaxResolution)
		}
		w.number("scan:MaxScanRegions", 1)
		w.in("scan:SettingProfiles", "", func() {
			w.in("scan:SettingProfile", "", func() { in.writeProfile(w) })
		})
		list(w, "scan:SupportedIntents", "scan:Intent", in.Intents)
	})
}

func (in *InputCaps) writeProfile(w *writer) {
	list(w, "scan:ColorModes", "scan:ColorMode", in.Modes)
	w.in("scan:DocumentFormats", "", func() {
		for _, name := range []string{"pwg:DocumentFormat", "scan:DocumentFormatExt"} {
			for _, f := range in.Formats {
				w.text(name, f)
			}
		}
	})
	w.in("scan:SupportedResolutions", "", func() {
		w.in("scan:DiscreteResolutions", "", func() {
			for _, dpi := range in.Resolutions {
				w.in("scan:DiscreteResolution", "", func() {
					w.number("scan:XResolution", dpi)
					w.number("scan:YResolution", dpi)
				})
			}
		})
	})
}

// ParseCapabilities reads the document ScannerCapabilities.
func ParseCapabilities(b []byte) (*Capabilities, error) {
	r, root, err := read(b, MaxDocument, "ScannerCapabilities")
	if err != nil {
		return nil, err
	}
	c := &Capabilities{
		Version:      r.version(root),
		MakeAndModel: root.child("MakeAndModel").word(),
		Manufacturer: root.child("Manufacturer").word(),
		SerialNumber: root.child("SerialNumber").word(),
		UUID:         bareUUID(root.child("UUID").word()),
		AdminURI:     root.child("AdminURI").word(),
		IconURI:      root.child("IconURI").word(),
		Naps2:        root.child("Naps2Extensions").word(),
		JobSource:    r.flag("JobSourceInfoSupport", root.child("JobSourceInfoSupport").word()),
	}
	shared := map[string]*element{}
	for _, p := range root.child("SettingProfiles").all("SettingProfile") {
		shared[p.attr("name")] = p
	}
	c.Platen = r.inputCaps(root.child("Platen").child("PlatenInputCaps"), shared)
	adf := root.child("Adf")
	c.Simplex = r.inputCaps(adf.child("AdfSimplexInputCaps"), shared)
	c.Duplex = r.inputCaps(adf.child("AdfDuplexInputCaps"), shared)
	place := adf.child("Justification")
	c.Feeder = FeederCaps{
		Capacity:    r.size(adf, "FeederCapacity"),
		DetectsLoad: slices.Contains(adf.child("AdfOptions").words("AdfOption"), "DetectPaperLoaded"),
		AlignX:      place.child("XImagePosition").word(),
		AlignY:      place.child("YImagePosition").word(),
	}
	for _, a := range adjustments {
		if e := root.child(string(a) + support); e != nil {
			if c.Adjustments == nil {
				c.Adjustments = map[Adjustment]Range{}
			}
			c.Adjustments[a] = r.bounds(e)
		}
	}
	if r.err != nil {
		return nil, r.err
	}
	return c, nil
}

// version of a document; the oldest if it says none.
func (r *reader) version(e *element) string {
	if v := e.child("Version").word(); v != "" {
		return v
	}
	return "2.0"
}

// bareUUID drops the prefix that some devices give a UUID.
func bareUUID(s string) string {
	const prefix = "urn:uuid:"
	for len(s) >= len(prefix) && strings.EqualFold(s[:len(prefix)], prefix) {
		s = strings.TrimSpace(s[len(prefix):])
	}
	return s
}

func (r *reader) bounds(e *element) (b Range) {
	b.Min, _ = r.number(e, "Min")
	b.Max, _ = r.number(e, "Max")
	b.Normal, _ = r.number(e, "Normal")
	b.Step, _ = r.number(e, "Step")
	return b
}
