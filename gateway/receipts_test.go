package gateway

import (
	"bytes"
	"net/http"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// patched is what a node may do with the header of a page.
type patched struct {
	name  string
	query string
	do    func(h http.Header, n *meteredNode, r api.Receipt)
	want  problem.Code // "": the page passes
}

func resigned(change func(*api.Receipt)) func(http.Header, *meteredNode, api.Receipt) {
	return func(h http.Header, n *meteredNode, r api.Receipt) {
		change(&r)
		h.Set(license.HeaderReceipt, license.SignReceipt(n.id, r))
	}
}

func lacking(names ...string) func(http.Header, *meteredNode, api.Receipt) {
	return func(h http.Header, _ *meteredNode, _ api.Receipt) {
		for _, name := range names {
			h.Del(name)
		}
	}
}

func patchedPages(t *testing.T) []patched {
	stranger, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	const missing, invalid = problem.ReceiptMissing, problem.ReceiptInvalid
	rendition := func(h http.Header, _ *meteredNode, r api.Receipt) {
		h.Set("Etag", `"`+r.Page+`.jpeg-w100"`)
		h.Del("Repr-Digest")
	}
	return []patched{
		{name: "honest", do: func(http.Header, *meteredNode, api.Receipt) {}},
		{name: "honest rendition", query: "?width=100", do: rendition},
		{name: "honest sealed", do: func(h http.Header, _ *meteredNode, r api.Receipt) {
			h.Set("Content-Type", "application/vnd.platen.sealed")
			h.Set("Etag", `"`+r.Page+`.s-abc"`)
			h.Set(headerSealed, "v1; type=image/jpeg")
			h.Del("Repr-Digest")
		}},
		{name: "no receipt", do: lacking(license.HeaderReceipt), want: missing},
		{name: "no receipt, as if it grew", do: lacking(license.HeaderReceipt, "Content-Length"), want: missing},
		{name: "no receipt of a rendition", query: "?width=100", do: func(h http.Header, n *meteredNode, r api.Receipt) {
			rendition(h, n, r)
			h.Del(license.HeaderReceipt)
			h.Del("Content-Length")
		}, want: missing},
		{name: "a rendition as if it grew", do: func(h http.Header, n *meteredNode, r api.Receipt) {
			rendition(h, n, r)
			h.Del(license.HeaderReceipt)
			h.Del("Content-Length")
		}, want: missing},
		{name: "no receipt and no ETag", do: lacking(license.HeaderReceipt, "Content-Length", "Etag", "Repr-Digest"), want: missing},
		{name: "another key's", do: func(h http.Header, _ *meteredNode, r api.Receipt) {
			h.Set(license.HeaderReceipt, license.SignReceipt(stranger, r))
		}, want: invalid},
		{name: "another node's", do: func(h http.Header, _ *meteredNode, r api.Receipt) {
			r.Node = stranger.NodeID()
			h.Set(license.HeaderReceipt, license.SignReceipt(stranger, r))
		}, want: invalid},
		{name: "damaged", do: func(h http.Header, _ *meteredNode, r api.Receipt) {
			h.Set(license.HeaderReceipt, h.Get(license.HeaderReceipt)[1:])
		}, want: invalid},
		{name: "of another number", do: resigned(func(r *api.Receipt) { r.N++ }), want: invalid},
		{name: "of another job", do: resigned(func(r *api.Receipt) { r.Job = scan.NewID(r.Node, scan.KindJob) }), want: invalid},
		{name: "replayed, of another page under the number", do: resigned(func(r *api.Receipt) { r.Page = scan.NewID(r.Node, scan.KindPage) }), want: invalid},
		{name: "of no page", do: resigned(func(r *api.Receipt) { r.Page = "" }), want: invalid},
		{name: "without an ETag", do: lacking("Etag"), want: invalid},
		{name: "another digest", do: resigned(func(r *api.Receipt) { r.Digest = strings.Repeat("00", 32) }), want: invalid},
		{name: "no digest", do: lacking("Repr-Digest"), want: invalid},
		{name: "another licence", do: resigned(func(r *api.Receipt) { r.Item = license.NewID() }), want: invalid},
		{name: "no licence", do: resigned(func(r *api.Receipt) { r.Item = "" }), want: invalid},
		{name: "without a number", do: resigned(func(r *api.Receipt) { r.Seq = 0 }), want: invalid},
		{name: "of before the scan", do: resigned(func(r *api.Receipt) { r.Seq = 1 }), want: invalid},
	}
}

// A patched node gets no page past a stock gateway for a page of others. Platen's own page
// needs no receipts.
func TestPatchedNodeIsStopped(t *testing.T) {
	s := newShop(t, plenty, nil)
	n := s.node
	old := n.commit(scan.NewID(n.nodeID(), scan.KindJob), 1, image(0))
	if err := s.report(old); err != nil {
		t.Fatal(err)
	}
	own := s.signIn(api.RoleAdmin)
	for _, test := range patchedPages(t) {
		t.Run(test.name, func(t *testing.T) {
			s.signInPage() // a session makes 20 jobs a minute
			job := s.scan()
			content := image(1)
			receipt := n.commit(job, 1, content)
			n.sends(n.stored(receipt, content, func(h http.Header) { test.do(h, n, receipt) }))
			status, code, text := s.ask(http.MethodGet, pagePath(job, 1)+test.query, nil)
			if code != test.want || test.want == "" && (status != http.StatusOK || !bytes.Equal(text, content)) {
				t.Errorf("page of others: status %d, problem %q, want %q", status, code, test.want)
			}
			if test.want != "" && bytes.Contains(text, content[:100]) {
				t.Error("bytes of the page left")
			}
			if err := s.report(receipt); err != nil {
				t.Fatal(err)
			}
			status, code, text = s.sendAndRead(s.newRequest(own, http.MethodGet, pagePath(job, 1)+test.query, nil))
			if status != http.StatusOK || !bytes.Equal(text, content) {
				t.Errorf("own page: status %d, problem %q", status, code)
			}
		})
	}
	if got := s.fault(); got != "" {
		t.Errorf("fault %q, want none: nothing was given out", got)
	}
}

// What a receipt does not cover does not leave: not one byte of a refused page is in the answer.
func TestHeadersOfReceiptsStayHere(t *testing.T) {
	s := newShop(t, plenty, nil)
	job := s.scan()
	receipt := s.node.commit(job, 1, image(1))
	s.node.sends(s.node.stored(receipt, image(1), nil))
	answer := s.send(s.asPage(http.MethodGet, pagePath(job, 1), nil))
	if answer.StatusCode != http.StatusOK || answer.Header.Get(license.HeaderReceipt) != "" {
		t.Errorf("status %d, receipt %q, want none", answer.StatusCode, answer.Header.Get(license.HeaderReceipt))
	}
}

// A receipt that was shown must be counted too; the page is not held back for that.
func TestShownReceipt(t *testing.T) {
	for _, test := range []struct {
		name   string
		report func(s *shop, shown api.Receipt) error
		want   problem.Code
	}{
		{"reported", func(s *shop, r api.Receipt) error { return s.report(r) }, ""},
		{"reported while the server is away", func(s *shop, r api.Receipt) error {
			s.server.mu.Lock()
			s.server.down = true
			s.server.mu.Unlock()
			if err := s.report(r); problem.From(err).Code != problem.TrackingOffline {
				s.t.Errorf("Report = %v, want tracking-offline", err)
			}
			return nil
		}, ""},
		{"never reported", func(*shop, api.Receipt) error { return nil }, problem.ReceiptMissing},
		{"reported with another digest", func(s *shop, r api.Receipt) error {
			r.Digest = strings.Repeat("00", 32)
			return s.report(r)
		}, problem.ReceiptInvalid},
		{"reported for another page", func(s *shop, r api.Receipt) error {
			r.Job = scan.NewID(r.Node, scan.KindJob)
			return s.report(r)
		}, problem.ReceiptMissing},
		{"reported without the licence", func(s *shop, r api.Receipt) error {
			r.Item = ""
			return s.report(r)
		}, problem.ReceiptInvalid},
	} {
		t.Run(test.name, func(t *testing.T) {
			within := plenty
			if test.want != "" {
				within = soon
			}
			s := newShop(t, within, nil)
			job := s.scan()
			receipt := s.node.commit(job, 1, image(1))
			s.node.sends(s.node.stored(receipt, image(1), nil))
			if status, code, _ := s.ask(http.MethodGet, pagePath(job, 1), nil); status != http.StatusOK {
				t.Fatalf("status %d, problem %q", status, code)
			}
			if err := test.report(s, receipt); err != nil {
				t.Fatal(err)
			}
			s.settled(test.want)
		})
	}
}

// settled waits until nothing is owed, with or without a fault.
func (s *shop) settled(want problem.Code) {
	s.t.Helper()
	eventually(s.t, "all receipts are settled", func() bool {
		r := s.g.receipts
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.owed) == 0 && len(r.of) == 0
	})
	if want == "" {
		if got := s.fault(); got != "" {
			s.t.Errorf("fault %q, want none", got)
		}
		return
	}
	eventually(s.t, "the node has its fault", func() bool { return s.fault() == string(want) })
	eventually(s.t, "the job was canceled", s.node.canceled)
}

