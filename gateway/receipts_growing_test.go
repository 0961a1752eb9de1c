package gateway

import (
	"bytes"
	"net/http"
	"testing"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// watch reads a growing page to its end.
func (s *shop) watch(job string, page string, content []byte) {
	s.t.Helper()
	s.node.sends(s.node.grows(page, content))
	status, code, text := s.ask(http.MethodGet, pagePath(job, 1), nil)
	if status != http.StatusOK || !bytes.Equal(text, content) {
		s.t.Fatalf("growing page: status %d, problem %q, %d bytes", status, code, len(text))
	}
}

// A page that grows passes at once. Its receipt must come by report afterwards.
func TestGrowingPage(t *testing.T) {
	for _, test := range []struct {
		name  string
		after func(s *shop, receipt api.Receipt) error
		want  problem.Code
	}{
		{"reported", func(s *shop, r api.Receipt) error { return s.report(r) }, ""},
		{"never reported", func(*shop, api.Receipt) error { return nil }, problem.ReceiptMissing},
		{"never reported, and shown", func(s *shop, r api.Receipt) error {
			s.node.sends(s.node.stored(r, image(1), nil))
			return nil
		}, problem.ReceiptMissing},
		{"never reported, and gone", func(s *shop, r api.Receipt) error {
			s.node.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(http.ResponseWriter, *http.Request) error { return problem.NotFound.Error() })
			return nil
		}, problem.ReceiptMissing},
		{"another page reported under the number", func(s *shop, r api.Receipt) error {
			r.Page = scan.NewID(r.Node, scan.KindPage)
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
			s.watch(job, receipt.Page, image(1))
			if err := test.after(s, receipt); err != nil {
				t.Fatal(err)
			}
			s.settled(test.want)
		})
	}
}

// A page that came to its end must bring its receipt from then on.
func TestGrowsAgain(t *testing.T) {
	s := newShop(t, plenty, nil)
	job := s.scan()
	receipt := s.node.commit(job, 1, image(1))
	s.watch(job, receipt.Page, image(1))
	if _, code, _ := s.ask(http.MethodGet, pagePath(job, 1), nil); code != problem.ReceiptMissing {
		t.Errorf("the second time: problem %q, want %q", code, problem.ReceiptMissing)
	}
	s.node.sends(s.node.stored(receipt, image(1), nil))
	if status, code, _ := s.ask(http.MethodGet, pagePath(job, 1), nil); status != http.StatusOK {
		t.Errorf("with its receipt: status %d, problem %q", status, code)
	}
	if err := s.report(receipt); err != nil {
		t.Fatal(err)
	}
	s.settled("")
	s.node.sends(s.node.grows(scan.NewID(s.node.nodeID(), scan.KindPage), image(2)))
	if _, code, _ := s.ask(http.MethodGet, pagePath(job, 1), nil); code != problem.ReceiptInvalid {
		t.Errorf("another page under a number that is counted: problem %q, want %q", code, problem.ReceiptInvalid)
	}
}

// An attempt at a page that came to nothing owes nothing; one that goes on is waited for.
func TestPartOfPage(t *testing.T) {
	for _, test := range []struct {
		name string
		then func(s *shop, r api.Receipt)
		want problem.Code
	}{
		{"the page failed", func(s *shop, _ api.Receipt) {
			s.node.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(http.ResponseWriter, *http.Request) error { return problem.NotFound.Error() })
		}, ""},
		{"it was committed and is not reported", func(s *shop, r api.Receipt) { s.node.sends(s.node.stored(r, image(1), nil)) }, problem.ReceiptMissing},
		{"it was committed without a receipt", func(s *shop, r api.Receipt) {
			s.node.sends(s.node.stored(r, image(1), func(h http.Header) { h.Del(license.HeaderReceipt) }))
		}, problem.ReceiptMissing},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newShop(t, soon, nil)
			job := s.scan()
			receipt := s.node.commit(job, 1, image(1))
			s.node.sends(func(w http.ResponseWriter, r *http.Request) {
				w.Header().Set("Content-Type", "image/jpeg")
				w.Header().Set("Etag", `"`+receipt.Page+`"`)
				w.Header().Set("Content-Range", "bytes 0-99/*")
				w.WriteHeader(http.StatusPartialContent)
				w.Write(image(1)[:100])
			})
			r := s.asPage(http.MethodGet, pagePath(job, 1), nil)
			r.Header.Set("Range", "bytes=0-")
			if status, code, _ := s.sendAndRead(r); status != http.StatusPartialContent {
				t.Fatalf("status %d, problem %q", status, code)
			}
			test.then(s, receipt)
			s.settled(test.want)
		})
	}
}

