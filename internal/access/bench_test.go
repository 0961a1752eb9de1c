package access_test

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
)

// ask prepares a request of a signed-in phone, as it comes hundreds of times for one document.
func ask(tb testing.TB) func() {
	e := newEnd(tb, func(c *access.Config) { c.Rate, c.Log = 1<<30, nil })
	h := e.on(access.RoadLAN)
	r := accesstest.NewRequest(access.RoadLAN, "GET", pagePath, "")
	accesstest.SignIn(e.guard, h, access.RoadLAN)(tb, r, api.RoleUser)
	return func() {
		w := httptest.NewRecorder()
		if h.ServeHTTP(w, r); w.Code != http.StatusOK {
			tb.Fatalf("status %d: %s", w.Code, w.Body)
		}
	}
}

func BenchmarkGuard(b *testing.B) {
	once := ask(b)
	b.ReportAllocs()
	for b.Loop() {
		once()
	}
}

func TestGuardAllocations(t *testing.T) {
	const most = 120 // the recorder and the answer's JSON included
	if got := testing.AllocsPerRun(100, ask(t)); got > most {
		t.Errorf("%v allocations a request, %d are the most", got, most)
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
