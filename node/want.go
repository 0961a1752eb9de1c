package node

import (
	"cmp"
	"context"
	"mime"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"unicode"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Bounds of the parameter width, in pixels.
const (
	minWidth = 16
	maxWidth = 4096
)

// want is the form in which a client asks for a page.
type want struct {
	format     scan.Format // "": whatever Accept says
	width      int         // 0: as scanned
	download   bool
	negotiated bool // Accept was looked at
	accept     string
}

func parseWant(r *http.Request) (want, error) {
	q := r.URL.Query()
	w := want{accept: strings.Join(r.Header.Values("Accept"), ","), negotiated: !q.Has("format")}
	if q.Has("format") {
		if err := w.format.UnmarshalText([]byte(q.Get("format"))); err != nil {
			return w, problem.New(problem.FormatUnsupported, "A page can be had as %v.", scan.Formats).At("format")
		}
	}
	var err error
	if q.Has("width") {
		w.width, err = strconv.Atoi(q.Get("width"))
		if err != nil || w.width < minWidth || w.width > maxWidth {
			return w, problem.New(problem.BadRequest, "A width is from %d to %d pixels.", minWidth, maxWidth).At("width")
		}
	}
	w.download, err = boolean(q, "download")
	return w, err
}

// boolean is a query parameter that is true or false, false where it is absent.
func boolean(q url.Values, name string) (bool, error) {
	switch v := q.Get(name); {
	case !q.Has(name), v == "false":
		return false, nil
	case v == "true":
		return true, nil
	}
	return false, problem.New(problem.BadRequest, "It is true or false.").At(name)
}

// spec is the rendition to make; the zero Spec is the stored file.
func (w want) spec(p scan.Page) (imaging.Spec, error) {
	format := w.format
	if w.width > 0 && w.width < p.Width {
		if format == "" {
			format = scan.FormatJPEG
		}
		if format != scan.FormatJPEG {
			return imaging.Spec{}, problem.New(problem.FormatUnsupported, "Scaled pages are JPEG.").At("format")
		}
		return imaging.Spec{Format: format, Width: w.width}, nil
	}
	if format == "" {
		var ok bool
		if format, ok = w.negotiate(p.Format); !ok {
			return imaging.Spec{}, problem.New(problem.FormatUnsupported, "A page can be had as %v.", scan.Formats)
		}
	}
	if format == p.Format {
		return imaging.Spec{}, nil
	}
	return imaging.Spec{Format: format}, nil
}

// negotiate picks the format that Accept likes best, the stored one among equals.
func (w want) negotiate(stored scan.Format) (scan.Format, bool) {
	if w.accept == "" {
		return stored, true
	}
	candidates := slices.Clone(scan.Formats)
	slices.SortStableFunc(candidates, func(a, b scan.Format) int {
		if c := cmp.Compare(quality(w.accept, b.MediaType()), quality(w.accept, a.MediaType())); c != 0 {
			return c
		}
		return boolRank(b == stored) - boolRank(a == stored)
	})
	return candidates[0], quality(w.accept, candidates[0].MediaType()) > 0
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

// quality is how much an Accept header likes a media type, by its most specific range
// (RFC 9110 section 12.5.1).
func quality(accept, mediaType string) float64 {
	kind, _, _ := strings.Cut(mediaType, "/")
	best, q := 0, 0.0
	for part := range strings.SplitSeq(accept, ",") {
		name, params, err := mime.ParseMediaType(part)
		if err != nil {
			continue
		}
		rank := map[string]int{mediaType: 3, kind + "/*": 2, "*/*": 1}[name]
		if rank <= best {
			continue
		}
		best, q = rank, 1
		if v, err := strconv.ParseFloat(params["q"], 64); err == nil {
			q = v
		}
	}
	return q
}

func formatOf(p scan.Page, spec imaging.Spec) scan.Format {
	if spec.Format == "" {
		return p.Format
	}
	return spec.Format
}

var pageExtensions = map[scan.Format]string{
	scan.FormatJPEG: ".jpg", scan.FormatPNG: ".png", scan.FormatTIFF: ".tif", scan.FormatPNM: ".pnm",
}

// titleOf is what people call the pages of a job.
func (n *Node) titleOf(ctx context.Context, j scan.Job) string {
	if doc, _, err := n.store.Document(ctx, j.Document); err == nil && doc.Name != "" {
		return doc.Name
	}
	return j.Name
}

const maxFileName = 100 // characters

// attachment is a Content-Disposition that names a file after title. What a file
// system or a shell could mistake becomes a blank.
func attachment(title, extension string) string {
	clean := strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || strings.ContainsRune(`/\:*?"<>|`, c) || !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, title)
	clean = strings.Join(strings.Fields(clean), " ")
	if runes := []rune(clean); len(runes) > maxFileName {
		clean = string(runes[:maxFileName])
	}
	clean = strings.Trim(clean, " .")
	if clean == "" || strings.Trim(clean, "0123456789") == "" {
		clean = strings.TrimSpace("Scan " + clean)
	}
	return mime.FormatMediaType("attachment", map[string]string{"filename": clean + extension})
}
