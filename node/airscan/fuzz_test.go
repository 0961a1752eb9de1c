package airscan

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// FuzzRequests: whatever comes, nothing panics, and garbage is the client's fault.
func FuzzRequests(f *testing.F) {
	for _, r := range routes {
		f.Add(r.method, r.path, settings(source("Platen"), region(0, 0, 300, 300)))
		f.Add("PATCH", r.path+"/", "")
	}
	f.Add("POST", "/eSCL/ScanJobs", settings(mode("RGB24"), "<scan:Brightness>-9999999999</scan:Brightness>"))
	f.Add("PUT", "/eSCL/ScanBufferInfo", settings(region(-1, -1, 1<<40, 0)))
	f.Add("GET", "/eSCL/ScanJobs/%00/99999999999999999999", "")
	node := newFakeNode()
	node.run = func(j *fakeJob) { j.state(scan.JobAborted, scan.ReasonJam) }
	s, err := New(Config{Scanner: scannerID, API: func(netip.Addr) *api.Client { return &api.Client{Server: "http://node/", Client: node} }})
	need(f, err)
	s.known = newKnown(node.scanner, node.caps)
	f.Cleanup(func() { s.end(); s.tasks.Wait() })
	handler := s.Handler()
	f.Fuzz(func(t *testing.T, method, path, body string) {
		u, err := url.Parse("http://scanner.local" + path)
		if err != nil || method == "" || strings.ContainsFunc(method, func(c rune) bool { return c < 'A' || c > 'Z' }) {
			return // net/http refuses it
		}
		r := httptest.NewRequest(method, "http://scanner.local/", strings.NewReader(body))
		r.URL = u
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		s.sweepOnce(time.Now())
		// A job that the scanner cannot begin is 409 or 503, never the server's failure.
		if w.Code >= 500 && w.Code != http.StatusServiceUnavailable {
			t.Errorf("%s %q with %q = %d %s", method, path, body, w.Code, w.Body)
		}
	})
}
