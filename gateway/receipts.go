package gateway

import (
	"context"
	"encoding/base64"
	"encoding/hex"
	"net/http"
	"strconv"
	"strings"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// What pages of others get to see under a licence is passed on against receipts: a node
// that was patched so that it counts less gives out nothing here. Bytes are neither
// looked at nor kept, only the header of an answer is.
//
// A committed page comes with its receipt, signed by the node's key, for this job and
// number and for the page that the ETag names. Of the stored bytes as they are, the digest is
// that of Repr-Digest too, which the reader of the page checks. A rendition (width, format)
// has other bytes and a sealed page a cipher of them: there the receipt's digest is that
// of what they were made of, which only the node and the reader can compare.
//
// A page that grows has no receipt yet. It passes, and is owed one: see receiptWatches.
//
// The pages of a document are each asked for with HEAD before the document is passed on,
// unless their receipts were seen before. What is read on a page (text, barcodes) likewise.

// pageKey names a page, at whichever node: the job's ID says that.
type pageKey struct {
	job string
	n   int
}

// accountable refuses jobs under a licence at a node that failed to account for pages.
func accountable(record state.Node) error {
	if record.Fault == "" {
		return nil
	}
	return problem.New(problem.ReceiptMissing,
		"%q did not account for pages before; it gets no jobs that need a licence until an administrator of this gateway reinstates it.", record.Name)
}

// accounting is what is demanded of one answer that brings a page.
type accounting struct {
	g    *Gateway
	ctx  context.Context // of the request, and who asks
	node *node
	page pageKey
}

// againstReceipt covers the request for a page.
func (g *Gateway) againstReceipt(r *http.Request, n *node) (covering, error) {
	if !g.licensed(access.CallerOf(r.Context())) {
		return covering{}, nil
	}
	number, err := strconv.Atoi(r.PathValue("n"))
	if err != nil {
		return covering{}, problem.NotFound.Error()
	}
	a := &accounting{g, r.Context(), n, pageKey{r.PathValue("job"), number}}
	mayGrow := r.Method == http.MethodGet && r.URL.Query().Get("width") == ""
	return covering{check: func(answer *http.Response) error { return a.check(answer, mayGrow) }}, nil
}

// check judges an answer that brings a page, and has the receipt of one that grows or is
// not known to be counted watched for.
func (a *accounting) check(answer *http.Response, mayGrow bool) error {
	if answer.StatusCode != http.StatusOK && answer.StatusCode != http.StatusPartialContent {
		return nil
	}
	text := answer.Header.Get(license.HeaderReceipt)
	if text == "" {
		if !mayGrow || !grows(answer) {
			return a.missing("A page came without its receipt.")
		}
		return a.growing(answer)
	}
	receipt, err := a.read(text, answer)
	if err != nil {
		return err
	}
	return a.g.receipts.shown(a, receipt)
}

// missing is the problem of a page that is not accounted for.
func (a *accounting) missing(why string) error {
	a.g.log.Warn("page refused: the node did not account for it", "node", a.node.id, "job", a.page.job, "page", a.page.n, "why", why)
	name := a.g.registry.record(a.node).Name
	return problem.New(problem.ReceiptMissing, "%s Refused by the gateway; the computer is %q.", why, name)
}

func (a *accounting) invalid(why string) error {
	a.g.log.Warn("page refused: its receipt is not valid", "node", a.node.id, "job", a.page.job, "page", a.page.n, "why", why)
	name := a.g.registry.record(a.node).Name
	return problem.New(problem.ReceiptInvalid, "%s Refused by the gateway; the computer is %q.", why, name)
}

// read judges a receipt against the page that it comes with.
func (a *accounting) read(text string, answer *http.Response) (api.Receipt, error) {
	receipt, shown := a.g.receipts.again(a.page, text)
	if !shown {
		var err error
		if receipt, err = a.signed(text); err != nil {
			return receipt, err
		}
	}
	page, form := pageIn(answer.Header.Get("Etag"))
	if receipt.Job != a.page.job || receipt.N != a.page.n || receipt.Page == "" || receipt.Page != page {
		return receipt, a.invalid("A receipt is for another page.")
	}
	if receipt.Seq < 1 || receipt.Bytes < 1 {
		return receipt, a.invalid("A receipt says nothing.")
	}
	if digest := answer.Header.Get("Repr-Digest"); form == "" && digest != reprDigest(receipt.Digest) {
		return receipt, a.invalid("A receipt is for other bytes.")
	}
	return receipt, a.judgeItem(receipt)
}

// signed reads a receipt that the node signed.
func (a *accounting) signed(text string) (api.Receipt, error) {
	for _, pin := range pinsOf(a.g.registry.record(a.node)) {
		if receipt, err := license.ReceiptIn(text, pin, a.node.id); err == nil {
			a.g.receipts.good(receipt, text)
			return receipt, nil
		}
	}
	return api.Receipt{}, a.invalid("A receipt is not signed by the node.")
}

// judgeItem compares a receipt with the licence that the job was let begin under.
func (a *accounting) judgeItem(receipt api.Receipt) error {
	made, err := a.g.scannedUnder.get(a.ctx, a.page.job)
	switch {
	case err != nil:
		return err
	case made.Item != "" && receipt.Item != made.Item:
		return a.invalid("A receipt is for another licence than the scan was made under.")
	case receipt.Seq <= made.After:
		return a.invalid("A receipt is of before the scan.")
	}
	return nil
}

// pinsOf are the pins of the keys that a node may sign with, the present one first.
func pinsOf(record state.Node) []string {
	pins := []string{identity.PinOf(record.Key)}
	if len(record.NextKey) > 0 {
		pins = append(pins, identity.PinOf(record.NextKey))
	}
	return pins
}

// grows reports whether an answer brings a page that grows: its length is not known.
func grows(answer *http.Response) bool {
	if answer.Header.Get("Repr-Digest") != "" {
		return false
	}
	if answer.StatusCode == http.StatusPartialContent {
		return strings.HasSuffix(answer.Header.Get("Content-Range"), "/*")
	}
	return answer.ContentLength < 0
}

// pageIn is the page that a strong ETag of a page's image names, and the form that it comes
// in: "" for the stored bytes.
func pageIn(etag string) (page, form string) {
	etag, quoted := strings.CutPrefix(etag, `"`)
	etag, closed := strings.CutSuffix(etag, `"`)
	if !quoted || !closed {
		return "", ""
	}
	page, form, _ = strings.Cut(etag, ".")
	return page, form
}

// reprDigest is a digest of a receipt as the header has it.
func reprDigest(digest string) string {
	sum, err := hex.DecodeString(digest)
	if err != nil {
		return "none"
	}
	return "sha-256=:" + base64.StdEncoding.EncodeToString(sum) + ":"
}

// contentAgainstReceipts covers the request for a document as one file.
func (g *Gateway) contentAgainstReceipts(r *http.Request, n *node) (covering, error) {
	var c covering
	if q := r.URL.Query(); q.Get("ocr") != "" || q.Get("format") == "txt" {
		var err error
		if c, err = g.cover(r.Context(), n, license.OCR, 0); err != nil {
			return c, err
		}
	}
	caller := access.CallerOf(r.Context())
	if !g.licensed(caller) {
		return c, nil
	}
	var d struct {
		Pages []scan.DocumentPage `json:"pages"`
	}
	if err := g.look(r.Context(), n, caller, v1+"/documents/"+r.PathValue("document"), &d); err != nil {
		return c, err
	}
	pages := make([]pageKey, 0, len(d.Pages))
	for _, p := range d.Pages {
		pages = append(pages, pageKey{p.Job, p.N})
	}
	return c, g.accountedFor(r.Context(), n, pages)
}
