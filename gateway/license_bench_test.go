package gateway

import (
	"net/http"
	"strconv"
	"testing"

	"github.com/platen-scan/platen/internal/license"
)

// BenchmarkAgainstReceipt is what the receipt of a page costs that is shown again and
// again, as the thumbnails of a list are: its signature is checked each time.
func BenchmarkAgainstReceipt(b *testing.B) {
	s := newShop(b, plenty, nil)
	job := s.scan()
	receipt := s.node.commit(job, 1, image(1))
	if err := s.report(receipt); err != nil {
		b.Fatal(err)
	}
	a := s.accounting(job)
	h := http.Header{
		"Etag": {`"` + receipt.Page + `"`}, "Repr-Digest": {digestOf(receipt)},
		license.HeaderReceipt: {license.SignReceipt(s.node.id, receipt)},
	}
	b.ReportAllocs()
	for b.Loop() {
		if err := a.check(&http.Response{StatusCode: http.StatusOK, Header: h}, true); err != nil {
			b.Fatal(err)
		}
	}
}

// BenchmarkAgainstNewReceipt is what one costs that is looked for in the ledger and watched.
func BenchmarkAgainstNewReceipt(b *testing.B) {
	s := newShop(b, plenty, nil)
	job := s.scan()
	var headers []http.Header
	for n := range maxOwed {
		r := s.node.commit(job, n+1, image(1))
		headers = append(headers, http.Header{
			"Etag": {`"` + r.Page + `"`}, "Repr-Digest": {digestOf(r)}, license.HeaderReceipt: {license.SignReceipt(s.node.id, r)},
		})
	}
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		a := s.accounting(job)
		a.page.n = i%maxOwed + 1
		if err := a.check(&http.Response{StatusCode: http.StatusOK, Header: headers[i%maxOwed]}, true); err != nil {
			b.Fatal(strconv.Itoa(i), err)
		}
		if (i+1)%maxOwed == 0 {
			s.g.receipts.mu.Lock()
			clear(s.g.receipts.owed)
			clear(s.g.receipts.of)
			s.g.receipts.mu.Unlock()
		}
	}
}
