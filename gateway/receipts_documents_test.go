package gateway

import (
	"bytes"
	"io"
	"net/http"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// document has the node own a document of the job's pages, which it gives out as a file.
func (s *shop) document(job string, pages int, file []byte) string {
	d := scan.Document{ID: scan.NewID(s.node.nodeID(), scan.KindDocument), Node: s.node.nodeID(), Revision: 1, Created: scan.At(time.Now()), Updated: scan.At(time.Now())}
	for n := range pages {
		d.Pages = append(d.Pages, scan.DocumentPage{Job: job, N: n + 1})
	}
	s.node.mu.Lock()
	s.node.documents = append(s.node.documents, d)
	s.node.mu.Unlock()
	s.node.on(http.MethodGet, "/documents/{document}/content", func(w http.ResponseWriter, r *http.Request) error {
		w.Header().Set("Content-Type", "application/pdf")
		_, err := w.Write(file)
		return err
	})
	return "/api/v1/documents/" + d.ID + "/content"
}

// A document passes once each of its pages is accounted for.
func TestDocumentAgainstReceipts(t *testing.T) {
	file := bytes.Repeat([]byte("%PDF-1.7 "), 1000)
	for _, test := range []struct {
		name  string
		third func(s *shop, r api.Receipt) http.HandlerFunc // answers for the third page
		want  problem.Code
	}{
		{"all are there", func(s *shop, r api.Receipt) http.HandlerFunc { return s.node.stored(r, image(3), nil) }, ""},
		{"one has no receipt", func(s *shop, r api.Receipt) http.HandlerFunc {
			return s.node.stored(r, image(3), func(h http.Header) { h.Del(license.HeaderReceipt) })
		}, problem.ReceiptMissing},
		{"one has another's", func(s *shop, r api.Receipt) http.HandlerFunc {
			r.N = 2
			return s.node.stored(r, image(3), nil)
		}, problem.ReceiptInvalid},
		{"one grows", func(s *shop, r api.Receipt) http.HandlerFunc { return s.node.grows(r.Page, image(3)) }, problem.PageNotReady},
		{"one is gone", func(*shop, api.Receipt) http.HandlerFunc {
			return func(w http.ResponseWriter, _ *http.Request) { problem.Write(w, problem.PageGone.Error()) }
		}, problem.PageGone},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newShop(t, plenty, nil)
			job := s.scan()
			var receipts []api.Receipt
			for n := range 3 {
				receipts = append(receipts, s.node.commit(job, n+1, image(byte(n+1))))
			}
			answers := map[string]http.HandlerFunc{
				"1": s.node.stored(receipts[0], image(1), nil), "2": s.node.stored(receipts[1], image(2), nil), "3": test.third(s, receipts[2]),
			}
			s.node.sends(func(w http.ResponseWriter, r *http.Request) { answers[r.PathValue("n")](w, r) })
			path := s.document(job, 3, file)
			status, code, text := s.ask(http.MethodGet, path, nil)
			if code != test.want || test.want == "" && (status != http.StatusOK || !bytes.Equal(text, file)) {
				t.Fatalf("status %d, problem %q, want %q", status, code, test.want)
			}
			if test.want != "" && bytes.Contains(text, []byte("%PDF")) {
				t.Error("bytes of the document left")
			}
			if err := s.report(receipts...); err != nil {
				t.Fatal(err)
			}
			s.settled("")
			if test.want != "" {
				return
			}
			before := s.node.requests()
			if status, code, _ := s.ask(http.MethodGet, path, nil); status != http.StatusOK {
				t.Fatalf("status %d, problem %q", status, code)
			}
			if got := s.node.requests() - before; got != 2 {
				t.Errorf("once all are counted: %d requests at the node, want that for the document and that for the file", got)
			}
		})
	}
}

