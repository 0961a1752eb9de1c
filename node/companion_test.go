package node

import (
	"bytes"
	"io"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

// A large page over the link makes the node open another one, whose hello says what it
// is for, and whose page is the same.
func TestLargePageBringsACompanion(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		large := slices.Concat(testJPEG(1), make([]byte, 2<<20), []byte{0xff, 0xd9}) // ends as an image must
		o := newOffice(t, func(b *fakeBatch) error {
			p, err := b.sink.PageStarted(fakePage)
			if err != nil {
				return err
			}
			if _, err := p.Write(large); err != nil {
				return err
			}
			p.Progress(fakePage.Height)
			return p.Commit(fakePage.Height)
		})
		defer o.stop()
		o.stop()
		companions := make(chan relay.Link, 8)
		other := &memlink.Gateway{Key: o.gateway.Public(), Kind: relay.KindTCP, OnLink: func(l relay.Link) { companions <- l }}
		o.config = func(c *Config) { c.Dialers = []relay.Dialer{o.gate.Dialer(), other.Dialer()} }
		<-o.links // of the start before
		o.start().found()
		l := <-o.links
		if jsonOf[api.LinkWelcome](t, o.hello(l, nil), http.StatusOK).Bulk {
			t.Error("the only link is for bulk")
		}
		j := jsonOf[scan.Job](t, o.send(t.Context(), l, api.RoleUser, http.MethodPost, "/api/v1/scanners/"+o.scanner+"/jobs",
			request(scan.SourceADF, 0), "Idempotency-Key", newKey()), http.StatusCreated)
		synctest.Wait()
		page := func(l relay.Link) {
			t.Helper()
			answer := o.send(t.Context(), l, api.RoleUser, http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/1", "")
			defer answer.Body.Close()
			if b, err := io.ReadAll(answer.Body); err != nil || !bytes.Equal(b, large) {
				t.Errorf("%d bytes, %v, want the page", len(b), err)
			}
		}
		page(l)
		synctest.Wait()
		if len(companions) != 1 {
			t.Fatalf("%d companions, want one", len(companions))
		}
		companion := <-companions
		if !jsonOf[api.LinkWelcome](t, o.hello(companion, nil), http.StatusOK).Bulk {
			t.Error("the companion does not say that it is for bulk")
		}
		page(companion)
		l.Close("")
		synctest.Wait()
		if jsonOf[api.LinkWelcome](t, o.hello(companion, nil), http.StatusOK).Bulk {
			t.Error("the only link is for bulk")
		}
		if _, connected := o.node.Gateway(); !connected {
			t.Error("the node takes itself for disconnected")
		}
	})
}
