package gateway

import (
	"crypto/sha256"
	"fmt"
	"io"
	"net/http"
	"testing"

	"github.com/platen-scan/platen/proto/api"
)

// The browser does not see that the node changes its link in the middle of a page.
func TestPassOverTwoLinks(t *testing.T) {
	w := newWorld(t)
	token := w.signIn(api.RoleUser)
	n := w.joined("n")
	cut := w.connect(n)
	const size, half = 64 << 20, 32 << 20 // more than all buffers between
	h, digest := page(size)
	n.on(http.MethodGet, "/jobs/{job}/pages/{n}", h)
	path := "/api/v1/jobs/" + n.addJobs(w.clock.Now(), 1)[0] + "/pages/1"
	for _, asked := range []string{"", "bytes=0-"} {
		r := w.newRequest(token, http.MethodGet, path, nil)
		if asked != "" {
			r.Header.Set("Range", asked)
		}
		answer := w.send(r)
		if answer.ContentLength != size || answer.Header.Get("Etag") != `"page"` {
			t.Fatalf("length %d, ETag %s", answer.ContentLength, answer.Header.Get("Etag"))
		}
		sum := sha256.New()
		if _, err := io.CopyN(sum, answer.Body, half); err != nil {
			t.Fatal(err)
		}
		before := n.requests()
		cut()
		cut = w.connect(n)
		rest, err := io.Copy(sum, answer.Body)
		if err != nil || rest != size-half || fmt.Sprintf("%x", sum.Sum(nil)) != fmt.Sprintf("%x", digest) {
			t.Errorf("Range %q: %d bytes and %v after the change of links, want the rest of the page", asked, rest, err)
		}
		answer.Body.Close()
		// Once, or in slices that grow, for this reader did not read while the link was made.
		if got := n.requests() - before; got < 1 || got > 32 {
			t.Errorf("the node was asked for the rest %d times", got)
		}
		if got := n.lastHeader(); got.Get("If-Range") != `"page"` || got.Get("Range") == "" {
			t.Errorf("the rest was asked for with If-Range %q, Range %q", got.Get("If-Range"), got.Get("Range"))
		}
	}
	reg, _ := w.g.registry.get(n.nodeID())
	eventually(t, "no body is counted any more", func() bool {
		w.g.registry.mu.RLock()
		defer w.g.registry.mu.RUnlock()
		return reg.bodies == 0
	})
}
