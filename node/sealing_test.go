package node

import (
	"bytes"
	"crypto/ecdh"
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	mathrand "math/rand/v2"
	"net/http"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/node/seal"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// browser is somebody who asks through a gateway and can open what is sealed for them.
type browser struct {
	t       testing.TB
	ask     asker
	private *ecdh.PrivateKey
}

// viaGateway is the node's handler behind a gateway that vouches for everybody.
func viaGateway(t testing.TB, n *Node) http.Handler {
	h, gateway := accesstest.Validate(t, n.Handler(access.RoadLink)), accesstest.NewGateway(t, n.grants, n.id)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		like := accesstest.NewRequest(access.RoadLink, r.Method, r.URL.RequestURI(), "")
		r.Host, r.URL.Host = like.Host, ""
		r.Header.Del("Authorization")
		gateway.As(t, r, api.RoleOperator)
		h.ServeHTTP(w, r)
	})
}

func newBrowser(g *rig) *browser {
	g.t.Helper()
	return browserAt(g, viaGateway(g.t, g.node))
}

func browserAt(g *rig, h http.Handler) *browser {
	g.t.Helper()
	private, err := ecdh.P256().GenerateKey(rand.Reader)
	need(g.t, err)
	return &browser{t: g.t, private: private, ask: func(method, path, body string, header ...string) answer {
		g.t.Helper()
		r := accesstest.NewRequest(access.RoadLink, method, path, body)
		r.Header.Set("Idempotency-Key", newKey())
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		return answer{accesstest.Do(h, r)}
	}}
}

func (b *browser) recipient() string { return seal.FormatRecipient(b.private.PublicKey()) }

// jobFor is a request with a recipient; "" has none.
func jobFor(source scan.Source, recipient string) string {
	body := request(source, 0)
	if recipient == "" {
		return body
	}
	return strings.TrimSuffix(body, "}") + fmt.Sprintf(`,"recipient":%q}`, recipient)
}

var sealedTag = regexp.MustCompile(`^"([^."]+)(?:\.([^."]+))?\.s-[0-9a-f]{16}"$`)

// unwrap reads the headers of a sealed answer as the browser does that asked for part of
// object; form is for a document only.
func (b *browser) unwrap(h http.Header, node, object, part, form string) (*seal.Key, seal.Header) {
	b.t.Helper()
	tag := sealedTag.FindStringSubmatch(h.Get("ETag"))
	head, err := seal.ParseHeader(h.Get("Platen-Sealed"))
	if err != nil || tag == nil || h.Get("Content-Type") != "application/vnd.platen.sealed" || h.Get("Repr-Digest") != "" {
		b.t.Fatalf("not sealed: %v, %v", h, err)
	}
	if form == "" {
		form = tag[2]
	}
	key, err := seal.Unwrap(b.private, seal.Name{Node: node, Object: object, Part: part, Version: tag[1], Form: form}, head)
	if err != nil {
		b.t.Fatalf("Unwrap of %v: %v", h, err)
	}
	return key, head
}

// open is what a sealed answer holds.
func (b *browser) open(a answer, node, object, part, form string) (plain []byte, mediaType string) {
	b.t.Helper()
	if a.Code != http.StatusOK {
		b.t.Fatalf("status %d: %s", a.Code, a.Body)
	}
	key, h := b.unwrap(a.Header(), node, object, part, form)
	plain, err := io.ReadAll(key.Open(a.Body, 0))
	if err != nil {
		b.t.Fatalf("opening: %v", err)
	}
	return plain, h.Type
}

// largeJPEG passes for a page of so many bytes.
func largeJPEG(size int) []byte {
	b := make([]byte, size)
	for i := range b {
		b[i] = byte(i*7 + i>>8)
	}
	copy(b, "\xff\xd8\xff")
	copy(b[size-2:], "\xff\xd9")
	return b
}

// bring is a script of one page with these bytes.
func bring(page []byte) func(*fakeBatch) error {
	return func(b *fakeBatch) error {
		p, err := b.sink.PageStarted(fakePage)
		if err != nil {
			return err
		}
		if _, err := p.Write(page); err != nil {
			return err
		}
		return p.Commit(fakePage.Height)
	}
}