// A part of a page that still grows is waited for as long as it does.
func TestPartThatGrows(t *testing.T) {
	s := newShop(t, soon, nil)
	job := s.scan()
	receipt := s.node.commit(job, 1, image(1))
	a := s.accounting(job)
	s.g.receipts.passed(a, receipt.Page, false)
	asked := make(chan struct{}, 100)
	grows := s.node.grows(receipt.Page, image(1))
	s.node.sends(func(w http.ResponseWriter, r *http.Request) { asked <- struct{}{}; grows(w, r) })
	<-asked
	<-asked
	if got := s.fault(); got != "" {
		t.Errorf("fault %q while the page grows, want none", got)
	}
	if err := s.report(receipt); err != nil {
		t.Fatal(err)
	}
	s.settled("")
}

// A node that is away can report when it is back.
func TestNodeAway(t *testing.T) {
	s := newShop(t, soon, nil)
	job := s.scan()
	receipt := s.node.commit(job, 1, image(1))
	s.watch(job, receipt.Page, image(1))
	n, _ := s.g.registry.get(s.node.nodeID())
	for _, l := range s.g.registry.linksOf(n) {
		l.Close("")
	}
	eventually(t, "the node is offline", func() bool { return !s.g.registry.online(n) })
	r := s.g.receipts
	looked := func() (next int64) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, w := range r.owed {
			return w.next.UnixNano()
		}
		return 0
	}
	first := looked()
	eventually(t, "it was looked for twice", func() bool { return looked() > first+int64(soon) })
	if got := s.fault(); got != "" {
		t.Fatalf("fault %q while the node is away, want none", got)
	}
	s.connect(s.node.fakeNode)
	s.settled(problem.ReceiptMissing)
}

func (s *shop) accounting(job string) *accounting {
	n, _ := s.g.registry.get(s.node.nodeID())
	return &accounting{s.g, s.asCaller(), n, pageKey{job, 1}}
}

// A node with a fault gets no jobs under a licence until it is reinstated. What it has is
// given out against receipts all the same, and Platen's own page scans there.
func TestFault(t *testing.T) {
	s := newShop(t, soon, nil)
	job := s.scan()
	receipt := s.node.commit(job, 1, image(1))
	s.watch(job, receipt.Page, image(1))
	s.settled(problem.ReceiptMissing)
	s.scanRefused(problem.ReceiptMissing)

	if err := s.report(receipt); err != nil {
		t.Fatal(err)
	}
	s.node.sends(s.node.stored(receipt, image(1), nil))
	if status, code, _ := s.ask(http.MethodGet, pagePath(job, 1), nil); status != http.StatusOK {
		t.Errorf("a page with its receipt: status %d, problem %q", status, code)
	}
	s.node.sends(s.node.grows(receipt.Page, image(1)))
	if _, code, _ := s.ask(http.MethodGet, pagePath(job, 2), nil); code != problem.ReceiptMissing {
		t.Errorf("a page that grows there: problem %q, want %q", code, problem.ReceiptMissing)
	}
	if _, code, _ := s.ask(http.MethodPost, "/api/v1/nodes/"+s.node.nodeID()+"/roads", api.RoadRequest{}); code != problem.ReceiptMissing {
		t.Errorf("a direct road there: problem %q, want %q", code, problem.ReceiptMissing)
	}
	admin := s.signIn(api.RoleAdmin)
	var node scan.Node
	s.do(admin, http.MethodGet, "/api/v1/nodes/"+s.node.nodeID(), nil, http.StatusOK, &node)
	if node.Fault != string(problem.ReceiptMissing) {
		t.Errorf("the node is shown with fault %q", node.Fault)
	}
	own := s.newRequest(admin, http.MethodPost, "/api/v1/scanners/"+s.node.scannerID()+"/jobs", scan.JobRequest{})
	own.Header.Set(headerIdempotency, scan.RandomText(20))
	if status, code, _ := s.sendAndRead(own); status != http.StatusCreated {
		t.Errorf("own page: status %d, problem %q", status, code)
	}
	s.stop()
	s.start()
	s.connect(s.node.fakeNode)
	s.scanRefused(problem.ReceiptMissing) // it is written
	node = scan.Node{}
	s.do(s.signIn(api.RoleAdmin), http.MethodPost, "/api/v1/nodes/"+s.node.nodeID()+"/reinstate", nil, http.StatusOK, &node)
	if node.Fault != "" {
		t.Errorf("reinstated: fault %q", node.Fault)
	}
	s.scan()
}
