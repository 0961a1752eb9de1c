package turnserver

import (
	"encoding/binary"
	"errors"
	"net"
	"os"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// TestFramesOfWrongLength: whoever names a length that nothing can have is sent away.
func TestFramesOfWrongLength(t *testing.T) {
	stunOf := func(length uint16) []byte {
		b := make([]byte, 20)
		binary.BigEndian.PutUint16(b, 1)
		binary.BigEndian.PutUint16(b[2:], length)
		binary.BigEndian.PutUint32(b[4:], 0x2112A442)
		return b
	}
	channelOf := func(length uint16) []byte {
		b := make([]byte, 20)
		binary.BigEndian.PutUint16(b, 0x4000)
		binary.BigEndian.PutUint16(b[2:], length)
		return b
	}
	s := start(t, Config{})
	for name, frame := range map[string][]byte{
		"a STUN message that wraps to nothing": stunOf(0xFFEC),
		"a STUN message that wraps":            stunOf(0xFFFC),
		"a STUN message that is too long":      stunOf(0x4000),
		"channel data that wraps to nothing":   channelOf(0xFFFC),
		"channel data that wraps":              channelOf(0xFFFF),
		"channel data that is too long":        channelOf(0x8000),
		"neither":                              []byte("GET / HTTP/1.1\r\n\r\n\r\n"),
	} {
		t.Run(name, func(t *testing.T) {
			c := dial(t, s)
			if _, err := c.Write(frame); err != nil {
				t.Fatal(err)
			}
			c.SetReadDeadline(time.Now().Add(firstWord / 2)) // well before it would be closed for its silence
			if n, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Read = %d, %v, want the connection's end", n, err)
			}
		})
	}
}

// TestSilence: who gets no allocation does not keep others out, whatever it says.
func TestSilence(t *testing.T) {
	question := make([]byte, 20)
	question[1] = 1 // Binding request
	for _, test := range []struct {
		proven bool
		every  time.Duration // a question, and in two halves
		want   time.Duration
	}{
		{false, firstWord / 4, firstWord},
		{false, time.Hour, firstWord},
		{true, time.Hour, silence},
	} {
		synctest.Test(t, func(t *testing.T) {
			ours, theirs := net.Pipe()
			defer theirs.Close()
			c := newTCPConn(ours, nil)
			c.proven.Store(test.proven)
			var asking sync.WaitGroup
			asking.Go(func() {
				for err := error(nil); err == nil; _, err = theirs.Write(question[10:]) {
					time.Sleep(test.every)
					theirs.Write(question[:10])
				}
			})
			began := time.Now()
			for err := error(nil); err == nil; {
				_, err = c.Read(make([]byte, maxFrame))
			}
			if took := time.Since(began); took != test.want {
				t.Errorf("%+v: the client may stay for %v", test, took)
			}
			ours.Close()
			asking.Wait()
		})
	}
}

// TestProven: credentials let a client stay.
func TestProven(t *testing.T) {
	s := start(t, Config{})
	stranger := dial(t, s)
	allocate(t, user(t, s, "tcp", "s-1"))
	s.mu.Lock()
	defer s.mu.Unlock()
	for c := range s.conns {
		if known := c.RemoteAddr().String() != stranger.LocalAddr().String(); c.proven.Load() != known {
			t.Errorf("a connection may stay: %v, want %v", !known, known)
		}
	}
}

func dial(t *testing.T, s *Server) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}