// TestEncryptionPolicies asks for everything that has the bytes of a page, by each road.
func TestEncryptionPolicies(t *testing.T) {
	const refused = "encryption-required"
	for _, c := range []struct {
		policy           scan.Encryption
		sealedFor        bool
		made             string // by the gateway: created, or the problem
		viaLink          string // of a page that was made at the node
		announced, local scan.Encryption
	}{
		{scan.EncryptionOff, false, "created", "plain", "", ""},
		{scan.EncryptionOff, true, "created", "sealed", "", ""},
		{scan.EncryptionPreferred, false, "created", "plain", scan.EncryptionPreferred, ""},
		{scan.EncryptionPreferred, true, "created", "sealed", scan.EncryptionPreferred, ""},
		{scan.EncryptionRequired, false, refused, refused, scan.EncryptionRequired, ""},
		{scan.EncryptionRequired, true, "created", "sealed", scan.EncryptionRequired, ""},
	} {
		t.Run(fmt.Sprintf("%s recipient %v", c.policy, c.sealedFor), func(t *testing.T) {
			d := newFakeDevice("one")
			d.scan = then(1, nil)
			g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}})
			g.config = func(config *Config) { config.Encryption = func() scan.Encryption { return c.policy } }
			g.start().found()
			scanner, there := d.id(g.node.id), newBrowser(g)
			recipient := ""
			if c.sealedFor {
				recipient = there.recipient()
			}
			a := there.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", jobFor(scan.SourcePlaten, recipient))
			if got := outcome(t, a); got != c.made {
				t.Errorf("a job over the link is %s, want %s", got, c.made)
			}
			j := g.submit(scanner, jobFor(scan.SourcePlaten, recipient))
			if j.Recipient != recipient {
				t.Errorf("recipient = %q, want %q", j.Recipient, recipient)
			}
			g.reaches(j.ID, scan.JobCompleted)

			page := "/api/v1/jobs/" + j.ID + "/pages/1"
			lan, here := g.user(api.RoleOperator), g.ask
			for _, path := range []string{page, page + "?width=40", page + "?format=png", page + "?download=true", page + "?width=40&download=true",
				"/api/v1/documents/" + j.Document + "/content", "/api/v1/documents/" + j.Document + "/content?format=tiff", "/api/v1/documents/" + j.Document + "/content?format=zip&download=true"} {
				for _, method := range []string{http.MethodGet, http.MethodHead} {
					a := there.ask(method, path, "")
					want := c.viaLink
					if method == http.MethodHead && want == refused {
						if a.Code != http.StatusForbidden || a.Header().Get("Platen-Sealed") != "" {
							t.Errorf("HEAD %s over the link: status %d", path, a.Code)
						}
						continue
					}
					if got := outcome(t, a); got != want {
						t.Errorf("%s %s over the link is %s, want %s", method, path, got, want)
					}
					if bytes.Contains(a.Body.Bytes(), testJPEG(1)[:64]) && c.viaLink != "plain" {
						t.Errorf("%s %s over the link has the page in it", method, path)
					}
				}
				for road, ask := range map[string]asker{"loopback": here, "lan": lan} {
					if got := outcome(t, ask(http.MethodGet, path, "")); got != "plain" {
						t.Errorf("GET %s over %s is %s, want plain", path, road, got)
					}
				}
			}
			told := decode[scan.Scanner](t, there.ask(http.MethodGet, "/api/v1/scanners/"+scanner, ""), http.StatusOK)
			listed := decode[api.ScannerList](t, there.ask(http.MethodGet, "/api/v1/scanners", ""), http.StatusOK).Items[0]
			fed := g.node.scanners()[0].scanner // of the events that the gateway follows
			local := get[scan.Scanner](g, "/api/v1/scanners/"+scanner)
			if told.Encryption != c.announced || listed.Encryption != c.announced || fed.Encryption != c.announced || local.Encryption != c.local {
				t.Errorf("encryption is %q, %q, %q over the link and %q here, want %q and %q", told.Encryption, listed.Encryption, fed.Encryption, local.Encryption, c.announced, c.local)
			}
		})
	}
}

// outcome is an answer in a word.
func outcome(t testing.TB, a answer) string {
	t.Helper()
	switch kind := a.Header().Get("Content-Type"); {
	case kind == problem.MediaType:
		return string(problemOf(t, a).Code)
	case a.Code == http.StatusCreated:
		return "created"
	case kind == "application/vnd.platen.sealed":
		if a.Header().Get("Platen-Sealed") == "" || a.Header().Get("Repr-Digest") != "" {
			t.Errorf("sealed with headers %v", a.Header())
		}
		if d := a.Header().Get("Content-Disposition"); d != "" && !strings.Contains(d, `.sealed`) {
			t.Errorf("a sealed file is called %s", d)
		}
		return "sealed"
	case a.Header().Get("Platen-Sealed") == "":
		return "plain"
	}
	return "neither sealed nor plain"
}

