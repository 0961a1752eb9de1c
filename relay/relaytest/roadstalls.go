package relaytest

import (
	"errors"
	"io"
	"net"
	"net/http"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

// roadSilent: the server's read deadline ends an exchange that says nothing more.
func roadSilent(t *testing.T, hs RoadHarness) {
	serveRoadWithin(t, hs, func(w http.ResponseWriter, r *http.Request) { ping(w, r) }, time.Second)
	c := join(t, hs)
	works(t, c)
	conn := open(t, c)
	io.WriteString(conn, "GET / HT")
	conn.SetReadDeadline(time.Now().Add(Patience))
	if _, err := io.Copy(io.Discard, conn); isTimeout(err) {
		t.Error("a silent exchange stays open")
	}
	works(t, c)
}

// roadDeadlines: on the connection itself, as net/http uses them.
func roadDeadlines(t *testing.T, hs RoadHarness) {
	accepted := make(chan net.Conn, 1)
	done := make(chan struct{})
	go func() {
		defer close(done)
		conn, err := hs.Listener.Accept()
		if err == nil {
			accepted <- conn
		}
	}()
	t.Cleanup(func() { hs.Listener.Close(); <-done })
	browser := open(t, join(t, hs))
	io.WriteString(browser, "1")
	node := await(t, accepted, "the exchange")
	t.Cleanup(func() { node.Close() })
	if node.LocalAddr() == nil || node.RemoteAddr() == nil {
		t.Error("the connection has no addresses")
	}
	one := make([]byte, 1)
	if _, err := io.ReadFull(node, one); err != nil || one[0] != '1' {
		t.Fatalf("Read = %q, %v", one, err)
	}

	// A read that waits is woken; then reading goes on, and nothing is lost.
	woken := make(chan error, 1)
	go func() {
		_, err := node.Read(make([]byte, 1))
		woken <- err
	}()
	node.SetReadDeadline(time.Unix(1, 0))
	if err := await(t, woken, "the read to be woken"); !errors.Is(err, os.ErrDeadlineExceeded) || !isTimeout(err) {
		t.Errorf("Read past its deadline = %v, want %v", err, os.ErrDeadlineExceeded)
	}
	node.SetReadDeadline(time.Time{})
	io.WriteString(browser, "2")
	if _, err := io.ReadFull(node, one); err != nil || one[0] != '2' {
		t.Errorf("Read after the deadline is lifted = %q, %v", one, err)
	}

	// So is a write; what it has written arrives, and writing goes on.
	go func() {
		n, err := 0, error(nil)
		for err == nil {
			var m int
			m, err = node.Write(make([]byte, 64<<10))
			n += m
		}
		if n == 0 || n > 4*relay.RoadWindow {
			t.Errorf("%d bytes were written to a browser that reads none", n)
		}
		woken <- err
	}()
	node.SetWriteDeadline(time.Now().Add(300 * time.Millisecond))
	if err := await(t, woken, "the write to be woken"); !errors.Is(err, os.ErrDeadlineExceeded) || !isTimeout(err) {
		t.Errorf("Write past its deadline = %v, want %v", err, os.ErrDeadlineExceeded)
	}
	node.SetWriteDeadline(time.Time{})
	read := make(chan error, 1)
	go func() {
		_, err := io.Copy(io.Discard, browser)
		read <- err
	}()
	if _, err := node.Write(make([]byte, relay.RoadWindow)); err != nil {
		t.Errorf("Write after the deadline is lifted: %v", err)
	}
	if err := node.Close(); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := await(t, read, "the end"); err != nil {
		t.Errorf("reading what was written before Close: %v", err)
	}
	node.Close() // again
	if _, err := node.Write(one); err == nil {
		t.Error("Write after Close succeeded")
	}
	if _, err := node.Read(one); err == nil {
		t.Error("Read after Close succeeded")
	}
}

func roadStalledReaders(t *testing.T, hs RoadHarness) {
	const most = 3 * relay.RoadWindow // bytes that one stalled exchange may hold
	filling := make(chan struct{}, RoadExchanges)
	var total atomic.Int64
	serveRoad(t, hs, func(w http.ResponseWriter, r *http.Request) {
		if ping(w, r) {
			return
		}
		written, told := 0, false
		endless(w, func(n int) {
			total.Add(int64(n))
			if written += n; written >= relay.RoadWindow/4 && !told {
				told = true
				filling <- struct{}{}
			}
		})
	})
	c, other := join(t, hs), join(t, hs)
	works(t, other)
	before := heapInUse()
	stalled := make([]*http.Response, RoadExchanges)
	stall := func(from, to int) {
		for i := from; i < to; i++ {
			stalled[i] = do(t, c, request(t, "GET", "/page", nil))
		}
		for range to - from {
			await(t, filling, "the stalled bodies to fill their windows")
		}
	}
	stall(0, RoadExchanges-1)
	start := time.Now()
	works(t, c)
	t.Logf("an exchange behind %d stalled ones: %v", RoadExchanges-1, time.Since(start))
	stall(RoadExchanges-1, RoadExchanges)
	works(t, other)
	if got := total.Load(); got > RoadExchanges*most {
		t.Errorf("%d bytes were written to %d browsers that read none", got, RoadExchanges)
	}
	if got := heapInUse(); got > before+2*RoadExchanges*most { // both ends are in this process
		t.Errorf("%d bytes of heap with %d stalled bodies, %d before", got, RoadExchanges, before)
	}
	stalled[0].Body.Close()
	works(t, c)
	flows(t, stalled[RoadExchanges-1].Body)
}
