package gateway

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

const mega = 1 << 20

func TestBodyOutlivesItsLink(t *testing.T) {
	for _, cut := range []relay.Kind{relay.KindQUIC, relay.KindTCP} {
		newDesk(t, 3*mega, func(d *desk) {
			quic, tcp := d.both()
			lost, other := tcp, quic
			if cut == relay.KindQUIC {
				tcp.stalled(d)
				lost, other = quic, tcp
			}
			lost.set(func(w *wire) { w.left = mega + 7 })
			if took := d.fetch(); took > time.Second {
				t.Errorf("the browser waited for %v", took)
			}
			d.wantRanges(lost, "")
			d.wantRanges(other, fmt.Sprintf("bytes=%d-%d", mega+7, 3*mega-1))
		})
	}
}

// Each answer wraps the key of a sealed page anew: the bytes under its ETag are the same.
func TestSealedBodyOutlivesItsLink(t *testing.T) {
	newDesk(t, 3*mega, func(d *desk) {
		quic, tcp := d.both()
		answers := 0
		d.n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
			answers++
			w.Header().Set("Content-Type", "application/vnd.platen.sealed")
			w.Header().Set(headerSealed, fmt.Sprintf("v1; type=image/jpeg; for=AAAA; key=%d", answers))
			w.Header().Set("Etag", d.etag)
			http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(d.page))
			return nil
		})
		tcp.set(func(w *wire) { w.left = mega + 7 })
		d.fetch()
		d.wantRanges(quic, fmt.Sprintf("bytes=%d-%d", mega+7, 3*mega-1))
	})
}

// stalled has the gateway take the link for one that stalls.
func (w *wire) stalled(d *desk) {
	for _, h := range d.g.registry.linksOf(d.reg) {
		if h.Link == relay.Link(w) {
			h.stall(time.Now())
		}
	}
}

func TestBodyWaitsForTheNextLink(t *testing.T) {
	newDesk(t, 3*mega, func(d *desk) {
		d.open(relay.KindQUIC, false).set(func(w *wire) { w.left = mega })
		body := d.body()
		at := d.take(body, 0, mega, 0)
		d.holding.Go(func() { time.Sleep(2 * time.Second); d.dial(relay.KindTCP, false) })
		began := time.Now()
		d.finish(body, at, 0)
		if took := time.Since(began); took < 2*time.Second || took > 3*time.Second {
			t.Errorf("the rest came after %v, want 2 s", took)
		}
	})
	newDesk(t, 3*mega, func(d *desk) {
		d.open(relay.KindQUIC, false).set(func(w *wire) { w.left = mega })
		body := d.body()
		defer body.Close()
		d.take(body, 0, mega, 0)
		began := time.Now()
		if n, err := body.Read(make([]byte, 1)); n != 0 || err == nil || err == io.EOF {
			t.Errorf("without a next link: %d bytes, %v, want an error", n, err)
		}
		if took := time.Since(began); took > patience+time.Second {
			t.Errorf("it took %v to give up", took)
		}
	})
}

func TestStalledBodyGoesToTheOtherLink(t *testing.T) {
	newDesk(t, 4*mega, func(d *desk) {
		quic, tcp := d.both()
		goOn := tcp.stop()
		defer goOn()
		if took := d.fetch(); took < stallAfter || took > stallAfter+time.Second {
			t.Errorf("a page over a link that gives nothing took %v, want %v", took, stallAfter)
		}
		d.wantRanges(tcp, "")
		d.wantRanges(quic, fmt.Sprintf("bytes=0-%d", 4*mega-1))
		goOn()
		d.fetch()
		if n := tcp.bytes(); n > 0 {
			t.Errorf("%d bytes came over the link that has just stalled", n)
		}
		time.Sleep(stallKept)
		d.fetch()
		if n := tcp.bytes(); n < 4*mega {
			t.Errorf("%d bytes came over the link that stalled a minute ago, want the page", n)
		}
	})
}

