package gateway

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

// Whatever happens to the links of a node that keeps coming back, the browser gets each
// byte of what it asked for once, in order, in bounded time.
func TestCarriedBodyIsWhole(t *testing.T) {
	const most = 8 * mega
	noise := make([]byte, most)
	rand.NewChaCha8([32]byte{1}).Read(noise)
	var asked, slowest int
	for seed := range uint64(250) {
		newDesk(t, 0, func(d *desk) {
			random := rand.New(rand.NewPCG(seed, 7))
			d.page = noise[:1+random.IntN(most)]
			from := 0
			var header []string
			if random.IntN(2) == 0 {
				from = random.IntN(len(d.page))
				header = []string{"Range", fmt.Sprintf("bytes=%d-", from)}
			}
			w := &weather{desk: d, random: rand.New(rand.NewPCG(seed, 8)), trouble: 12}
			w.come()
			d.holding.Go(w.blow)

			began := time.Now()
			answer, err := d.ask(d.ctx, http.MethodGet, header...)
			if err != nil {
				t.Fatalf("seed %d: asking: %v", seed, err)
			}
			sum, pause, rested := sha256.New(), []int{200, 3000}[random.IntN(2)], time.Duration(0)
			b := make([]byte, 1+random.IntN(relay.BufferSize))
			for {
				n, err := answer.Body.Read(b)
				sum.Write(b[:n])
				if err == io.EOF {
					break
				}
				if err != nil {
					t.Fatalf("seed %d: the body broke off: %v", seed, err)
				}
				if random.IntN(20) == 0 {
					rest := time.Duration(random.IntN(pause)) * time.Millisecond
					time.Sleep(rest)
					rested += rest
				}
			}
			answer.Body.Close()
			if want := sha256.Sum256(d.page[from:]); !bytes.Equal(sum.Sum(nil), want[:]) {
				t.Fatalf("seed %d: other bytes came than those of the page", seed)
			}
			if took := time.Since(began) - rested; took > 2*time.Minute {
				t.Errorf("seed %d: it took %v", seed, took)
			} else {
				slowest = max(slowest, int(took/time.Second))
			}
			w.mu.Lock()
			defer w.mu.Unlock()
			for _, l := range w.all {
				asked += len(l.ranges())
			}
		})
	}
	if asked < 600 {
		t.Errorf("the pages were asked for %d times: their links met no trouble", asked)
	}
	t.Logf("250 pages were asked for %d times; the slowest took %d s", asked, slowest)
}

// weather is what happens to a node's links. The node behaves as a Keeper does.
type weather struct {
	*desk
	random    *rand.Rand
	trouble   int   // times that something bad may still happen
	main, aux *wire // nil: none

	mu  sync.Mutex
	all []*wire
}

func (w *weather) come() {
	w.main = w.add(relay.KindQUIC, false)
	if w.random.IntN(2) == 0 {
		w.aux = w.add(relay.KindTCP, true)
	}
}

func (w *weather) add(kind relay.Kind, bulk bool) *wire {
	l := w.dial(kind, bulk)
	l.set(func(l *wire) { l.rate = 1 << (18 + w.random.IntN(8)) })
	if w.trouble > 0 && w.random.IntN(3) > 0 {
		w.trouble--
		l.set(func(l *wire) { l.left = w.random.IntN(2 * mega) })
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.all = append(w.all, l)
	return l
}

// blow makes weather until the test ends.
func (w *weather) blow() {
	for w.sleep(400) {
		if w.main != nil && w.main.isGone() {
			w.main, w.aux = w.aux, nil
		}
		if w.aux != nil && w.aux.isGone() {
			w.aux = nil
		}
		switch {
		case w.main == nil || w.main.isGone():
			w.come()
			continue
		case w.aux == nil && w.random.IntN(2) == 0:
			w.aux = w.add(relay.KindTCP, true)
			continue
		}
		l := w.main
		if w.aux != nil && w.random.IntN(2) == 0 {
			l = w.aux
		}
		if w.trouble--; w.trouble < 0 {
			l.set(func(l *wire) { l.rate = 4e6 }) // so that it comes to an end
			continue
		}
		switch w.random.IntN(5) {
		case 0:
			l.set(func(l *wire) { l.left = w.random.IntN(2 * mega) })
		case 1:
			l.Close("")
		case 2:
			goOn := l.stop()
			time.AfterFunc(time.Duration(w.random.IntN(4000))*time.Millisecond, goOn)
		case 3:
			l.set(func(l *wire) { l.rate = 1 << (16 + w.random.IntN(10)) })
		case 4: // a drain: both are replaced, and closed some time later
			old := []*wire{w.main, w.aux}
			w.aux = nil
			w.come()
			time.AfterFunc(time.Duration(w.random.IntN(3000))*time.Millisecond, func() {
				for _, l := range old {
					if l != nil {
						l.Close("")
					}
				}
			})
		}
	}
}

func (w *weather) sleep(most int) bool {
	select {
	case <-time.After(time.Duration(w.random.IntN(most)) * time.Millisecond):
		return true
	case <-w.ctx.Done():
		return false
	}
}
