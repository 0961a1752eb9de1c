package relay_test

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"testing"
	"time"

	"github.com/platen-scan/platen/relay"
)

// tcpPair is both ends of a loopback connection.
func tcpPair(t *testing.T) (a, b net.Conn) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if a, err = net.Dial("tcp", l.Addr().String()); err != nil {
		t.Fatal(err)
	}
	if b, err = l.Accept(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { a.Close(); b.Close() })
	return a, b
}

// TestStreamCarriesBytes writes and reads pieces of every size, held and not.
func TestStreamCarriesBytes(t *testing.T) {
	a, b := tcpPair(t)
	from, to := relay.NewStream(a), relay.NewStream(b)
	from.StallLimit = 10 * time.Second
	sent := make([]byte, 8<<20)
	source := rand.NewChaCha8([32]byte{1})
	source.Read(sent)
	random := rand.New(source)
	go func() {
		defer from.Close()
		for rest := sent; len(rest) > 0; {
			hold := random.IntN(2) == 0
			if hold {
				from.Hold()
			}
			for range random.IntN(20) {
				piece := rest[:min(len(rest), random.IntN(1<<(8+random.IntN(12))))]
				if n, err := from.Write(piece); n != len(piece) || err != nil {
					t.Errorf("Write(%d bytes) = %d, %v", len(piece), n, err)
				}
				rest = rest[len(piece):]
			}
			if hold {
				if err := from.Release(); err != nil {
					t.Errorf("Release: %v", err)
				}
			}
		}
	}()
	var got bytes.Buffer
	for p := make([]byte, 1<<20); ; {
		n, err := to.Read(p[:1+rand.IntN(1<<rand.IntN(20))])
		got.Write(p[:n])
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	if !bytes.Equal(got.Bytes(), sent) {
		t.Errorf("%d bytes came through and differ, want %d", got.Len(), len(sent))
	}
}

func TestStreamHolds(t *testing.T) {
	a, b := net.Pipe() // a write ends when it has been read
	defer a.Close()
	defer b.Close()
	s := relay.NewStream(a)
	if err := s.Release(); err != nil {
		t.Errorf("Release of nothing: %v", err)
	}
	s.Hold()
	for range 3 {
		if n, err := s.Write([]byte("record ")); n != 7 || err != nil {
			t.Fatalf("a held Write = %d, %v", n, err)
		}
	}
	released := make(chan error, 1)
	go func() { released <- s.Release() }()
	p := make([]byte, 100)
	if n, err := b.Read(p); string(p[:n]) != "record record record " || err != nil {
		t.Errorf("read %q, %v, want all three in one", p[:n], err)
	}
	if err := <-released; err != nil {
		t.Errorf("Release: %v", err)
	}
	b.Close()
	s.Hold()
	s.Write([]byte("lost"))
	if err := s.Release(); err == nil {
		t.Error("Release to a closed connection succeeded")
	}
	if _, err := s.Write([]byte("x")); err == nil {
		t.Error("Write to a closed connection succeeded")
	}
}

func TestStreamStalls(t *testing.T) {
	a, _ := tcpPair(t)
	s := relay.NewStream(a)
	s.StallLimit = 200 * time.Millisecond
	block := make([]byte, 1<<20)
	for total := 0; ; total += len(block) {
		if _, err := s.Write(block); err != nil {
			if !errors.Is(err, os.ErrDeadlineExceeded) {
				t.Errorf("Write to a peer that reads nothing: %v, want %v", err, os.ErrDeadlineExceeded)
			}
			return
		}
		if total > 1<<30 {
			t.Fatal("a peer that reads nothing took a gigabyte")
		}
	}
}

// TestStreamBearsASlowPeer: one write may take many times the limit while the peer
// takes something.
func TestStreamBearsASlowPeer(t *testing.T) {
	a, b := tcpPair(t)
	a.(*net.TCPConn).SetWriteBuffer(32 << 10)
	b.(*net.TCPConn).SetReadBuffer(32 << 10)
	s := relay.NewStream(a)
	s.StallLimit = 500 * time.Millisecond
	const size = 8 << 20
	began := time.Now()
	wrote := make(chan error, 1)
	go func() {
		_, err := s.Write(make([]byte, size))
		wrote <- err
	}()
	pace := time.NewTicker(20 * time.Millisecond)
	defer pace.Stop()
	for total, p := 0, make([]byte, 128<<10); total < size; {
		<-pace.C
		n, err := b.Read(p)
		if err != nil {
			t.Fatalf("after %d bytes: %v", total, err)
		}
		total += n
	}
	if err := <-wrote; err != nil {
		t.Errorf("Write: %v", err)
	}
	if took := time.Since(began); took < 2*s.StallLimit {
		t.Errorf("the write took %v: too quick to show anything", took)
	}
}

// TestStreamEndsAtItsDeadline: who sets one need not wait for the stall limit.
func TestStreamEndsAtItsDeadline(t *testing.T) {
	a, _ := tcpPair(t)
	s := relay.NewStream(a)
	s.StallLimit = time.Hour
	time.AfterFunc(50*time.Millisecond, func() { s.SetDeadline(time.Now()) })
	var err error
	for block := make([]byte, 1<<20); err == nil; {
		_, err = s.Write(block)
	}
	if !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("Write after the deadline: %v, want %v", err, os.ErrDeadlineExceeded)
	}
}
