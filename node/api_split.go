package node

import (
	"context"
	"fmt"
	"net/http"
	"regexp"
	"slices"
	"strings"
	"unicode"

	"golang.org/x/sync/errgroup"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	maxMatch     = 200 // characters of a regular expression, as in the contract
	readersAhead = 4   // pages of one document whose barcodes are asked for at a time
)

// splitDocument cuts a batch at its separator sheets. Barcodes that were read stay with
// their pages, so that a request that was given up is quick when it comes again.
func (n *Node) splitDocument(w http.ResponseWriter, r *http.Request) error {
	if err := n.licensed(r, license.Barcode); err != nil {
		return err
	}
	var request api.SplitRequest
	if err := access.ReadJSON(r, &request); err != nil {
		return err
	}
	separates, err := separatorOf(request)
	if err != nil {
		return err
	}
	doc, owner, err := n.documentOf(r)
	if err != nil {
		return err
	}
	if err := n.documentReadable(r, doc); err != nil {
		return err
	}
	marks, err := n.separators(r.Context(), doc, request.Format, separates)
	if err != nil {
		return err
	}
	parts := cutDocument(doc, marks, request)
	if len(parts) == 0 {
		return problem.New(problem.BadRequest, "Every page is a separator sheet, so that nothing would be left. Keep them, or say which barcode separates.").At("separator")
	}
	docs, err := n.store.SplitDocument(r.Context(), doc.ID, doc.Revision, parts)
	if err != nil {
		return err
	}
	for i, d := range docs {
		if i > 0 || d.Revision != doc.Revision {
			n.announceDocument(d, owner)
		}
	}
	return access.WriteJSON(w, http.StatusOK, api.DocumentList{Items: docs})
}

// separatorOf judges a request against the contract and says which text is a separator's.
func separatorOf(request api.SplitRequest) (func(text string) bool, error) {
	switch {
	case request.Format != "" && !request.Format.Valid():
		return nil, problem.New(problem.BadRequest, "There is no such kind of barcode.").At("format")
	case request.Separator != "" && !request.Separator.Valid():
		return nil, problem.New(problem.BadRequest, "It is drop or keep.").At("separator")
	case request.Name != "" && !request.Name.Valid():
		return nil, problem.New(problem.BadRequest, "It is barcode or number.").At("name")
	case request.Match == "":
		return func(string) bool { return true }, nil
	case len([]rune(request.Match)) > maxMatch:
		return nil, problem.New(problem.BadRequest, "It has at most %d characters.", maxMatch).At("match")
	}
	// Alone first: a bracket too many must not close ours.
	if _, err := regexp.Compile(request.Match); err != nil {
		return nil, problem.New(problem.BadRequest, "It is no regular expression: %v.", err).At("match")
	}
	match, err := regexp.Compile(`\A(?:` + request.Match + `)\z`)
	if err != nil {
		return nil, problem.New(problem.BadRequest, "It is no regular expression: %v.", err).At("match")
	}
	return match.MatchString, nil
}

// documentReadable is readable for all jobs that the pages of a document come from.
func (n *Node) documentReadable(r *http.Request, doc scan.Document) error {
	seen := map[string]bool{}
	for _, at := range doc.Pages {
		if seen[at.Job] {
			continue
		}
		seen[at.Job] = true
		job, _, err := n.store.Job(r.Context(), at.Job)
		if err == nil {
			err = n.readable(r, job.Recipient)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// mark is what is known of a page of a batch.
type mark struct {
	side      scan.Side
	separator bool
	code      string // of a separator
}

// separators reads the barcodes on all pages of a document.
func (n *Node) separators(ctx context.Context, doc scan.Document, format api.BarcodeFormat, separates func(string) bool) ([]mark, error) {
	marks := make([]mark, len(doc.Pages))
	readers, ctx := errgroup.WithContext(ctx)
	readers.SetLimit(readersAhead)
	for i, at := range doc.Pages {
		readers.Go(func() error {
			page, _, err := n.store.Page(ctx, at.Job, at.N)
			if err != nil {
				return err
			}
			list, err := n.barcodes(ctx, page, format)
			if err != nil {
				return err
			}
			marks[i].side = page.Side
			for _, code := range list.Items {
				if separates(code.Text) {
					marks[i].separator, marks[i].code = true, code.Text
					break
				}
			}
			return nil
		})
	}
	return marks, readers.Wait()
}

// cutDocument makes the parts of a document: one begins at each separator. A separator
// that is dropped takes its other side along, if that follows it. There are no empty parts.
func cutDocument(doc scan.Document, marks []mark, request api.SplitRequest) []pagestore.Part {
	var parts []pagestore.Part
	part := pagestore.Part{}
	end := func() {
		if len(part.Pages) > 0 {
			parts = append(parts, part)
		}
	}
	for i, at := range doc.Pages {
		if !marks[i].separator {
			part.Pages = append(part.Pages, at)
			continue
		}
		if back := i > 0 && marks[i-1].separator && otherSide(doc.Pages[i-1], at, marks[i-1], marks[i]); !back {
			end()
			part = pagestore.Part{}
			if request.Name == api.SplitRequestNameBarcode {
				part.Name = nameOf(marks[i].code)
			}
		}
		if request.Separator == api.SplitRequestSeparatorKeep {
			part.Pages = append(part.Pages, at)
			continue
		}
		if i+1 < len(marks) && otherSide(at, doc.Pages[i+1], marks[i], marks[i+1]) && !marks[i+1].separator {
			marks[i+1].separator = true // the back of the sheet
		}
	}
	end()
	for i := range parts[min(len(parts), 1):] {
		if p := &parts[i+1]; p.Name == "" {
			p.Name = numbered(doc.Name, i+2)
		}
	}
	return parts
}

// otherSide reports whether two pages are front and back of one sheet.
func otherSide(front, back scan.DocumentPage, f, b mark) bool {
	return front.Job == back.Job && front.N+1 == back.N && f.side == scan.SideFront && b.side == scan.SideBack
}

// nameOf makes a name of what a barcode says; "" if it cannot be one.
func nameOf(code string) string {
	name := strings.TrimSpace(strings.Map(func(r rune) rune {
		if unicode.IsControl(r) {
			return ' '
		}
		return r
	}, code))
	return firstRunes(name, maxName)
}

// numbered is the name of a part of a batch.
func numbered(name string, n int) string {
	suffix := fmt.Sprintf(" (%d)", n)
	return firstRunes(name, maxName-len(suffix)) + suffix
}

func firstRunes(s string, n int) string {
	r := []rune(s)
	return string(slices.Clip(r[:min(len(r), n)]))
}