// A link may give no answer at all.
func TestMuteLinkIsNotWaitedFor(t *testing.T) {
	for _, others := range []bool{true, false} {
		newDesk(t, 2*mega, func(d *desk) {
			quic := d.open(relay.KindQUIC, false)
			mute, other := quic, make(chan *wire, 1)
			if others {
				mute = d.open(relay.KindTCP, true)
				other <- quic
			}
			mute.set(func(w *wire) { w.mute = true })
			if !others {
				d.holding.Go(func() { time.Sleep(time.Second); other <- d.dial(relay.KindQUIC, false) })
			}
			if took := d.fetch(); took < stallAfter || took > stallAfter+stallAgain {
				t.Errorf("a page took %v, want %v", took, stallAfter)
			}
			if of, n := mute.bytes(), (<-other).bytes(); of != 0 || n != 2*mega {
				t.Errorf("%d bytes came over the mute link, %d over the other", of, n)
			}
		})
	}
}

// A node that is busy for a moment is asked again.
func TestBusyNodeIsAskedAgain(t *testing.T) {
	newDesk(t, 2*mega, func(d *desk) {
		_, tcp := d.both()
		tcp.set(func(w *wire) { w.left = mega })
		body := d.body()
		at := d.take(body, 0, mega/2, 0)
		busy := time.Now().Add(resumeLimit / 2)
		d.n.mu.Lock()
		page := d.n.answer["GET /api/v1/jobs/{job}/pages/{n}"]
		d.n.mu.Unlock()
		d.n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
			if time.Now().Before(busy) {
				return problem.TooManyRequests.Error()
			}
			return page(w, r)
		})
		d.finish(body, at, 0)
	})
}

// A link that stalls while there is no other is left for the next one that comes.
func TestStalledBodyWaitsForAnotherLink(t *testing.T) {
	newDesk(t, 4*mega, func(d *desk) {
		quic := d.open(relay.KindQUIC, false)
		body := d.body()
		at := d.take(body, 0, mega, 0)
		defer quic.stop()()
		d.holding.Go(func() { time.Sleep(4 * time.Second); d.dial(relay.KindQUIC, false) })
		began := time.Now()
		d.finish(body, at, 0)
		if took := time.Since(began); took > 5*time.Second {
			t.Errorf("the rest came after %v, want 4 s", took)
		}
	})
}

// A browser that takes nothing is no stall.
func TestSlowBrowserIsNoStall(t *testing.T) {
	newDesk(t, 8*mega, func(d *desk) {
		quic, tcp := d.both()
		body := d.body()
		at := d.take(body, 0, 2*mega, 0)
		time.Sleep(relay.StallLimit - time.Second)
		at = d.take(body, at, 100_000, 10_000)
		d.finish(body, at, 500_000)
		d.wantRanges(quic)
		if tcp.isGone() {
			t.Error("its link was given up")
		}
	})
}

func TestChangedFileBreaksOff(t *testing.T) {
	for name, change := range map[string]func(*desk){
		"scanned anew": func(d *desk) { d.etag = `"other"` },
		"longer":       func(d *desk) { d.page = append(d.page, 1) },
		"gone": func(d *desk) {
			d.n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(http.ResponseWriter, *http.Request) error {
				return problem.PageGone.Error()
			})
		},
		"another form": func(d *desk) {
			d.n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
				w.Header().Set("Content-Type", "image/png")
				w.Header().Set("Etag", d.etag)
				http.ServeContent(w, r, "", time.Time{}, strings.NewReader(string(d.page)))
				return nil
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			newDesk(t, 3*mega, func(d *desk) {
				_, tcp := d.both()
				tcp.set(func(w *wire) { w.left = mega })
				body := d.body()
				defer body.Close()
				d.take(body, 0, mega, 0)
				page := d.page
				change(d)
				if n, err := body.Read(make([]byte, 1)); n != 0 || !errors.Is(err, errOtherFile) {
					t.Errorf("%d bytes, %v, want %v", n, err, errOtherFile)
				}
				d.page = page
			})
		})
	}
}

