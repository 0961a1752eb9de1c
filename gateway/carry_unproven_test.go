package gateway

import (
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/relay"
)

// Of many browsers that come at once and read little only a few hold a window.
func TestManyBodiesBeginAtOnce(t *testing.T) {
	newDesk(t, 4*mega, func(d *desk) {
		d.both()
		sent, underWay := d.counting()
		const all = 32
		bodies := make([]io.ReadCloser, all)
		for i := range bodies {
			answer, err := d.ask(d.ctx, http.MethodGet)
			if err != nil {
				t.Fatal(err)
			}
			if h := answer.Header; answer.StatusCode != http.StatusOK || answer.ContentLength != 4*mega ||
				h.Get("Content-Length") != fmt.Sprint(4*mega) || h.Get("Content-Range") != "" {
				t.Fatalf("answer %d: %s, %d bytes, %v", i, answer.Status, answer.ContentLength, h)
			}
			bodies[i] = answer.Body
			d.take(bodies[i], 0, 1, 0)
		}
		synctest.Wait()
		if n, most := sent.Load(), int64(maxUnproven*(relay.StreamWindow+relay.BufferSize)+all*leastSlice); n > most {
			t.Errorf("the node sent %d bytes to browsers that read none, want at most %d", n, most)
		}
		time.Sleep(slowFirst)
		synctest.Wait()
		if n := d.g.unproven.count.Load(); n != 0 {
			t.Errorf("%d bodies are still waited for, though all are slow", n)
		}
		for _, body := range bodies {
			d.finish(body, 1, 0)
		}
		if n := underWay.Load(); n != 0 {
			t.Errorf("%d answers are under way", n)
		}
	})
}

// crowded has as many browsers under way as may be unproven.
func (d *desk) crowded() {
	for range maxUnproven {
		d.g.unproven.enter()
	}
}

// One that comes late but reads fast gets its page at once all the same.
func TestFastBrowserInACrowd(t *testing.T) {
	newDesk(t, 20*mega, func(d *desk) {
		_, tcp := d.both()
		d.crowded()
		d.fetch()
		list := tcp.ranges()
		if len(list) > 8 || !strings.HasSuffix(list[len(list)-1], fmt.Sprintf("-%d", 20*mega-1)) {
			t.Errorf("the page was asked for with %q", list)
		}
	})
}

// What has no length, or is asked for in part, comes as it would.
func TestOtherBodiesInACrowd(t *testing.T) {
	newDesk(t, mega, func(d *desk) {
		_, tcp := d.both()
		d.crowded()
		answer, err := d.ask(d.ctx, http.MethodGet, "Range", "bytes=100-")
		if err != nil || answer.StatusCode != http.StatusPartialContent || answer.ContentLength != mega-100 {
			t.Fatalf("a range: %v, %v", answer, err)
		}
		answer.Body.Close()
		d.wantRanges(tcp, "bytes=100-")
		d.etag = `W/"page"`
		d.finish(d.body(), 0, 0)
		d.n.on(http.MethodGet, "/jobs/{job}/pages/{n}", func(w http.ResponseWriter, r *http.Request) error {
			w.Header().Set("Content-Type", "image/jpeg")
			w.Write(d.page[:100])
			return nil
		})
		body := d.body()
		if b, err := io.ReadAll(body); len(b) != 100 || err != nil {
			t.Errorf("a body without ranges: %d bytes, %v", len(b), err)
		}
		body.Close()
	})
}
