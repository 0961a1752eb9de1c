package airscan

import (
	"maps"
	"net/http"
	"regexp"
	"slices"

	"github.com/platen-scan/platen/proto/escl"
)

// quirk is an oddity of a client.
type quirk struct {
	client  string
	reason  string
	headers map[string]*regexp.Regexp // of its requests, all of them; nil: it does not send this one
	remedy
}

// remedy is what is done for a client that is not done for most.
type remedy struct {
	hideFormats     []string          // that it is not told of
	hideAdjustments []escl.Adjustment // that it is not told of
	hideNaps2       bool              // it is not told of what NAPS2 may ask for
	lineartAsJPEG   bool              // one bit is taken with JPEG too: gray, made of what is stored
	patient         bool              // it waits long for a page, and takes a 503 for the end
}

// quirks are those that are known. All that match count.
var quirks = []quirk{
	{
		client: "SANE's escl",
		reason: "It prefers PNG from the feeder, but its pages are upside down, and there are none unless they are RGB; " +
			"of TIFF it reads a sample too many. Without both it fetches PDF from the glass and JPEG from the feeder, " +
			"also for line art. A 503 in place of a page ends its job, and the pages that follow are lost. (SANE 1.2.1)",
		headers: map[string]*regexp.Regexp{"User-Agent": nil, "Accept": regexp.MustCompile(`^\*/\*$`)}, // libcurl without a name
		remedy:  remedy{hideFormats: []string{escl.PNG, escl.TIFF}, lineartAsJPEG: true, patient: true},
	},
	{
		client: "whoever is not NAPS2",
		reason: "ScanBridge refuses a scanner with an element in its capabilities that it does not know, and others may. " +
			"NAPS2 is .NET's HttpClient, which says no name.",
		headers: map[string]*regexp.Regexp{"User-Agent": regexp.MustCompile(``)},
		remedy:  remedy{hideNaps2: true},
	},
	{
		client:  "ScanBridge (eSCLKt)",
		reason:  "It refuses a scanner with an element in its capabilities that it does not know. Of the adjustments that is GammaSupport.",
		headers: map[string]*regexp.Regexp{"User-Agent": regexp.MustCompile(`^(okhttp/|[Kk]tor[ -]client)`)},
		remedy:  remedy{hideAdjustments: []escl.Adjustment{escl.Gamma}},
	},
}

func (q quirk) matches(r *http.Request) bool {
	for name, want := range q.headers {
		values := r.Header[name]
		there := len(values) > 0
		if there != (want != nil) || there && !want.MatchString(values[0]) {
			return false
		}
	}
	return true
}

// remedyFor is all that is done for the client that asks.
func remedyFor(r *http.Request) remedy {
	var m remedy
	for _, q := range quirks {
		if q.matches(r) {
			m.hideFormats = append(m.hideFormats, q.hideFormats...)
			m.hideAdjustments = append(m.hideAdjustments, q.hideAdjustments...)
			m.hideNaps2 = m.hideNaps2 || q.hideNaps2
			m.lineartAsJPEG = m.lineartAsJPEG || q.lineartAsJPEG
			m.patient = m.patient || q.patient
		}
	}
	return m
}

// offers are the capabilities as the client is told them; c stays as it is.
func (m remedy) offers(c escl.Capabilities) escl.Capabilities {
	if m.hideNaps2 {
		c.Naps2 = ""
	}
	c.Adjustments = maps.Clone(c.Adjustments)
	for _, a := range m.hideAdjustments {
		delete(c.Adjustments, a)
	}
	for _, in := range []**escl.InputCaps{&c.Platen, &c.Simplex, &c.Duplex} {
		if *in != nil {
			told := **in
			told.Formats = m.formats(told)
			*in = &told
		}
	}
	return c
}

func (m remedy) formats(in escl.InputCaps) []string {
	formats := slices.DeleteFunc(slices.Clone(in.Formats), func(f string) bool { return slices.Contains(m.hideFormats, f) })
	if m.lineartAsJPEG && slices.Contains(in.Modes, escl.BlackAndWhite1) && !slices.Contains(formats, escl.JPEG) {
		formats = append(formats, escl.JPEG)
	}
	return formats
}

// order translates settings of the client.
func (m remedy) order(k *known, s *escl.Settings, loaded bool) (order, error) {
	if !m.lineartAsJPEG || s.Mode != escl.BlackAndWhite1 || s.Format != escl.JPEG {
		return k.order(s, loaded)
	}
	stored := *s
	stored.Format = escl.PNG
	o, err := k.order(&stored, loaded)
	o.Format = escl.JPEG
	return o, err
}