// A node that shows two receipts and reports one.
func TestReportsFewer(t *testing.T) {
	s := newShop(t, soon, nil)
	job := s.scan()
	first, second := s.node.commit(job, 1, image(1)), s.node.commit(job, 2, image(2))
	s.node.sends(func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("n") == "1" {
			s.node.stored(first, image(1), nil)(w, r)
		} else {
			s.node.stored(second, image(2), nil)(w, r)
		}
	})
	for n := range 2 {
		if status, code, _ := s.ask(http.MethodGet, pagePath(job, n+1), nil); status != http.StatusOK {
			t.Fatalf("status %d, problem %q", status, code)
		}
		if n == 0 {
			if err := s.report(first); err != nil {
				t.Fatal(err)
			}
		}
	}
	s.settled(problem.ReceiptMissing)
}

// Two pages under one number of the meter.
func TestNumberTwice(t *testing.T) {
	s := newShop(t, soon, nil)
	job := s.scan()
	first, second := s.node.commit(job, 1, image(1)), s.node.commit(job, 2, image(2))
	second.Seq = first.Seq
	if err := s.report(first); err != nil {
		t.Fatal(err)
	}
	s.node.sends(s.node.stored(second, image(2), nil))
	if status, code, _ := s.ask(http.MethodGet, pagePath(job, 2), nil); status != http.StatusOK {
		t.Fatalf("status %d, problem %q", status, code)
	}
	s.settled(problem.ReceiptMissing)
}