// What cannot be had from any offset is passed on as it comes.
func TestWhatIsNotCarried(t *testing.T) {
	newDesk(t, 3*mega, func(d *desk) {
		d.both()
		for _, c := range []struct {
			method string
			header []string
			status int
		}{
			{http.MethodHead, nil, http.StatusOK},
			{http.MethodGet, []string{"If-None-Match", `"page"`}, http.StatusNotModified},
			{http.MethodGet, []string{"Range", "bytes=9000000-"}, http.StatusRequestedRangeNotSatisfiable},
			{http.MethodGet, []string{"Range", "bytes=0-1,5-6"}, http.StatusPartialContent},
		} {
			answer, err := d.ask(d.ctx, c.method, c.header...)
			if err != nil || answer.StatusCode != c.status {
				t.Fatalf("%s %q = %v, %v, want status %d", c.method, c.header, answer, err, c.status)
			}
			if _, carried := answer.Body.(*carried); carried {
				t.Errorf("%s %q: the body is carried", c.method, c.header)
			}
			if _, err := io.Copy(io.Discard, answer.Body); err != nil {
				t.Errorf("%s %q: %v", c.method, c.header, err)
			}
			answer.Body.Close()
		}
		for name, etag := range map[string]string{"weak": `W/"page"`, "none": ""} {
			d.etag = etag
			answer, err := d.ask(d.ctx, http.MethodGet)
			if err != nil {
				t.Fatal(err)
			}
			if _, carried := answer.Body.(*carried); carried {
				t.Errorf("a body with ETag %s is carried", name)
			}
			answer.Body.Close()
		}
	})
}

func TestRangeInARange(t *testing.T) {
	newDesk(t, 5*mega, func(d *desk) {
		quic, tcp := d.both()
		tcp.set(func(w *wire) { w.left = mega })
		answer, err := d.ask(d.ctx, http.MethodGet, "Range", fmt.Sprintf("bytes=%d-%d", mega+1, 4*mega), "If-Range", `"page"`)
		if err != nil {
			t.Fatal(err)
		}
		if want := fmt.Sprintf("bytes %d-%d/%d", mega+1, 4*mega, 5*mega); answer.Header.Get("Content-Range") != want {
			t.Fatalf("Content-Range = %q, want %q", answer.Header.Get("Content-Range"), want)
		}
		d.take(answer.Body, mega+1, 3*mega, 0)
		if n, err := answer.Body.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("after the last byte: %d bytes, %v, want the end", n, err)
		}
		answer.Body.Close()
		d.wantRanges(quic, fmt.Sprintf("bytes=%d-%d", 2*mega+1, 4*mega))
	})
}

func TestCanceledBodyEndsAtOnce(t *testing.T) {
	newDesk(t, 4*mega, func(d *desk) {
		_, tcp := d.both()
		defer tcp.stop()()
		ctx, cancel := context.WithCancel(d.ctx)
		answer, err := d.ask(ctx, http.MethodGet)
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, cancel)
		began := time.Now()
		if _, err := answer.Body.Read(make([]byte, 1)); !errors.Is(err, context.Canceled) {
			t.Errorf("Read = %v, want %v", err, context.Canceled)
		}
		if took := time.Since(began); took != time.Second {
			t.Errorf("it ended after %v, want 1 s", took)
		}
		answer.Body.Close()
	})
}

func TestClosedBodyLeavesNothing(t *testing.T) {
	newDesk(t, 8*mega, func(d *desk) {
		quic, tcp := d.both()
		tcp.set(func(w *wire) { w.rate = 100_000 })
		body := d.body()
		d.take(body, 0, 100_000, 0)
		body.Close()
		synctest.Wait()
		for _, w := range []*wire{quic, tcp} {
			n := w.bytes()
			time.Sleep(time.Minute)
			if w.bytes() != n {
				t.Errorf("bytes still come over %s", w.Kind())
			}
		}
	})
}

