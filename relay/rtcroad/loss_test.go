package rtcroad

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/pion/ice/v4"
	"github.com/pion/webrtc/v4"
)

// lossy loses packets both ways.
type lossy struct {
	net.PacketConn
	mu     sync.Mutex
	random *rand.Rand
	loss   float64
}

func (l *lossy) lose(loss float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.loss = loss
}

func (l *lossy) lost() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.random.Float64() < l.loss
}

func (l *lossy) ReadFrom(b []byte) (int, net.Addr, error) {
	for {
		n, from, err := l.PacketConn.ReadFrom(b)
		if err != nil || !l.lost() {
			return n, from, err
		}
	}
}

func (l *lossy) WriteTo(b []byte, to net.Addr) (int, error) {
	if l.lost() {
		return len(b), nil
	}
	return l.PacketConn.WriteTo(b, to)
}

// lossyEngine is a browser behind such a wire.
func lossyEngine(t testing.TB, loss float64) (webrtc.SettingEngine, *lossy) {
	t.Helper()
	mux, wire := lossyMux(t, loss)
	e := engine()
	e.SetICEUDPMux(mux)
	return e, wire
}

func lossyMux(t testing.TB, loss float64) (ice.UDPMux, *lossy) {
	t.Helper()
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	wire := &lossy{PacketConn: socket, random: rand.New(rand.NewPCG(1, 2)), loss: loss}
	mux := ice.NewUDPMuxDefault(ice.UDPMuxParams{UDPConn: wire, Logger: loggers(discard).NewLogger("")})
	t.Cleanup(func() { mux.Close() })
	return loopbackMux{mux}, wire
}

// loopbackMux is no *ice.UDPMuxDefault, of which pion would leave out a loopback address.
type loopbackMux struct{ *ice.UDPMuxDefault }

// TestTails: whatever the size, an exchange brings all that was written before its end.
func TestTails(t *testing.T) {
	for _, row := range []struct {
		loss      float64
		exchanges int
	}{{0, 1000}, {0.02, 500}, {0.05, 200}} {
		t.Run(fmt.Sprintf("%v lost", row.loss), func(t *testing.T) {
			r := start(t, Config{}, nil)
			whole := make([]byte, 96<<10)
			for i := range whole {
				whole[i] = byte(i * 7 / 5)
			}
			var serving sync.WaitGroup
			serving.Go(func() {
				for {
					c, err := r.Accept()
					if err != nil {
						return
					}
					serving.Go(func() {
						var size [4]byte
						if _, err := io.ReadFull(c, size[:]); err != nil {
							return
						}
						c.Write(whole[:int(size[0])<<16|int(size[1])<<8|int(size[2])])
						c.Close()
					})
				}
			})
			t.Cleanup(func() { r.Close(); serving.Wait() })
			b := joinOrderly(t, r, row.loss)
			var asking sync.WaitGroup
			work := make(chan int)
			const parallel = 24
			for range parallel {
				asking.Go(func() {
					for size := range work {
						if err := b.fetch(whole[:size]); err != nil {
							t.Errorf("an exchange of %d bytes: %v", size, err)
						}
					}
				})
			}
			random := rand.New(rand.NewPCG(3, 4))
			begin := time.Now()
			for range row.exchanges {
				size := 1 + random.IntN(1<<(1+random.IntN(16)))
				work <- size
			}
			close(work)
			asking.Wait()
			t.Logf("%d exchanges in %v", row.exchanges, time.Since(begin))
		})
	}
}

// fetch asks for so many bytes.
func (b *orderly) fetch(want []byte) error {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	c, err := b.Open(ctx)
	if err != nil {
		return err
	}
	defer c.Close()
	if _, err := c.Write([]byte{byte(len(want) >> 16), byte(len(want) >> 8), byte(len(want)), 0}); err != nil {
		return err
	}
	c.SetReadDeadline(time.Now().Add(patience))
	got, err := io.ReadAll(c)
	switch {
	case err != nil:
		return fmt.Errorf("after %d bytes: %w", len(got), err)
	case !bytes.Equal(got, want):
		return errors.New("other bytes arrived")
	}
	return nil
}
