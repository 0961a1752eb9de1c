package escl

import (
	"strconv"
	"strings"
)

// XML is the document ScanSettings.
func (s *Settings) XML() []byte {
	return document("scan:ScanSettings", s.write)
}

func (s *Settings) write(w *writer) {
	w.text("pwg:Version", orVersion(s.Version))
	w.maybe("scan:Intent", string(s.Intent))
	if s.Region != nil {
		s.Region.write(w)
	}
	w.maybe("pwg:InputSource", string(s.Source))
	if s.Duplex || s.Source == FromFeeder { // some devices refuse the element with the glass
		w.flag("scan:Duplex", s.Duplex)
	}
	w.maybe("scan:ColorMode", string(s.Mode))
	if s.Resolution > 0 {
		y := s.Resolution
		if s.ResolutionY > 0 {
			y = s.ResolutionY
		}
		w.number("scan:XResolution", s.Resolution)
		w.number("scan:YResolution", y)
	}
	w.maybe("pwg:DocumentFormat", s.Format)
	if knowsExt(s.Version) {
		w.maybe("scan:DocumentFormatExt", s.Format)
	}
	for _, a := range adjustments {
		if n, ok := s.Adjustments[a]; ok {
			w.number("scan:"+string(a), n)
		}
	}
	if s.Concat {
		w.flag("scan:ConcatIfPossible", true)
	}
	if s.Job != (JobSource{}) {
		w.in("scan:JobSourceInfo", "", func() {
			w.maybe("scan:UserName", s.Job.User)
			w.maybe("scan:UserDomain", s.Job.Domain)
			w.maybe("scan:MachineName", s.Job.Machine)
			w.maybe("scan:AppFileName", s.Job.File)
			w.maybe("scan:Application", s.Job.Application)
		})
	}
}

// knowsExt reports whether DocumentFormatExt is in a version: from 2.1 on. Versions
// compare as decimal fractions.
func knowsExt(version string) bool {
	v, err := strconv.ParseFloat(version, 64)
	return err != nil || v >= 2.1
}

func (r *Region) write(w *writer) {
	attr := ""
	if r.MustHonor {
		attr = ` pwg:MustHonor="true"`
	}
	w.in("pwg:ScanRegions", attr, func() {
		w.in("pwg:ScanRegion", "", func() {
			w.text("pwg:ContentRegionUnits", "escl:ThreeHundredthsOfInches")
			w.number("pwg:XOffset", r.X)
			w.number("pwg:YOffset", r.Y)
			if r.Width != nil {
				w.number("pwg:Width", *r.Width)
			}
			if r.Height != nil {
				w.number("pwg:Height", *r.Height)
			}
		})
	})
}

// ParseSettings reads the document ScanSettings. Its error says which element is wrong;
// what is well-formed but cannot be done is for the scanner to say.
func ParseSettings(b []byte) (*Settings, error) {
	r, root, err := read(b, MaxSettings, "ScanSettings")
	if err != nil {
		return nil, err
	}
	s := r.settings(root)
	if r.err != nil {
		return nil, r.err
	}
	return &s, nil
}

func (r *reader) settings(root *element) Settings {
	s := Settings{
		Version: r.version(root),
		Intent:  Intent(root.child("Intent").word()),
		Region:  r.region(root),
		Source:  InputSource(root.child("InputSource").word()),
		Duplex:  r.flag("Duplex", root.child("Duplex").word()),
		Mode:    ColorMode(root.child("ColorMode").word()),
		Format:  strings.ToLower(root.child("DocumentFormatExt", "DocumentFormat").word()),
		Concat:  r.flag("ConcatIfPossible", root.child("ConcatIfPossible").word()),
	}
	s.Resolution = r.size(root, "XResolution", "YResolution")
	if y := r.size(root, "YResolution"); s.Resolution == 0 {
		s.Resolution = y
	} else if y != s.Resolution {
		s.ResolutionY = y
	}
	if s.Source == FromPlaten {
		s.Duplex = false // the glass has no back, whatever a client sends
	}
	for _, a := range adjustments {
		// SANE's escl backend says "ThresholdSupport" where it means "Threshold".
		if n, ok := r.number(root, string(a), string(a)+support); ok {
			if s.Adjustments == nil {
				s.Adjustments = map[Adjustment]int{}
			}
			s.Adjustments[a] = n
		}
	}
	job := root.child("JobSourceInfo")
	s.Job = JobSource{
		User:        job.child("UserName").word(),
		Domain:      job.child("UserDomain").word(),
		Machine:     job.child("MachineName").word(),
		File:        job.child("AppFileName").word(),
		Application: job.child("Application").word(),
	}
	return s
}

// region reads the first region. It is absent without an element ScanRegion: then all
// that the source can see is meant.
func (r *reader) region(root *element) *Region {
	around := root.child("ScanRegions")
	e := around.child("ScanRegion")
	if e == nil {
		if e = root.child("ScanRegion"); e == nil {
			return nil
		}
		around = e
	}
	// Devices and clients say …OfInches and …OfInch, with and without the prefix "escl:".
	if unit := e.child("ContentRegionUnits"); unit != nil {
		if _, name, _ := strings.Cut(":"+unit.word(), ":"); !strings.Contains(strings.ToLower(name), "threehundredthsofinch") {
			r.fault(unit.name, unit.word(), "not 1/300 inch")
		}
	}
	return &Region{
		X: r.size(e, "XOffset"), Y: r.size(e, "YOffset"),
		Width: r.extent(e, "Width"), Height: r.extent(e, "Height"),
		MustHonor: r.flag("MustHonor", around.attr("MustHonor")),
	}
}

// extent is a length that is more than nothing.
func (r *reader) extent(e *element, name string) *int {
	if n := r.size(e, name); n > 0 {
		return &n
	}
	return nil
}