// What is read on a page is given out against its receipt too, and under a licence with
// the module.
func TestReadingAgainstReceipts(t *testing.T) {
	s := newShop(t, plenty, nil)
	job := s.scan()
	receipt := s.node.commit(job, 1, image(1))
	s.node.on(http.MethodGet, "/jobs/{job}/pages/{n}/text", func(w http.ResponseWriter, r *http.Request) error {
		return access.WriteJSON(w, http.StatusOK, api.PageText{Text: "secret", Words: []api.Word{}})
	})
	s.node.sends(s.node.stored(receipt, image(1), func(h http.Header) { h.Del(license.HeaderReceipt) }))
	if _, code, _ := s.ask(http.MethodGet, pagePath(job, 1)+"/text", nil); code != problem.ReceiptMissing {
		t.Errorf("without a receipt: problem %q, want %q", code, problem.ReceiptMissing)
	}
	s.node.sends(s.node.stored(receipt, image(1), nil))
	if status, code, _ := s.ask(http.MethodGet, pagePath(job, 1)+"/text", nil); status != http.StatusOK {
		t.Errorf("with it: status %d, problem %q", status, code)
	}
	if c := s.node.lastCaller(); c.Permit == "" || s.node.lastHeader().Get(license.HeaderPermit) == "" {
		t.Error("the node gets no permit for the module")
	}
}

// A page reported by way of another gateway on the same state is counted.
func TestOtherGatewayCounts(t *testing.T) {
	s := newShop(t, time.Second, nil)
	other := s.second()
	job := s.scan()
	receipt := s.node.commit(job, 1, image(1))
	s.watch(job, receipt.Page, image(1))
	if _, err := other.Tracking().Report(t.Context(), license.Place{Pin: s.id.Pin()}, s.node.id.Pin(), s.node.batch([]api.Receipt{receipt})); err != nil {
		t.Fatal(err)
	}
	s.node.sends(s.node.stored(receipt, image(1), nil))
	s.settled("")

	second := s.node.commit(job, 2, image(2))
	s.node.sends(s.node.stored(second, image(2), nil))
	if status, code, _ := s.ask(http.MethodGet, pagePath(job, 2), nil); status != http.StatusOK {
		t.Fatalf("status %d, problem %q", status, code)
	}
	if _, err := other.Tracking().Report(t.Context(), license.Place{Pin: s.id.Pin()}, s.node.id.Pin(), s.node.batch([]api.Receipt{second})); err != nil {
		t.Fatal(err)
	}
	s.settled("")
	made, err := other.scannedUnder.get(t.Context(), job)
	if err != nil || made.Item != s.key.ID {
		t.Errorf("the other gateway knows %+v of the job (%v), want its licence", made, err)
	}
}

// With a ledger elsewhere the marks that were passed on tell what is counted, also after a
// restart.
func TestLedgerElsewhere(t *testing.T) {
	s := newShop(t, soon, nil)
	s.stop()
	with := s.config
	s.config = func(c *Config) { with(c); c.Ledger = nil }
	s.start()
	s.connect(s.node.fakeNode)
	s.signInPage()
	job := s.scan()
	receipt := s.node.commit(job, 1, image(1))
	s.node.sends(s.node.stored(receipt, image(1), nil))
	if err := s.report(receipt); err != nil {
		t.Fatal(err)
	}
	s.stop()
	s.start()
	s.connect(s.node.fakeNode)
	s.signInPage()
	if status, code, _ := s.ask(http.MethodGet, pagePath(job, 1), nil); status != http.StatusNotFound && status != http.StatusOK {
		t.Fatalf("status %d, problem %q", status, code)
	}
	s.settled("")
	another := s.node.commit(job, 2, image(2))
	s.node.sends(s.node.stored(another, image(2), nil))
	answer := s.send(s.asPage(http.MethodGet, pagePath(job, 2), nil))
	if _, err := io.Copy(io.Discard, answer.Body); err != nil || answer.StatusCode != http.StatusOK {
		t.Fatalf("status %d, %v", answer.StatusCode, err)
	}
	s.settled(problem.ReceiptMissing)
}