// TestUnknownRoadsAreSealed keeps the pages in if somebody adds a road and forgets this.
func TestUnknownRoadsAreSealed(t *testing.T) {
	for road, want := range map[access.Road]bool{
		access.RoadLoopback: false, access.RoadLAN: false, access.RoadSetup: false, access.RoadESCL: false, access.RoadDirect: true,
		access.RoadLink: true, access.RoadPublic: true, access.RoadNode: true, "": true, "tunnel": true,
	} {
		if got := byGateway(road); got != want {
			t.Errorf("byGateway(%q) = %v, want %v", road, got, want)
		}
	}
}

func TestSealedPage(t *testing.T) {
	const size = 3*seal.ChunkSize + 500
	page := largeJPEG(size)
	g, _, scanner := oneDevice(t, bring(page))
	there := newBrowser(g)
	job := decode[scan.Job](t, there.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", jobFor(scan.SourcePlaten, there.recipient())), http.StatusCreated)
	g.reaches(job.ID, scan.JobCompleted)
	url := "/api/v1/jobs/" + job.ID + "/pages/1"
	a := there.ask(http.MethodGet, url, "")
	body, etag := bytes.Clone(a.Body.Bytes()), a.Header().Get("ETag")
	if plain, kind := there.open(a, g.node.id, job.ID, "1", ""); !bytes.Equal(plain, page) || kind != "image/jpeg" {
		t.Errorf("%d bytes of %s came, want the page", len(plain), kind)
	}
	if a.Header().Get("Content-Length") != fmt.Sprint(seal.Size(size)) || a.Header().Get("Accept-Ranges") != "bytes" {
		t.Errorf("headers = %v", a.Header())
	}
	check := func(when string) {
		t.Helper()
		for range 20 {
			from := mathrand.IntN(len(body))
			to := from + mathrand.IntN(len(body)-from)
			part := there.ask(http.MethodGet, url, "", "Range", fmt.Sprintf("bytes=%d-%d", from, to), "If-Range", etag)
			if part.Code != http.StatusPartialContent || part.Header().Get("ETag") != etag || !bytes.Equal(part.Body.Bytes(), body[from:to+1]) {
				t.Errorf("%s: bytes %d to %d: status %d, %d bytes, %s", when, from, to, part.Code, part.Body.Len(), part.Header().Get("ETag"))
			}
			there.unwrap(part.Header(), g.node.id, job.ID, "1", "")
		}
		if same := there.ask(http.MethodGet, url, "", "If-None-Match", etag); same.Code != http.StatusNotModified {
			t.Errorf("%s: If-None-Match: status %d", when, same.Code)
		}
		if head := there.ask(http.MethodHead, url, ""); head.Header().Get("ETag") != etag || head.Header().Get("Content-Length") != fmt.Sprint(len(body)) {
			t.Errorf("%s: HEAD has %v", when, head.Header())
		}
		beyond := there.ask(http.MethodGet, url, "", "Range", fmt.Sprintf("bytes=%d-", len(body)))
		beyond.wants(t, problem.RangeNotSatisfiable, "")
		if beyond.Header().Get("Platen-Sealed") != "" {
			t.Errorf("%s: a problem is sent as sealed", when)
		}
	}
	check("at first")
	plainTag := g.ask(http.MethodGet, url, "").Header().Get("ETag")
	if changed := there.ask(http.MethodGet, url, "", "Range", "bytes=5-", "If-Range", plainTag); changed.Code != http.StatusOK {
		t.Errorf("a range of the plain bytes: status %d, want the whole sealed page", changed.Code)
	}

	// The same bytes in the next process, as long as it has the secret.
	restart := func() {
		g.stop()
		g.start().found()
		there.ask = newBrowser(g).ask
	}
	restart()
	check("after a restart")
	fi, err := os.Stat(filepath.Join(g.dir, secretFile))
	if err != nil || fi.Size() != seal.SecretSize || fi.Mode().Perm() != 0o600 {
		t.Errorf("the secret's file: %v, %v", fi, err)
	}
	g.stop()
	need(t, os.Remove(filepath.Join(g.dir, secretFile)))
	restart()
	if a := there.ask(http.MethodGet, url, "", "Range", "bytes=5-", "If-Range", etag); a.Code != http.StatusOK || a.Header().Get("ETag") == etag {
		t.Errorf("with another secret: status %d, ETag %s: other bytes need another one", a.Code, a.Header().Get("ETag"))
	} else if plain, _ := there.open(a, g.node.id, job.ID, "1", ""); !bytes.Equal(plain, page) {
		t.Error("with another secret the page does not open")
	}
	g.stop()
	need(t, os.WriteFile(filepath.Join(g.dir, secretFile), []byte("short"), 0o600))
	restart()
	there.ask(http.MethodGet, url, "").wants(t, problem.Internal, "")
	there.ask(http.MethodGet, url+"?width=40", "").wants(t, problem.FormatUnsupported, "") // it is no real JPEG
}

func TestSealedRenditions(t *testing.T) {
	g, _, scanner := oneDevice(t, then(1, nil))
	there := newBrowser(g)
	job := g.submit(scanner, jobFor(scan.SourcePlaten, there.recipient()))
	g.reaches(job.ID, scan.JobCompleted)
	url := "/api/v1/jobs/" + job.ID + "/pages/1"
	marks := map[string]string{}
	for query, form := range map[string]string{"": "", "?format=png": "png", "?width=40": "jpeg-w40", "?width=41": "jpeg-w41", "?width=4000": ""} {
		a, want := there.ask(http.MethodGet, url+query, ""), g.ask(http.MethodGet, url+query, "")
		etag := a.Header().Get("ETag")
		if tag := sealedTag.FindStringSubmatch(etag); tag == nil || tag[2] != form {
			t.Errorf("%q: ETag %s, want one of form %q", query, etag, form)
		}
		plain, kind := there.open(a, g.node.id, job.ID, "1", "")
		if !bytes.Equal(plain, want.Body.Bytes()) || kind != want.Header().Get("Content-Type") {
			t.Errorf("%q: %d bytes of %s, want %d of %s", query, len(plain), kind, want.Body.Len(), want.Header().Get("Content-Type"))
		}
		mark := etag[strings.LastIndex(etag, ".s-"):]
		if was, twice := marks[mark]; twice && was != form {
			t.Errorf("%q and %q have one key", was, form)
		}
		marks[mark] = form
		part := there.ask(http.MethodGet, url+query, "", "Range", "bytes=7-", "If-Range", etag)
		if whole := there.ask(http.MethodGet, url+query, ""); part.Code != http.StatusPartialContent || !bytes.Equal(part.Body.Bytes(), whole.Body.Bytes()[7:]) {
			t.Errorf("%q: a range is not that of the whole: status %d", query, part.Code)
		}
	}
	stranger := newBrowser(g)
	if head, err := seal.ParseHeader(stranger.ask(http.MethodGet, url, "").Header().Get("Platen-Sealed")); err != nil {
		t.Error(err)
	} else if _, err := seal.Unwrap(stranger.private, seal.Name{}, head); err == nil {
		t.Error("somebody else opens the page")
	}
}

// TestSealedGrowing has the same bytes while the page grows as when it is committed.
func TestSealedGrowing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		private, err := ecdh.P256().GenerateKey(rand.Reader)
		need(t, err)
		p := growFor(t, fakePage, jobFor(scan.SourceADF, seal.FormatRecipient(private.PublicKey())))
		far := *p.rig
		far.local = viaGateway(t, p.node)
		there := browserAt(p.rig, far.local)
		there.private = private
		link := serveLive(&far)
		defer link.stop()

		file := largeJPEG(2*seal.ChunkSize + 321)
		p.write(file[:100])
		answer := link.open(t.Context(), http.MethodGet, p.url)
		if answer.StatusCode != http.StatusOK || answer.ContentLength >= 0 || answer.Header.Get("Cache-Control") != "no-store" {
			t.Errorf("status %d, length %d, headers %v", answer.StatusCode, answer.ContentLength, answer.Header)
		}
		key, _ := there.unwrap(answer.Header, p.node.id, p.job.ID, "1", "")
		opened := key.Open(answer.Body, 0)
		part := func(from int, header ...string) answerOf {
			return answerOf{there.ask(http.MethodGet, p.url, "", append([]string{"Range", fmt.Sprintf("bytes=%d-", from)}, header...)...), from}
		}
		began := time.Now()
		part(0).wants(t, problem.PageNotReady, "")
		if took := time.Since(began); took != holdTime {
			t.Errorf("no chunk is there: answered after %v, want %v", took, holdTime)
		}
		held := make(chan answerOf)
		go func() { held <- part(0) }()
		synctest.Wait()
		p.write(file[100 : seal.ChunkSize+9])
		first := <-held
		first.is(t, seal.SealedChunk-1, "*")
		if got := readN(t, opened, seal.ChunkSize); !bytes.Equal(got, file[:seal.ChunkSize]) {
			t.Error("the first chunk of the stream is not the page's")
		}
		etag := first.Header().Get("ETag")
		part(40_000, "If-Range", etag).is(t, seal.SealedChunk-1, "*")
		go func() { held <- part(seal.SealedChunk, "If-Range", etag) }()
		synctest.Wait()
		p.write(file[seal.ChunkSize+9 : 2*seal.ChunkSize+5])
		second := <-held
		second.is(t, 2*seal.SealedChunk-1, "*")
		go func() { held <- part(2*seal.SealedChunk, "If-Range", etag) }()
		synctest.Wait()
		p.write(file[2*seal.ChunkSize+5:])
		p.commit()
		last := <-held
		whole := seal.Size(int64(len(file)))
		last.is(t, int(whole)-1, fmt.Sprint(whole))
		rest, err := io.ReadAll(opened)
		need(t, err)
		if !bytes.Equal(rest, file[seal.ChunkSize:]) {
			t.Errorf("%d more bytes came over the stream", len(rest))
		}
		committed := there.ask(http.MethodGet, p.url, "")
		grown := bytes.Join([][]byte{first.Body.Bytes(), second.Body.Bytes(), last.Body.Bytes()}, nil)
		if !bytes.Equal(committed.Body.Bytes(), grown) || committed.Header().Get("ETag") != etag {
			t.Errorf("what grew under %s is not what is committed under %s", etag, committed.Header().Get("ETag"))
		}
	})
}

