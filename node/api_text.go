package node

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"os"
	"regexp"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/node/document"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/node/ocr"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const defaultLanguage = "eng"

// languageList is the contract's pattern of languages.
var languageList = regexp.MustCompile(`^[a-zA-Z_]{3,20}([+][a-zA-Z_]{3,20}){0,3}$`)

// A page is read at about this resolution: more takes longer and gives no better text.
const (
	readingResolution = 300
	tooFine           = 400
	maxReadPixels     = 30_000_000
)

// getText reads the text on a page. It is kept with it.
func (n *Node) getText(w http.ResponseWriter, r *http.Request) error {
	if err := n.licensed(r, license.OCR); err != nil {
		return err
	}
	languages, err := languagesOf(r, "language")
	if err != nil {
		return err
	}
	if languages == "" {
		languages = defaultLanguage
	}
	page, err := n.pageToRead(r)
	if err != nil {
		return err
	}
	text, err := n.text(r.Context(), page, languages)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, text)
}

// languagesOf are those in the query; "" for none.
func languagesOf(r *http.Request, name string) (string, error) {
	q := r.URL.Query()
	if q.Has(name) && !languageList.MatchString(q.Get(name)) {
		return "", problem.New(problem.BadRequest, "It is a language as eng, or up to four with + between them.").At(name)
	}
	return q.Get(name), nil
}

// text is what is written on a page. Reading it ends with ctx; another one that waits for
// the same then begins again.
func (n *Node) text(ctx context.Context, page scan.Page, languages string) (text api.PageText, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	s, err := n.texts.Check(ctx, languages)
	if err != nil {
		return text, n.moduleProblem(err, license.OCR, page.ID)
	}
	f, err := n.store.Rendition(ctx, page, "text "+languages+" "+s.Version, func(src *os.File, dst io.Writer) error {
		text, err := n.recognize(ctx, page, src, languages)
		if err != nil {
			return err
		}
		return json.NewEncoder(dst).Encode(text)
	})
	if err != nil {
		return text, n.moduleProblem(err, license.OCR, page.ID)
	}
	defer f.Close()
	return text, readJSONFile(f, &text)
}

// recognize reads the text of a stored page, or of a smaller rendition if it is a large one.
func (n *Node) recognize(ctx context.Context, page scan.Page, src *os.File, languages string) (api.PageText, error) {
	in := ocr.Page{File: src, Width: page.Width, Height: page.Height, Resolution: page.Resolution}
	spec := readingSpec(page)
	if spec != (imaging.Spec{}) {
		f, _, err := n.rendition(ctx, page, spec)
		if errors.Is(err, driver.ErrConvert) || errors.Is(err, driver.ErrWorker) {
			err = errors.Join(errUnreadable, err)
		}
		if err != nil {
			return api.PageText{}, err
		}
		defer f.Close()
		in.File = f
		if spec.Width > 0 {
			in.Width, in.Height = spec.Width, max(page.Height*spec.Width/page.Width, 1)
			in.Resolution = page.Resolution * spec.Width / page.Width
		}
	}
	text, err := n.texts.Read(ctx, in, languages)
	if err == nil && in.Width != page.Width {
		enlarge(&text, float64(page.Width)/float64(in.Width), page)
	}
	return text, err
}

// readingSpec is the rendition that is read in place of a page; zero for the page itself.
func readingSpec(p scan.Page) imaging.Spec {
	width := p.Width
	if p.Resolution > tooFine {
		width = width * readingResolution / p.Resolution
	}
	for width > 1 && width*(p.Height*width/p.Width) > maxReadPixels {
		width = width * 9 / 10
	}
	if width < p.Width {
		return imaging.Spec{Format: scan.FormatJPEG, Width: width}
	}
	if p.Depth == 16 {
		return imaging.Spec{Format: scan.FormatJPEG}
	}
	return imaging.Spec{}
}

// enlarge turns places on a rendition into those on the page.
func enlarge(t *api.PageText, times float64, p scan.Page) {
	scale := func(v, most int) int { return min(int(float64(v)*times+0.5), most) }
	for i, w := range t.Words {
		left, top := scale(w.Left, p.Width), scale(w.Top, p.Height)
		t.Words[i].Left, t.Words[i].Top = left, top
		t.Words[i].Width, t.Words[i].Height = scale(w.Left+w.Width, p.Width)-left, scale(w.Top+w.Height, p.Height)-top
	}
}

// documentTexts lets the pages of a document be read while it is written. A page that
// cannot be read has no text in the file; that is better than no file.
func (n *Node) documentTexts(doc scan.Document, pages []document.Page, languages string, s *stream) {
	for i := range pages {
		at := doc.Pages[i]
		pages[i].Text = func(ctx context.Context) (api.PageText, error) {
			if err := s.flush(); err != nil { // what comes next takes its time
				return api.PageText{}, err
			}
			page, _, err := n.store.Page(ctx, at.Job, at.N)
			if err != nil {
				return api.PageText{}, err
			}
			text, err := n.text(ctx, page, languages)
			if p := problem.From(err); err != nil && p.Code == problem.ModuleFailed {
				return api.PageText{}, nil // the log says why
			}
			return text, err
		}
	}
}

// checkTexts judges a request for a document with its text.
func (n *Node) checkTexts(r *http.Request, format, languages string) error {
	switch {
	case languages == "" && format == "txt":
		return problem.New(problem.BadRequest, "Text needs the languages to read it in.").At("ocr")
	case languages == "":
		return nil
	case format != "pdf" && format != "txt":
		return problem.New(problem.FormatUnsupported, "Only pdf and txt hold text.").At("ocr")
	}
	if err := n.licensed(r, license.OCR); err != nil {
		return err
	}
	_, err := n.texts.Check(r.Context(), languages)
	return n.moduleProblem(err, license.OCR, "")
}
