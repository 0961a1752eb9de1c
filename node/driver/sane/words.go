package sane

import (
	"strings"

	"github.com/platen-scan/platen/proto/scan"
)

// Names of options that Platen itself sets or that mean something to it.
const (
	optSource      = "source"
	optMode        = "mode"
	optDepth       = "depth"
	optResolution  = "resolution"
	optXResolution = "x-resolution"
	optYResolution = "y-resolution"
	optTLX         = "tl-x"
	optTLY         = "tl-y"
	optBRX         = "br-x"
	optBRY         = "br-y"
	optPageWidth   = "page-width"
	optPageHeight  = "page-height"
	optDuplex      = "duplex"
	optPageLoaded  = "page-loaded"
	optCoverOpen   = "cover-open"
)

// adfModes are the names of options that choose between one and two sides.
var adfModes = []string{"adf-mode", "adf_mode"}

// mapped are the options that fields of scan.Settings cover.
var mapped = map[string]bool{
	optSource: true, optMode: true, optDepth: true, optResolution: true, optXResolution: true, optYResolution: true,
	"resolution-bind": true, optTLX: true, optTLY: true, optBRX: true, optBRY: true, optPageWidth: true, optPageHeight: true,
	"preview": true, "preview-in-gray": true,
}

// withheld reports whether an option names files of the node's computer, which is
// nobody's business who may scan.
func withheld(name string) bool {
	return name == "file" || strings.Contains(name, "filename") || strings.HasSuffix(name, "-file") || strings.Contains(name, "profile")
}

// sourceKind says what a value of the option source means. Values differ from back end
// to back end, and some are translated.
func sourceKind(value string) scan.Source {
	v := strings.ToLower(value)
	has := func(words ...string) bool {
		for _, w := range words {
			if strings.Contains(v, w) {
				return true
			}
		}
		return false
	}
	switch {
	case has("transparency", "negative", "slide", "film", "tpu", "adf back", "card back"):
		return "" // nothing that Platen scans
	case has("duplex", "2-sided", "both sides", "double-sided"):
		return scan.SourceADFDuplex
	case has("adf", "feeder", "card front") || v == "dp":
		return scan.SourceADF
	case has("flatbed", "platen", "glass") || v == "normal" || v == "auto":
		return scan.SourcePlaten
	}
	return ""
}

// modeKind says what a value of the option mode means: the colours, the bits if the
// words tell (else 0), and how well it fits, the smaller the better.
func modeKind(value string) (mode scan.ColorMode, depth, rank int) {
	v := strings.ToLower(value)
	has := func(w string) bool { return strings.Contains(v, w) }
	if has("[") || has("fast") || has("infrared") {
		rank += 2 // a variant of what comes plain as well
	}
	switch {
	case has("16 bit") || has("16bit") || has("48 bit") || has("48bit"):
		depth = 16
	case has("color - 16 million") || has("24bit") || has("24 bit") || has("8 bit") || has("8bit") || has("256"):
		depth = 8
	}
	switch {
	case has("error diffusion") || has("halftone") || has("dither"):
		return scan.ModeLineart, 1, rank + 4
	case has("lineart") || has("line art") || has("black & white") || has("black and white") || has("binary") || has("monochrome") || v == "bw":
		return scan.ModeLineart, 1, rank
	case has("gray") || has("grey"):
		return scan.ModeGray, depth, rank
	case has("color") || has("colour") || has("rgb"):
		return scan.ModeColor, depth, rank
	}
	return "", 0, 0
}