// answerOf is the answer to a range.
type answerOf struct {
	answer
	from int
}

func (a answerOf) is(t *testing.T, last int, total string) {
	t.Helper()
	want := fmt.Sprintf("bytes %d-%d/%s", a.from, last, total)
	if a.Code != http.StatusPartialContent || a.Header().Get("Content-Range") != want || a.Body.Len() != last-a.from+1 {
		t.Errorf("status %d, Content-Range %q, %d bytes; want %q", a.Code, a.Header().Get("Content-Range"), a.Body.Len(), want)
	}
}

func TestSealedGrowingFails(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		private, err := ecdh.P256().GenerateKey(rand.Reader)
		need(t, err)
		p := growFor(t, fakePage, jobFor(scan.SourceADF, seal.FormatRecipient(private.PublicKey())))
		far := *p.rig
		far.local = viaGateway(t, p.node)
		link := serveLive(&far)
		defer link.stop()
		p.write(largeJPEG(seal.ChunkSize + 10))
		answer := link.open(t.Context(), http.MethodGet, p.url)
		readN(t, answer.Body, seal.SealedChunk)
		p.fail()
		if rest, err := io.ReadAll(answer.Body); err == nil {
			t.Errorf("the stream of a page that failed ended well, after %d more bytes", len(rest))
		}
	})
}

