package testenv

import (
	"container/heap"
	"encoding/json"
	"fmt"
	"os"
	"sync"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Wire is a cable with weather between a host's card and its switch. The test's own
// process carries its frames, between two TAP devices.
type Wire struct {
	t       testing.TB
	host    *Host
	card    string
	out, in *way // from and to the host
	carried sync.WaitGroup
	once    sync.Once
}

// Wire replaces the cable of a card by one with weather, until the test ends. The card
// keeps its name, its hardware address, its addresses and its routes.
func (h *Host) Wire(card string, weather Weather) *Wire {
	h.lab.t.Helper()
	p, ok := h.ports[card]
	if !ok || h.wires[card] != nil {
		h.lab.t.Fatalf("host %s has no plain cable in %q", h.Name, card)
	}
	kept := h.describe(card)
	h.Run("ip", "link", "del", card)
	there, here := p.net.sw.tap(p.name), h.tap(card)
	w := &Wire{t: h.lab.t, host: h, card: card, out: newWay(here, there, weather), in: newWay(there, here, weather)}
	h.wires[card] = w
	h.lab.t.Cleanup(w.remove)
	p.net.sw.Run("ip", "link", "set", p.name, "master", "br0", "txqueuelen", "5000", "up")
	h.restore(card, kept)
	for _, way := range []*way{w.out, w.in} {
		w.carried.Go(way.read)
		w.carried.Go(way.write)
	}
	return w
}

// Set changes the weather of both directions.
func (w *Wire) Set(weather Weather) { w.SetEach(weather, weather) }

// SetEach changes the weather of what the host sends, and of what it is sent.
func (w *Wire) SetEach(out, in Weather) {
	w.out.set(out)
	w.in.set(in)
}

// Cut loses every frame, and tells nobody: neither end sees that the cable is cut.
func (w *Wire) Cut() { w.cut(true) }

// Mend ends a cut.
func (w *Wire) Mend() { w.cut(false) }

func (w *Wire) cut(is bool) {
	for _, way := range []*way{w.out, w.in} {
		way.mu.Lock()
		way.cut = is
		way.mu.Unlock()
	}
}

// carrier is what Unplug and Plug do to the host's end.
func (w *Wire) carrier(on bool) {
	w.t.Helper()
	state := 0
	if on {
		state = 1
	}
	err := control(w.in.to, func(fd int) error { return unix.IoctlSetPointerInt(fd, unix.TUNSETCARRIER, state) })
	if err != nil {
		w.t.Fatalf("the carrier of %s: %v", w.card, err)
	}
}

// remove takes the cable away, with both of its devices.
func (w *Wire) remove() {
	w.once.Do(func() {
		w.out.end()
		w.in.end()
		w.out.from.Close()
		w.in.from.Close()
		w.carried.Wait()
		delete(w.host.wires, w.card)
	})
}

// tap makes a TAP device on the host.
func (h *Host) tap(name string) *os.File {
	h.lab.t.Helper()
	var f *os.File
	h.inside(func() error {
		fd, err := unix.Open("/dev/net/tun", unix.O_RDWR|unix.O_CLOEXEC|unix.O_NONBLOCK, 0)
		if err != nil {
			return err
		}
		request, err := unix.NewIfreq(name)
		if err != nil {
			return err
		}
		request.SetUint16(unix.IFF_TAP | unix.IFF_NO_PI)
		if err := unix.IoctlIfreq(fd, unix.TUNSETIFF, request); err != nil {
			unix.Close(fd)
			return fmt.Errorf("making the device %s: %w", name, err)
		}
		f = os.NewFile(uintptr(fd), name)
		return nil
	})
	return f
}

func control(f *os.File, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var failed error
	if err := raw.Control(func(fd uintptr) { failed = do(int(fd)) }); err != nil {
		return err
	}
	return failed
}

// cardState is what a card has that its successor shall have.
type cardState struct {
	Address string
	MTU     int
	Addrs   []struct {
		Local     string
		PrefixLen int
		Broadcast string
		Scope     string
	} `json:"addr_info"`
	routes []route
}

type route struct{ Dst, Gateway, Protocol string }

func (h *Host) describe(card string) cardState {
	h.lab.t.Helper()
	var list []cardState
	h.decode(&list, "-j", "addr", "show", "dev", card)
	state := list[0]
	h.decode(&state.routes, "-j", "route", "show", "dev", card)
	return state
}

func (h *Host) decode(v any, args ...string) {
	h.lab.t.Helper()
	if err := json.Unmarshal([]byte(h.Run(append([]string{"ip"}, args...)...)), v); err != nil {
		h.lab.t.Fatalf("ip %v on %s: %v", args, h.Name, err)
	}
}

func (h *Host) restore(card string, state cardState) {
	h.lab.t.Helper()
	h.Run("ip", "link", "set", card, "address", state.Address, "mtu", fmt.Sprint(state.MTU), "txqueuelen", "5000", "up")
	for _, a := range state.Addrs {
		if a.Scope == "link" {
			continue // the kernel makes it of the hardware address
		}
		args := []string{"ip", "addr", "add", fmt.Sprintf("%s/%d", a.Local, a.PrefixLen), "dev", card}
		if a.Broadcast != "" {
			args = append(args, "brd", a.Broadcast)
		} else {
			args = append(args, "nodad")
		}
		h.Run(args...)
	}
	for _, r := range state.routes {
		if r.Protocol != "kernel" && r.Gateway != "" {
			h.Run("ip", "route", "replace", r.Dst, "via", r.Gateway, "dev", card)
		}
	}
}

// way is one direction of a wire.
type way struct {
	from, to *os.File
	due      chan struct{} // holds a word when an earlier frame is due than before
	over     chan struct{}

	mu      sync.Mutex
	weather Weather
	cut     bool
	line    line
	order   uint64
	held    frames
	spare   [][]byte
}

func newWay(from, to *os.File, weather Weather) *way {
	return &way{from: from, to: to, weather: weather, due: make(chan struct{}, 1), over: make(chan struct{})}
}

func (w *way) set(weather Weather) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.weather = weather
}

