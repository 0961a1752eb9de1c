package gateway

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// counting counts what the node sends of its page, and how many answers with it are under way.
func (d *desk) counting() (sent *atomic.Int64, underWay *atomic.Int32) {
	sent, underWay = new(atomic.Int64), new(atomic.Int32)
	d.n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
		underWay.Add(1)
		defer underWay.Add(-1)
		w.Header().Set("Content-Type", "image/jpeg")
		w.Header().Set("Etag", d.etag)
		http.ServeContent(&counted{w, sent}, r, "", time.Time{}, bytes.NewReader(d.page))
		return nil
	})
	return sent, underWay
}

type counted struct {
	http.ResponseWriter
	sent *atomic.Int64
}

func (c *counted) Write(p []byte) (int, error) {
	n, err := c.ResponseWriter.Write(p)
	c.sent.Add(int64(n))
	return n, err
}

// sip takes a few bytes of a body in each turn, as a browser on a poor line does.
func (d *desk) sip(body io.Reader, at, turns, bytes int, every time.Duration) int {
	for range turns {
		at = d.take(body, at, bytes, 0)
		time.Sleep(every)
	}
	return at
}

// What a slow browser has not taken stays at the node.
func TestRestForASlowBrowserStaysAtTheNode(t *testing.T) {
	newDesk(t, 16*mega, func(d *desk) {
		_, tcp := d.both()
		sent, underWay := d.counting()
		body := d.body()
		at := d.take(body, 0, 16<<10, 0)
		time.Sleep(slowFirst)
		synctest.Wait()
		if n := underWay.Load(); n != 0 {
			t.Errorf("%d answers are under way while the browser takes none of them", n)
		}
		if n := sent.Swap(0); n > relay.StreamWindow+relay.BufferSize+mostUnread { // some of it after the answer was given up
			t.Errorf("the node sent %d bytes before the browser was found to be slow", n)
		}
		began := at
		for at < 2*mega {
			at = d.sip(body, at, 1, 4<<10, 250*time.Millisecond)
			if held := int(sent.Load()) - (at - began); held > leastSlice {
				t.Fatalf("the gateway holds %d bytes for the browser, at most %d are allowed", held, leastSlice)
			}
		}
		if n, most := len(tcp.ranges()), 2+(at-began)/leastSlice; n > most {
			t.Errorf("the page was asked for %d times, want at most %d", n, most)
		}
		d.finish(body, at, 0)
	})
}

// A browser that turns fast gets the rest at once.
func TestBrowserTurnsFast(t *testing.T) {
	newDesk(t, 20*mega, func(d *desk) {
		_, tcp := d.both()
		body := d.body()
		at := d.sip(body, 0, 20, 4<<10, 250*time.Millisecond)
		asked := len(tcp.ranges())
		began := time.Now()
		d.finish(body, at, 100*mega)
		if took := time.Since(began); took > time.Second {
			t.Errorf("the rest took %v", took)
		}
		list := tcp.ranges()
		if n := len(list) - asked; n > 8 {
			t.Errorf("it was asked for %d times", n)
		}
		if last := list[len(list)-1]; !strings.HasSuffix(last, fmt.Sprintf("-%d", 20*mega-1)) {
			t.Errorf("the last time for %q, want all the rest", last)
		}
	})
}

// Whatever its rate, a browser's body makes few requests to the node, and waits for few.
func TestSlicesLastLong(t *testing.T) {
	for _, rate := range []int{10e3, 100e3, 500e3, 1e6, 2e6, 5e6, 20e6} {
		newDesk(t, 40*mega, func(d *desk) {
			_, tcp := d.both()
			body := d.body()
			began := time.Now()
			at := d.take(body, 0, min(40*mega, 30*rate), rate)
			body.Close()
			took := time.Since(began)
			if n, most := len(tcp.ranges()), 10+int(took/sliceTime); n > most {
				t.Errorf("at %d bytes a second %d requests in %v", rate, n, took)
			}
			if want := time.Duration(at) * time.Second / time.Duration(rate); took > want+time.Second/10 {
				t.Errorf("at %d bytes a second %d of them took %v, want %v", rate, at, took, want)
			}
		})
	}
}

// One that has turned fast and then takes nothing is slow again.
func TestFastBrowserStops(t *testing.T) {
	newDesk(t, 40*mega, func(d *desk) {
		d.both()
		_, underWay := d.counting()
		body := d.body()
		at := d.sip(body, 0, 3, 4<<10, time.Second)
		at = d.take(body, at, 20*mega, 50*mega)
		synctest.Wait()
		if underWay.Load() == 0 {
			t.Error("the rest does not come")
		}
		time.Sleep(slowAgain)
		synctest.Wait()
		if n := underWay.Load(); n != 0 {
			t.Errorf("%d answers are under way while the browser takes none of them", n)
		}
		d.finish(body, at, 0)
	})
}

// Between two slices the node may be away for a while, come by another link, or be busy.
func TestSlicesOutliveLinks(t *testing.T) {
	newDesk(t, 2*mega, func(d *desk) {
		quic, tcp := d.both()
		body := d.body()
		at := d.sip(body, 0, 10, 16<<10, 100*time.Millisecond)
		tcp.Close("")
		at = d.sip(body, at, 10, 16<<10, 100*time.Millisecond)
		if quic.bytes() == 0 {
			t.Error("nothing came by the link that is left")
		}
		quic.Close("")
		d.holding.Go(func() { time.Sleep(2 * time.Second); d.dial(relay.KindQUIC, false) })
		d.finish(body, at, 0)
	})
}

func TestSlicesOfAChangedFile(t *testing.T) {
	for name, change := range map[string]func(*desk){
		"scanned anew": func(d *desk) { d.etag = `"other"` },
		"longer":       func(d *desk) { d.page = append(d.page, 1) },
		"gone": func(d *desk) {
			d.n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(http.ResponseWriter, *http.Request) error {
				return problem.PageGone.Error()
			})
		},
	} {
		newDesk(t, 2*mega, func(d *desk) {
			d.both()
			body := d.body()
			defer body.Close()
			at := d.sip(body, 0, 10, 16<<10, 100*time.Millisecond)
			page := d.page
			change(d)
			b := make([]byte, leastSlice)
			for {
				n, err := body.Read(b)
				if !bytes.Equal(b[:n], page[at:at+n]) {
					t.Fatalf("%s: other bytes at %d", name, at)
				}
				if at += n; err == nil {
					continue
				}
				if !errors.Is(err, errOtherFile) || at == len(page) {
					t.Errorf("%s: %v at %d, want %v", name, err, at, errOtherFile)
				}
				return
			}
		})
	}
}

// A slow browser that goes away leaves nothing behind.
func TestSlowBrowserGoesAway(t *testing.T) {
	newDesk(t, 4*mega, func(d *desk) {
		d.both()
		_, underWay := d.counting()
		body := d.body()
		d.sip(body, 0, 10, 16<<10, 100*time.Millisecond)
		body.Close()
		synctest.Wait()
		if n := underWay.Load(); n != 0 {
			t.Errorf("%d answers are under way", n)
		}
		for _, f := range []*flow{&d.reg.flows.quic, &d.reg.flows.tcp} {
			if f.bodies != 0 || f.waiting != 0 {
				t.Errorf("%d bodies are counted, %d of them waiting", f.bodies, f.waiting)
			}
		}
	})
}
