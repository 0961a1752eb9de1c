package rtcroad

import (
	"bytes"
	"context"
	"io"
	"net"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"

	"github.com/platen-scan/platen/relay"
)

// patience is how long a test waits for what must happen soon.
const patience = 30 * time.Second

// start is a road on loopback that ends with the test.
func start(t testing.TB, c Config, change func(*Road)) *Road {
	t.Helper()
	if c.Addr == "" {
		c.Addr = "127.0.0.1:0"
	}
	if c.Dir == "" {
		c.Dir = t.TempDir()
	}
	r, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		change(r)
	}
	if err := r.Listen(); err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- r.Serve(context.Background()) }()
	t.Cleanup(func() {
		r.Close()
		if err := await(t, served, "the road to end"); err != nil {
			t.Errorf("Serve = %v", err)
		}
	})
	return r
}

func await[T any](t testing.TB, c <-chan T, what string) (v T) {
	t.Helper()
	select {
	case v = <-c:
	case <-time.After(patience):
		t.Fatalf("waited in vain for %s", what)
	}
	return v
}

// browser is the browser's end of a session: pion in its place.
type browser struct {
	pc       *webrtc.PeerConnection
	window   bool
	deaf     bool // takes nothing
	done     chan struct{}
	over     sync.Once
	up       chan struct{}
	reached  sync.Once
	mu       sync.Mutex
	first    *webrtc.DataChannel // that of the offer, until it is used
	channels sync.WaitGroup
}

// channel is a detached data channel of pion.
type channel interface {
	ReadDataChannel(b []byte) (n int, text bool, err error)
	WriteDataChannel(b []byte, text bool) (int, error)
	Write(b []byte) (int, error)
	Close() error
	BufferedAmount() uint64
	SetBufferedAmountLowThreshold(n uint64)
	OnBufferedAmountLow(f func())
}

// engine is how the browsers of tests are set up.
func engine() webrtc.SettingEngine {
	e := webrtc.SettingEngine{LoggerFactory: loggers(discard)}
	e.DetachDataChannels()
	e.SetIncludeLoopbackCandidate(true)
	e.SetIPFilter(net.IP.IsLoopback)
	e.SetNetworkTypes([]webrtc.NetworkType{webrtc.NetworkTypeUDP4})
	e.SetICEMulticastDNSMode(ice.MulticastDNSModeDisabled)
	e.EnableSCTPZeroChecksum(true)
	return e
}

// visit makes a browser, whose offer is complete.
func visit(t testing.TB, e webrtc.SettingEngine, c webrtc.Configuration) (b *browser, offer string) {
	t.Helper()
	api := webrtc.NewAPI(webrtc.WithSettingEngine(e), webrtc.WithInterceptorRegistry(nil), webrtc.WithMediaEngine(&webrtc.MediaEngine{}))
	pc, err := api.NewPeerConnection(c)
	if err != nil {
		t.Fatal(err)
	}
	b = &browser{pc: pc, window: true, done: make(chan struct{}), up: make(chan struct{})}
	t.Cleanup(func() { b.Close() })
	pc.OnConnectionStateChange(func(s webrtc.PeerConnectionState) {
		switch s {
		case webrtc.PeerConnectionStateConnected:
			b.reached.Do(func() { close(b.up) })
		case webrtc.PeerConnectionStateClosed, webrtc.PeerConnectionStateFailed:
			b.over.Do(func() { close(b.done) })
		}
	})
	pc.SCTP().OnClose(func(error) { b.over.Do(func() { close(b.done) }) })
	if b.first, err = pc.CreateDataChannel("", b.options()); err != nil {
		t.Fatal(err)
	}
	gathered := webrtc.GatheringCompletePromise(pc)
	description, err := pc.CreateOffer(nil)
	if err == nil {
		err = pc.SetLocalDescription(description)
	}
	if err != nil {
		t.Fatal(err)
	}
	await(t, gathered, "the browser's candidates")
	return b, pc.LocalDescription().SDP
}

func (b *browser) options() *webrtc.DataChannelInit {
	if !b.window {
		return nil
	}
	protocol := WindowProtocol
	return &webrtc.DataChannelInit{Protocol: &protocol}
}

// take takes the node's answer and waits until there is a connection.
func (b *browser) take(t testing.TB, answer string) {
	t.Helper()
	if err := b.pc.SetRemoteDescription(webrtc.SessionDescription{Type: webrtc.SDPTypeAnswer, SDP: answer}); err != nil {
		t.Fatal(err)
	}
	await(t, b.up, "the connection")
}

// join is a browser with a session.
func join(t testing.TB, r *Road, e webrtc.SettingEngine) *browser {
	t.Helper()
	b, offer := visit(t, e, webrtc.Configuration{})
	answer, err := r.Answer(context.Background(), offer, nil)
	if err != nil {
		t.Fatal(err)
	}
	b.take(t, answer)
	return b
}