func (w *way) end() { close(w.over) }

// read takes frames in until the device is gone.
func (w *way) read() {
	buf := make([]byte, 1<<16)
	for {
		n, err := w.from.Read(buf)
		if err != nil {
			return
		}
		if w.take(buf[:n]) {
			w.to.Write(buf[:n]) // a device that is down drops the frame
		}
	}
}

// take holds a frame for as long as the weather wants, or reports that it is to go on at
// once: on a good cable nothing waits.
func (w *way) take(b []byte) (atOnce bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	switch {
	case w.cut:
		return false
	case w.weather == Weather{} && len(w.held) == 0:
		return true
	}
	arrive, copies := w.line.take(w.weather, time.Now(), len(b))
	for _, due := range arrive[:copies] {
		if len(w.held) == mostHeld {
			return false
		}
		w.order++
		heap.Push(&w.held, frame{due: due, order: w.order, bytes: append(w.lendLocked(), b...)})
		if w.held[0].order == w.order {
			select {
			case w.due <- struct{}{}:
			default:
			}
		}
	}
	return false
}

func (w *way) lendLocked() []byte {
	if n := len(w.spare); n > 0 {
		b := w.spare[n-1]
		w.spare = w.spare[:n-1]
		return b
	}
	return make([]byte, 0, 2048)
}

// write gives frames out when they are due.
func (w *way) write() {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	for {
		b, wait := w.next()
		if b != nil {
			w.to.Write(b)
			w.mu.Lock()
			w.spare = append(w.spare, b[:0])
			w.mu.Unlock()
			continue
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-w.due:
		case <-w.over:
			return
		}
	}
}

// next is the next frame that is due, or how long there is none.
func (w *way) next() (b []byte, wait time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.held) == 0 {
		return nil, time.Hour
	}
	if wait := time.Until(w.held[0].due); wait > 50*time.Microsecond {
		return nil, wait
	}
	return heap.Pop(&w.held).(frame).bytes, 0
}
