package node

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestSealedDocuments(t *testing.T) {
	d := newFakeDevice("one")
	d.scan = then(1, nil)
	policy := scan.EncryptionOff
	g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}})
	g.config = func(c *Config) { c.Encryption = func() scan.Encryption { return policy } }
	g.start().found()
	scanner := d.id(g.node.id)
	gateway := viaGateway(t, g.node)
	alice, bob := browserAt(g, gateway), browserAt(g, gateway)
	made := map[string]scan.Job{}
	for who, recipient := range map[string]string{"alice": alice.recipient(), "bob": bob.recipient(), "nobody": "", "none": ""} {
		j := g.submit(scanner, jobFor(scan.SourcePlaten, recipient))
		made[who] = g.reaches(j.ID, scan.JobCompleted)
	}
	document := func(of ...string) string {
		var pages []string
		for _, who := range of {
			pages = append(pages, fmt.Sprintf(`{"job":%q,"n":1}`, made[who].ID))
		}
		a := g.ask(http.MethodPost, "/api/v1/documents", `{"name":"x","pages":[`+strings.Join(pages, ",")+`]}`)
		return decode[scan.Document](t, a, http.StatusCreated).ID
	}
	for _, c := range []struct {
		pages         []string
		off, required string
	}{
		{[]string{"nobody"}, "plain", "encryption-required"},
		{[]string{"alice"}, "sealed", "sealed"},
		{[]string{"nobody", "alice", "none"}, "sealed", "sealed"},
		{[]string{"alice", "bob"}, "sealed-for-others", "sealed-for-others"},
		{[]string{"bob", "nobody", "alice"}, "sealed-for-others", "sealed-for-others"},
	} {
		id := document(c.pages...)
		for p, want := range map[scan.Encryption]string{scan.EncryptionOff: c.off, scan.EncryptionRequired: c.required} {
			policy = p
			for _, format := range []string{"pdf", "tiff", "zip"} {
				url := "/api/v1/documents/" + id + "/content?format=" + format
				here, a := g.ask(http.MethodGet, url, ""), bob.ask(http.MethodGet, url, "", "Range", "bytes=3-") // there are no ranges
				if got := outcome(t, a); got != want {
					t.Errorf("%v as %s under %q is %s, want %s", c.pages, format, p, got, want)
					continue
				}
				if want != "sealed" {
					continue
				}
				plain, kind := alice.open(a, g.node.id, id, "", format)
				if !bytes.Equal(plain, here.Body.Bytes()) || kind != here.Header().Get("Content-Type") {
					t.Errorf("%v as %s: %d bytes of %s, want %d", c.pages, format, len(plain), kind, here.Body.Len())
				}
				etag := a.Header().Get("ETag")
				again := bob.ask(http.MethodGet, url, "", "If-None-Match", etag)
				if again.Code != http.StatusOK || again.Header().Get("ETag") == etag || a.Header().Get("Accept-Ranges") != "" {
					t.Errorf("%v as %s again: status %d under %s: each answer has its own key", c.pages, format, again.Code, again.Header().Get("ETag"))
				}
			}
			policy = scan.EncryptionOff
		}
	}
	large := document("alice")
	g.ask(http.MethodPatch, "/api/v1/documents/"+large, `{"pages":[]}`)
	empty := bob.ask(http.MethodGet, "/api/v1/documents/"+large+"/content", "")
	empty.wants(t, problem.PageNotReady, "")
}
