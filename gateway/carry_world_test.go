package gateway

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

// wire is a link whose weather a test makes: of the bodies of pages only.
type wire struct {
	relay.Link

	mu    sync.Mutex
	rate  int           // bytes a second, of all bodies; 0: no limit
	free  time.Time     // when the rate lets the next bytes pass
	mute  bool          // no answer comes
	still chan struct{} // not nil: nothing passes until it is closed
	left  int           // bytes until the link is cut; negative: it is not
	taken int           // bytes that passed
	asked []string      // the Range of each request
}

func (w *wire) RoundTrip(r *http.Request) (*http.Response, error) {
	page := strings.Contains(r.URL.Path, "/pages/")
	if page {
		w.mu.Lock()
		w.asked = append(w.asked, r.Header.Get("Range"))
		mute := w.mute
		w.mu.Unlock()
		if mute {
			<-r.Context().Done()
			return nil, r.Context().Err()
		}
	}
	answer, err := w.Link.RoundTrip(r)
	if err == nil && page {
		answer.Body = &wireBody{answer.Body, w, r.Context()}
	}
	return answer, err
}

func (w *wire) set(change func(*wire)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	change(w)
}

// stop has the link give nothing; the answer lets it go on.
func (w *wire) stop() (goOn func()) {
	still := make(chan struct{})
	w.set(func(w *wire) { w.still = still })
	return sync.OnceFunc(func() { w.set(func(w *wire) { w.still = nil }); close(still) })
}

func (w *wire) ranges() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return append([]string{}, w.asked...)
}

func (w *wire) bytes() int {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.taken
}

type wireBody struct {
	io.ReadCloser
	wire *wire
	ctx  context.Context
}

func (b *wireBody) Read(p []byte) (int, error) {
	w := b.wire
	w.mu.Lock()
	still := w.still
	w.mu.Unlock()
	if still != nil {
		select {
		case <-still:
		case <-b.ctx.Done():
			return 0, b.ctx.Err()
		case <-w.Done():
			return 0, relay.ErrLinkLost
		}
	}
	n, err := b.ReadCloser.Read(p[:min(len(p), 64<<10)])
	w.mu.Lock()
	now := time.Now()
	if w.free.Before(now) {
		w.free = now
	}
	if w.rate > 0 {
		w.free = w.free.Add(time.Duration(n) * time.Second / time.Duration(w.rate))
	}
	wait := w.free.Sub(now)
	cut := false
	if w.left >= 0 {
		n = min(n, w.left)
		w.left -= n
		cut = w.left == 0
	}
	w.taken += n
	w.mu.Unlock()
	time.Sleep(wait)
	if cut {
		w.Close("")
		if err == nil || err == io.EOF {
			err = relay.ErrLinkLost
		}
	}
	return n, err
}

// desk is a gateway with one node that has one page, in fake time.
type desk struct {
	t    *testing.T
	ctx  context.Context
	g    *Gateway
	n    *fakeNode
	reg  *node
	job  string
	page []byte
	etag string

	holding sync.WaitGroup
}

// newDesk runs a test in fake time; the page has size bytes.
func newDesk(t *testing.T, size int, test func(*desk)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		n := newFakeNode(t, "n")
		d := &desk{t: t, ctx: ctx, g: newHolder(t, n), n: n, job: n.addJobs(time.Now(), 1)[0], etag: `"page"`}
		d.reg, _ = d.g.registry.get(n.nodeID())
		d.page = make([]byte, size)
		for i := range d.page { // no two stretches are alike
			d.page[i] = byte(i ^ i>>8 ^ i>>16*7)
		}
		n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "image/jpeg")
			w.Header().Set("Etag", d.etag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.page))
			return nil
		})
		test(d)
		cancel()
		d.holding.Wait()
	})
}

// open makes a link of a kind and waits for its hello; bulk is what the node says of it.
func (d *desk) open(kind relay.Kind, bulk bool) *wire {
	d.t.Helper()
	w := d.dial(kind, bulk)
	synctest.Wait()
	return w
}

func (d *desk) dial(kind relay.Kind, bulk bool) *wire {
	w := &wire{left: -1}
	gate := &memlink.Gateway{Key: d.g.cfg.Identity.Public(), Kind: kind, OnLink: func(l relay.Link) { w.Link = l }}
	conn, err := gate.Dialer().Dial(d.ctx, relay.Target{Pin: d.g.cfg.Identity.Pin(), Identity: d.n.id})
	if err != nil {
		panic(err)
	}
	handler := d.n.handler
	if bulk {
		handler = http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
			d.n.handler.ServeHTTP(rw, r.WithContext(context.WithValue(r.Context(), bulkKey{}, true)))
		})
	}
	d.holding.Go(func() { conn.Serve(d.ctx, handler) })
	d.holding.Go(func() { holdOut(d.ctx, d.g, w) })
	return w
}

func (d *desk) both() (quic, tcp *wire) {
	return d.open(relay.KindQUIC, false), d.open(relay.KindTCP, true)
}

func (d *desk) caller() access.Caller {
	return access.Caller{Session: "s", Subject: "s", Role: api.RoleUser}
}

// request is one for the page.
func (d *desk) request(ctx context.Context, method string, header ...string) *http.Request {
	d.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, nodeURL("/api/v1/jobs/"+d.job+"/pages/1"), nil)
	if err != nil {
		d.t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	return r
}

// ask asks for the page as the reverse proxy does.
func (d *desk) ask(ctx context.Context, method string, header ...string) (*http.Response, error) {
	d.t.Helper()
	a := &asking{g: d.g, node: d.reg, caller: d.caller(), class: streaming, ctx: ctx}
	return a.RoundTrip(d.request(ctx, method, header...))
}

// body begins to fetch the page.
func (d *desk) body(header ...string) io.ReadCloser {
	d.t.Helper()
	answer, err := d.ask(d.ctx, http.MethodGet, header...)
	if err != nil {
		d.t.Fatalf("asking for the page: %v", err)
	}
	return answer.Body
}

// take reads n bytes of a body, which begins at an offset of the page, as a browser of a
// rate does (0: no limit).
func (d *desk) take(body io.Reader, at, n, rate int) int {
	d.t.Helper()
	b := make([]byte, 100_000)
	for n > 0 {
		m, err := body.Read(b[:min(n, len(b))])
		if err != nil {
			d.t.Fatalf("the body broke off at %d: %v", at, err)
		}
		if !bytes.Equal(b[:m], d.page[at:at+m]) {
			d.t.Fatalf("other bytes at %d", at)
		}
		at, n = at+m, n-m
		if rate > 0 {
			time.Sleep(time.Duration(m) * time.Second / time.Duration(rate))
		}
	}
	return at
}

// finish reads a body to its end, which is that of the page, and closes it.
func (d *desk) finish(body io.ReadCloser, at, rate int) {
	d.t.Helper()
	d.take(body, at, len(d.page)-at, rate)
	if n, err := body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
		d.t.Errorf("after the last byte: %d bytes, %v, want the end", n, err)
	}
	body.Close()
}

// fetch fetches the page and answers how long that took.
func (d *desk) fetch() time.Duration {
	d.t.Helper()
	began := time.Now()
	d.finish(d.body(), 0, 0)
	return time.Since(began)
}

func (d *desk) wantRanges(w *wire, want ...string) {
	d.t.Helper()
	if got := w.ranges(); fmt.Sprint(got) != fmt.Sprint(want) {
		d.t.Errorf("asked over %s for %q, want %q", w.Kind(), got, want)
	}
}
