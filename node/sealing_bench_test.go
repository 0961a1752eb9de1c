package node

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// BenchmarkSealedPage has a gateway fetch a large page, sealed and as it is.
func BenchmarkSealedPage(b *testing.B) {
	page := largePage()
	g, _, scanner := oneDevice(b, bring(page))
	there := newBrowser(g)
	gateway := accesstest.NewGateway(b, g.node.grants, g.node.id)
	h := g.node.Handler(access.RoadLink)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Host = accesstest.NewRequest(access.RoadLink, r.Method, r.URL.Path, "").Host
		gateway.As(b, r, api.RoleOperator)
		h.ServeHTTP(w, r)
	}))
	defer server.Close()
	for name, recipient := range map[string]string{"sealed": there.recipient(), "plain": ""} {
		j := g.submit(scanner, jobFor(scan.SourcePlaten, recipient))
		g.reaches(j.ID, scan.JobCompleted)
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(page)))
			b.ReportAllocs()
			for b.Loop() {
				answer, err := server.Client().Get(fmt.Sprintf("%s/api/v1/jobs/%s/pages/1", server.URL, j.ID))
				need(b, err)
				if n, err := io.Copy(io.Discard, answer.Body); err != nil || n < int64(len(page)) {
					b.Fatalf("%d bytes, %v: status %d", n, err, answer.StatusCode)
				}
				answer.Body.Close()
			}
		})
	}
}
