package scan

import (
	"fmt"
	"slices"
)

// Source is where a sheet is taken from.
type Source string

// The sources, in the words of the field (PWG 5100.17, eSCL InputSource).
const (
	SourcePlaten    Source = "platen"     // the glass
	SourceADF       Source = "adf"        // feeder, front sides
	SourceADFDuplex Source = "adf-duplex" // feeder, both sides
)

// Sources lists every Source in the order that user interfaces show them.
var Sources = []Source{SourcePlaten, SourceADF, SourceADFDuplex}

// Feeder reports whether the source takes sheets from a feeder.
func (s Source) Feeder() bool { return s == SourceADF || s == SourceADFDuplex }

func (s Source) String() string { return string(s) }

// UnmarshalText refuses what is not a Source.
func (s *Source) UnmarshalText(b []byte) error { return unmarshalEnum(s, b, "source", Sources) }

// ColorMode is the kind of samples a page has.
type ColorMode string

// The colour modes.
const (
	ModeColor   ColorMode = "color"   // three channels, 8 or 16 bits each
	ModeGray    ColorMode = "gray"    // one channel, 8 or 16 bits
	ModeLineart ColorMode = "lineart" // one channel, 1 bit
)

// ColorModes lists every ColorMode.
var ColorModes = []ColorMode{ModeColor, ModeGray, ModeLineart}

func (m ColorMode) String() string { return string(m) }

// UnmarshalText refuses what is not a ColorMode.
func (m *ColorMode) UnmarshalText(b []byte) error {
	return unmarshalEnum(m, b, "mode", ColorModes)
}

// Format is a file format of one page.
type Format string

// The page formats. JPEG and PNG are master formats: what a page is stored as.
// TIFF and PNM are only made on request, from a master.
const (
	FormatJPEG Format = "jpeg"
	FormatPNG  Format = "png"
	FormatTIFF Format = "tiff"
	FormatPNM  Format = "pnm"
)

// Formats lists every Format.
var Formats = []Format{FormatJPEG, FormatPNG, FormatTIFF, FormatPNM}

var mediaTypes = map[Format]string{
	FormatJPEG: "image/jpeg",
	FormatPNG:  "image/png",
	FormatTIFF: "image/tiff",
	FormatPNM:  "image/x-portable-anymap",
}

// MediaType is the format's MIME type.
func (f Format) MediaType() string { return mediaTypes[f] }

// Master reports whether pages can be stored in this format.
func (f Format) Master() bool { return f == FormatJPEG || f == FormatPNG }

func (f Format) String() string { return string(f) }

// UnmarshalText refuses what is not a Format.
func (f *Format) UnmarshalText(b []byte) error { return unmarshalEnum(f, b, "format", Formats) }

// Side tells which side of a sheet a page shows.
type Side string

// The sides.
const (
	SideFront Side = "front"
	SideBack  Side = "back"
)

func unmarshalEnum[E ~string](dst *E, b []byte, what string, known []E) error {
	v := E(b)
	if !slices.Contains(known, v) {
		return fmt.Errorf("%s %q is not one of %v", what, clip(string(b)), known)
	}
	*dst = v
	return nil
}

// clip bounds what a client sent before it is repeated in a message.
func clip(s string) string {
	if len(s) > 40 {
		return s[:40] + "…"
	}
	return s
}