// Open begins an exchange.
func (b *browser) Open(ctx context.Context) (net.Conn, error) {
	b.mu.Lock()
	d := b.first
	b.first = nil
	b.mu.Unlock()
	if d == nil {
		var err error
		if d, err = b.pc.CreateDataChannel("", b.options()); err != nil {
			return nil, err
		}
	}
	opened := make(chan error, 1)
	c := newBrowserConn(b, nil)
	d.OnOpen(func() {
		detached, err := d.Detach()
		if err == nil {
			c.ch = detached.(channel)
		}
		opened <- err
	})
	select {
	case err := <-opened:
		if err != nil {
			return nil, err
		}
	case <-ctx.Done():
		return nil, ctx.Err()
	case <-b.done:
		return nil, net.ErrClosed
	}
	c.start()
	return c, nil
}

func newBrowserConn(b *browser, ch channel) *browserConn {
	c := &browserConn{browser: b, ch: ch, low: make(chan struct{}, 1), closed: make(chan struct{}), ended: make(chan struct{}), finished: make(chan struct{})}
	c.changed.L = &c.mu
	return c
}

// start begins to take what comes.
func (c *browserConn) start() {
	c.ch.SetBufferedAmountLowThreshold(relay.RoadWindow / 2)
	c.ch.OnBufferedAmountLow(func() {
		select {
		case c.low <- struct{}{}:
		default:
		}
	})
	if !c.deaf {
		c.channels.Go(c.receive)
	}
}

func (b *browser) Close() error {
	b.over.Do(func() { close(b.done) })
	err := b.pc.GracefulClose()
	b.channels.Wait()
	return err
}

// browserConn is what a page makes of a data channel: it queues whatever comes, and says
// what it has taken.
type browserConn struct {
	net.Conn // nil
	*browser
	ch       channel
	low      chan struct{}
	closed   chan struct{}
	ended    chan struct{} // receive has returned
	finished chan struct{} // the node has said all
	once     sync.Once

	mu      sync.Mutex
	changed sync.Cond
	queue   bytes.Buffer
	err     error
	late    bool
	timer   *time.Timer
	taken   uint64
	told    uint64
}

func (c *browserConn) receive() {
	defer close(c.ended)
	b := make([]byte, maxIncoming)
	for {
		n, _, err := c.ch.ReadDataChannel(b)
		c.mu.Lock()
		switch {
		case err != nil && c.err == nil:
			c.err = errReset
		case err == nil && n == 0: // once
			c.err = io.EOF
			close(c.finished)
		case err == nil:
			c.queue.Write(b[:n])
		}
		c.changed.Broadcast()
		c.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (c *browserConn) Read(b []byte) (int, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for c.queue.Len() == 0 && c.err == nil && !c.late {
		c.changed.Wait()
	}
	switch {
	case c.late:
		return 0, os.ErrDeadlineExceeded
	case c.queue.Len() == 0:
		return 0, c.err
	}
	n, err := c.queue.Read(b)
	if c.taken += uint64(n); c.window && c.taken-c.told >= relay.RoadWindow/4 {
		c.told = c.taken
		c.tell(strconv.FormatUint(c.told, 10))
	}
	return n, err
}

// tell sends a text message.
func (c *browserConn) tell(text string) {
	c.ch.WriteDataChannel([]byte(text), true)
}

func (c *browserConn) Write(b []byte) (n int, err error) {
	for len(b) > 0 {
		for c.ch.BufferedAmount() > relay.RoadWindow {
			select {
			case <-c.low:
			case <-c.closed:
				return n, net.ErrClosed
			case <-c.ended:
				return n, errReset
			}
		}
		m := min(len(b), maxMessage)
		if _, err := c.ch.Write(b[:m]); err != nil {
			return n, err
		}
		n, b = n+m, b[m:]
	}
	return n, nil
}

func (c *browserConn) SetReadDeadline(t time.Time) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.timer != nil {
		c.timer.Stop()
	}
	c.late = false
	if !t.IsZero() {
		c.timer = time.AfterFunc(time.Until(t), func() {
			c.mu.Lock()
			defer c.mu.Unlock()
			c.late = true
			c.changed.Broadcast()
		})
	}
	return nil
}

// leave leaves the closing of the channel to the node if its answer is at its end, which
// whoever has read a body of known length may not have seen; else it breaks off.
func (c *browserConn) leave() {
	select {
	case <-c.finished:
	case <-c.ended:
	case <-c.browser.done:
	case <-time.After(100 * time.Millisecond):
		c.ch.Close()
	}
}

func (c *browserConn) Close() error {
	c.once.Do(func() {
		close(c.closed)
		c.browser.channels.Go(c.leave)
		c.mu.Lock()
		defer c.mu.Unlock()
		if c.timer != nil {
			c.timer.Stop()
		}
		if c.queue.Reset(); c.err == nil {
			c.err = net.ErrClosed
		}
		c.changed.Broadcast()
	})
	return nil
}