func TestBadRecipients(t *testing.T) {
	g, _, scanner := oneDevice(t, then(1, nil))
	there := newBrowser(g)
	good := there.recipient()
	for _, bad := range []string{
		"x", good[1:], good + "A", strings.Repeat("A", 87), "Ag" + good[2:], "+" + good[1:], good[:86] + "=",
		hex.EncodeToString(there.private.PublicKey().Bytes())[:87],
	} {
		for _, ask := range []asker{there.ask, g.ask} {
			r := ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", jobFor(scan.SourceADF, bad), "Idempotency-Key", newKey())
			r.wants(t, problem.BadRequest, "recipient")
		}
	}
	if list := get[api.JobList](g, "/api/v1/jobs"); len(list.Items) != 0 {
		t.Errorf("%d jobs were made", len(list.Items))
	}
	key := newKey()
	post := func(recipient string) answer {
		return g.ask(http.MethodPost, "/api/v1/scanners/"+scanner+"/jobs", jobFor(scan.SourceADF, recipient), "Idempotency-Key", key)
	}
	first := decode[scan.Job](t, post(good), http.StatusCreated)
	if again := decode[scan.Job](t, post(good), http.StatusCreated); again.ID != first.ID {
		t.Error("the same request made another job")
	}
	post(newBrowser(g).recipient()).wants(t, problem.IdempotencyKeyReused, "")
}
