package escl

import (
	"slices"
	"strings"
	"unicode/utf8"
)

// maxPair is what a "key=value" of a TXT record can have (RFC 6763, section 6.1).
const maxPair = 255

// Text is what the TXT record of the scanner's DNS-SD service says of it. The location
// (note), a page for people (adminurl) and an icon (representation) are the caller's to
// add: they depend on the address. The root "eSCL" is without a slash before it because
// Windows 11 wants it so.
func (c *Capabilities) Text() map[string]string {
	text := map[string]string{"txtvers": "1", "rs": "eSCL", "vers": c.Version, "duplex": "F"}
	if c.Version == "" {
		text["vers"] = Version
	}
	var sources, formats, colors []string
	var modes []ColorMode
	if c.Platen != nil {
		sources = append(sources, "platen")
	}
	if c.Simplex != nil || c.Duplex != nil {
		sources = append(sources, "adf")
	}
	if c.Duplex != nil {
		text["duplex"] = "T"
	}
	for _, in := range []*InputCaps{c.Platen, c.Simplex, c.Duplex} {
		if in == nil {
			continue
		}
		modes = append(modes, in.Modes...)
		for _, f := range in.Formats {
			if !slices.Contains(formats, f) {
				formats = append(formats, f)
			}
		}
	}
	for _, color := range []struct {
		word  string
		modes []ColorMode
	}{
		{"binary", []ColorMode{BlackAndWhite1}},
		{"grayscale", []ColorMode{Grayscale8, Grayscale16}},
		{"color", []ColorMode{RGB24, RGB48}},
	} {
		if slices.ContainsFunc(modes, func(m ColorMode) bool { return slices.Contains(color.modes, m) }) {
			colors = append(colors, color.word)
		}
	}
	for key, value := range map[string]string{
		"ty":   c.MakeAndModel,
		"mfg":  c.Manufacturer,
		"mdl":  strings.TrimSpace(strings.TrimPrefix(c.MakeAndModel, c.Manufacturer)),
		"uuid": c.UUID,
		"is":   strings.Join(sources, ","),
		"pdl":  strings.Join(formats, ","),
		"cs":   strings.Join(colors, ","),
	} {
		if value != "" {
			text[key] = clip(value, maxPair-len(key)-1)
		}
	}
	return text
}

// clip shortens s to n bytes, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}
