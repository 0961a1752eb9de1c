package access_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
)

// ask prepares a request of a signed-in phone, or of a foreign page in one, as it comes
// hundreds of times for one document.
func ask(tb testing.TB, origin string) func() {
	e := newEnd(tb, func(c *access.Config) { c.Rate, c.Log = 1<<30, nil })
	accesstest.AllowPages(e.guard.Origins)
	h := e.on(access.RoadLAN)
	r := accesstest.NewRequest(access.RoadLAN, "GET", pagePath, "")
	accesstest.SignInPage(e.guard, h, access.RoadLAN, origin)(tb, r, api.RoleUser)
	return func() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			tb.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
}

var askers = map[string]string{"own": "", "foreign": accesstest.ShopOrigin}

func BenchmarkGuard(b *testing.B) {
	for name, origin := range askers {
		b.Run(name, func(b *testing.B) {
			once := ask(b, origin)
			b.ReportAllocs()
			for b.Loop() {
				once()
			}
		})
	}
}

func TestGuardAllocations(t *testing.T) {
	const most = 120 // the recorder and the answer's JSON included
	for name, origin := range askers {
		if got := testing.AllocsPerRun(100, ask(t, origin)); got > most {
			t.Errorf("%s: %v allocations a request, %d are the most", name, got, most)
		}
	}
}

func BenchmarkVerifyGrant(b *testing.B) {
	l := newLink(b)
	for b.Loop() {
		if err := l.verify(l.grant().Sign(l.Identity)); err != nil {
			b.Fatal(err)
		}
	}
}
