package escl

import (
	"slices"
	"strings"
)

// usual are the resolutions that are offered of a range.
var usual = []int{75, 100, 150, 200, 240, 300, 400, 600, 1200, 2400, 4800}

// inputCaps reads what one source can do: the union of its profiles, as clients take it.
// shared are the profiles that sources refer to.
func (r *reader) inputCaps(e *element, shared map[string]*element) *InputCaps {
	if e == nil {
		return nil
	}
	in := &InputCaps{
		MinWidth: r.size(e, "MinWidth"), MaxWidth: r.size(e, "MaxWidth"),
		MinHeight: r.size(e, "MinHeight"), MaxHeight: r.size(e, "MaxHeight"),
		MaxResolution: r.size(e, "MaxOpticalXResolution", "MaxOpticalYResolution"),
	}
	all := &element{} // the children of all profiles
	done := map[*element]bool{}
	for _, p := range e.child("SettingProfiles").all("SettingProfile") {
		if ref := p.attr("ref"); ref != "" && shared[ref] != nil {
			p = shared[ref]
		}
		if !done[p] { // however often it is referred to
			done[p] = true
			all.children = append(all.children, p.children...)
		}
	}
	for _, mode := range all.inner("ColorModes").words("ColorMode") {
		in.Modes = append(in.Modes, ColorMode(mode))
	}
	seen := map[string]bool{}
	for _, f := range all.inner("DocumentFormats").words("DocumentFormat", "DocumentFormatExt") {
		if f = strings.ToLower(f); !seen[f] {
			seen[f] = true
			in.Formats = append(in.Formats, f)
		}
	}
	in.Resolutions = r.resolutions(all.inner("SupportedResolutions"))
	for _, intent := range e.child("SupportedIntents").words("Intent", "SupportedIntent") {
		in.Intents = append(in.Intents, Intent(intent))
	}
	return in
}

// inner has the children of all elements with the name.
func (e *element) inner(name string) *element {
	joined := &element{}
	for _, c := range e.all(name) {
		joined.children = append(joined.children, c.children...)
	}
	return joined
}

// resolutions are those that are the same in both directions.
func (r *reader) resolutions(e *element) []int {
	var found []int
	for _, d := range e.inner("DiscreteResolutions").all("DiscreteResolution") {
		x, y := r.size(d, "XResolution", "YResolution"), r.size(d, "YResolution", "XResolution")
		if x > 0 && x == y {
			found = append(found, x)
		}
	}
	for _, both := range e.all("ResolutionRange") {
		x, y := r.bounds(both.child("XResolutionRange")), r.bounds(both.child("YResolutionRange"))
		for _, dpi := range usual {
			if x.has(dpi) && y.has(dpi) {
				found = append(found, dpi)
			}
		}
	}
	slices.Sort(found)
	return slices.Compact(found)
}

func (b Range) has(n int) bool {
	return n >= b.Min && n <= b.Max && (b.Step <= 1 || (n-b.Min)%b.Step == 0)
}