// A page that the node keeps breaking off is given up.
func TestBodyThatAlwaysBreaksOff(t *testing.T) {
	newDesk(t, 4*mega, func(d *desk) {
		d.both()
		asked := 0
		d.n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
			asked++
			w.Header().Set("Content-Type", "image/jpeg")
			w.Header().Set("Etag", d.etag)
			http.ServeContent(&breaking{w, 100_000}, r, "", time.Time{}, strings.NewReader(string(d.page)))
			panic(http.ErrAbortHandler)
		})
		body := d.body()
		defer body.Close()
		if _, err := io.Copy(io.Discard, body); err == nil {
			t.Error("the body looks whole")
		}
		if asked > maxLosses+1 {
			t.Errorf("the page was asked for %d times", asked)
		}
	})
}

// breaking takes so many bytes, then fails.
type breaking struct {
	http.ResponseWriter
	left int
}

func (b *breaking) Write(p []byte) (int, error) {
	if b.left <= 0 {
		return 0, errors.New("the sheet jammed")
	}
	n, err := b.ResponseWriter.Write(p[:min(len(p), b.left)])
	b.left -= n
	http.NewResponseController(b.ResponseWriter).Flush()
	return n, err
}

func TestContentRange(t *testing.T) {
	for s, want := range map[string][3]int64{
		"bytes 0-0/1": {0, 1, 1}, "bytes 5-9/10": {5, 10, 10},
		"bytes 5-9/*": {}, "bytes */10": {}, "bytes 5-10/10": {}, "bytes 9-5/10": {}, "bytes +5-9/10": {}, "bytes -5-9/10": {},
		"5-9/10": {}, "": {}, "bytes 5-9": {}, "bytes 0-9223372036854775807/9223372036854775808": {}, "items 0-0/1": {},
	} {
		start, end, total, ok := contentRange(s)
		if got := [3]int64{start, end, total}; got != want || ok != (want[2] != 0) {
			t.Errorf("contentRange(%q) = %v, %v, want %v", s, got, ok, want)
		}
	}
}

func TestFileCheck(t *testing.T) {
	f := file{etag: `"page"`, kind: "image/jpeg", from: 100, end: 300, total: 1000}
	good := func() *http.Response {
		return &http.Response{StatusCode: http.StatusPartialContent, ContentLength: 100, Header: http.Header{
			"Etag": {`"page"`}, "Content-Type": {"image/jpeg"}, "Content-Range": {"bytes 200-299/1000"},
		}}
	}
	if err := f.check(good(), 200, 300); err != nil {
		t.Errorf("the rest: %v", err)
	}
	for name, change := range map[string]func(*http.Response){
		"the whole":     func(r *http.Response) { r.StatusCode = http.StatusOK },
		"another ETag":  func(r *http.Response) { r.Header.Set("Etag", `"other"`) },
		"a weak ETag":   func(r *http.Response) { r.Header.Set("Etag", `W/"page"`) },
		"another type":  func(r *http.Response) { r.Header.Set("Content-Type", "image/png") },
		"sealed":        func(r *http.Response) { r.Header.Set(headerSealed, "image/jpeg; key=x") },
		"compressed":    func(r *http.Response) { r.Header.Set("Content-Encoding", "gzip") },
		"another start": func(r *http.Response) { r.Header.Set("Content-Range", "bytes 199-299/1000"); r.ContentLength = 101 },
		"another end":   func(r *http.Response) { r.Header.Set("Content-Range", "bytes 200-298/1000"); r.ContentLength = 99 },
		"another total": func(r *http.Response) { r.Header.Set("Content-Range", "bytes 200-299/1001") },
		"no range":      func(r *http.Response) { r.Header.Del("Content-Range") },
		"another size":  func(r *http.Response) { r.ContentLength = 99 },
	} {
		answer := good()
		change(answer)
		if err := f.check(answer, 200, 300); !errors.Is(err, errOtherFile) {
			t.Errorf("%s: %v, want %v", name, err, errOtherFile)
		}
	}
}
