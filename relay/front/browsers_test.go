package front

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/iotest"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay"
)

const patience = 30 * time.Second

// serveBrowsers answers over HTTP/3 until the test ends; dial opens a browser's connection.
func serveBrowsers(t *testing.T, h http.Handler, change func(*browsers)) (b *browsers, dial func() *quic.Conn) {
	t.Helper()
	leaks := goleak.IgnoreCurrent()
	t.Cleanup(func() { goleak.VerifyNone(t, leaks) })
	ca, err := identity.LoadCA(t.TempDir(), "test")
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := ca.Leaf([]string{"127.0.0.1"}, time.Now())
	if err != nil {
		t.Fatal(err)
	}
	socket, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	transport := &quic.Transport{Conn: socket}
	in, err := transport.Listen(&tls.Config{Certificates: []tls.Certificate{leaf}, NextProtos: []string{alpnHTTP3}}, browserQUIC())
	if err != nil {
		t.Fatal(err)
	}
	b = newBrowsers(h)
	change(b)
	var running sync.WaitGroup
	running.Go(func() {
		for {
			conn, err := in.Accept(context.Background())
			if err != nil {
				return
			}
			running.Go(func() { b.serve(conn) })
		}
	})
	t.Cleanup(func() {
		now, cancel := context.WithCancel(context.Background())
		cancel()
		in.Close()
		b.shutdown(now)
		running.Wait()
		transport.Close()
		socket.Close()
	})
	roots := &tls.Config{InsecureSkipVerify: true, NextProtos: []string{alpnHTTP3}}
	return b, func() *quic.Conn {
		conn, err := quic.DialAddr(t.Context(), socket.LocalAddr().String(), roots, &quic.Config{MaxIdleTimeout: patience, KeepAlivePeriod: 50 * time.Millisecond})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { conn.CloseWithError(0, "") })
		return conn
	}
}

func ended(t *testing.T, conn *quic.Conn, what string) {
	t.Helper()
	select {
	case <-conn.Context().Done():
		var said *quic.ApplicationError
		if err := context.Cause(conn.Context()); !errors.As(err, &said) || !said.Remote || said.ErrorCode != quic.ApplicationErrorCode(http3.ErrCodeNoError) {
			t.Errorf("%s ended by %v, want the server's H3_NO_ERROR", what, err)
		}
	case <-time.After(patience):
		t.Fatalf("%s stays open", what)
	}
}

func ask(t *testing.T, client *http3.ClientConn, method, path string, body io.Reader) (*http.Response, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "https://127.0.0.1"+path, body)
	if err != nil {
		return nil, err
	}
	return client.RoundTrip(r)
}

// TestSlowHeaders: headers that never end are no request, and keep no connection open,
// neither at its beginning nor after a request. QUIC's own keep-alive changes nothing.
func TestSlowHeaders(t *testing.T) {
	b, dial := serveBrowsers(t, http.NotFoundHandler(), func(b *browsers) { b.first, b.idle = 300*time.Millisecond, 300*time.Millisecond })
	conn := dial()
	for range maxStreams {
		stream, err := conn.OpenStream()
		if err != nil {
			t.Fatal(err)
		}
		stream.Write([]byte{1, 0x40, 100, 0, 0}) // HEADERS of 100 bytes, of which two come
	}
	if _, err := conn.OpenStream(); err == nil {
		t.Errorf("more than %d streams may be opened", maxStreams)
	}
	ended(t, conn, "a connection whose headers never end")

	conn = dial()
	client := (&http3.Transport{}).NewClientConn(conn)
	stream, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	stream.Write([]byte{1, 0x40, 100, 0, 0})
	if answer, err := ask(t, client, "GET", "/", nil); err != nil || answer.StatusCode != http.StatusNotFound {
		t.Fatalf("GET = %v, %v", answer, err)
	} else {
		answer.Body.Close()
	}
	ended(t, conn, "a connection that is idle but for headers that never end")

	for end := time.Now().Add(patience); ; time.Sleep(time.Millisecond) {
		b.mu.Lock()
		n := len(b.open)
		b.mu.Unlock()
		if n == 0 {
			break
		}
		if time.Now().After(end) {
			t.Fatalf("%d connections that have ended are remembered", n)
		}
	}
}

// TestBusyStays: a connection with a request under way is not idle.
func TestBusyStays(t *testing.T) {
	_, dial := serveBrowsers(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		http.NewResponseController(w).Flush()
		<-time.After(500 * time.Millisecond)
		io.WriteString(w, "late")
	}), func(b *browsers) { b.first, b.idle = 200*time.Millisecond, 100*time.Millisecond })
	conn := dial()
	answer, err := ask(t, (&http3.Transport{}).NewClientConn(conn), "GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if text, err := io.ReadAll(answer.Body); string(text) != "late" || err != nil {
		t.Errorf("the answer is %q, %v, want late", text, err)
	}
	ended(t, conn, "an idle connection")
}

// TestSlowBodies: a body that never ends is given up, over each protocol.
func TestSlowBodies(t *testing.T) {
	read := make(chan error, 2)
	h := timed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.ReadAll(r.Body)
		read <- err
	}), 200*time.Millisecond)
	_, dial := serveBrowsers(t, h, func(*browsers) {})
	never, stop := io.Pipe()
	defer stop.Close()
	go stop.Write([]byte("begun"))
	client := (&http3.Transport{}).NewClientConn(dial())
	if answer, err := ask(t, client, "POST", "/", never); err == nil {
		answer.Body.Close()
	}
	if err := <-read; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("reading a body that never ends over HTTP/3: %v, want %v", err, os.ErrDeadlineExceeded)
	}
}

// TestRefusedUploads: who announces a large body and is refused hears so without having
// to send it.
func TestRefusedUploads(t *testing.T) {
	server := httptest.NewServer(timed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	}), time.Hour))
	defer server.Close()
	c, err := net.Dial("tcp", server.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	c.SetDeadline(time.Now().Add(10 * time.Second))
	io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 999999999\r\n\r\nbegun")
	answer, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatalf("the refusal did not come: %v", err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusRequestEntityTooLarge || !answer.Close {
		t.Errorf("status %d, connection closed %t; want 413, and no second request after half a body", answer.StatusCode, answer.Close)
	}
}

// TestTimedLiftsItsDeadline: an answer may take longer than the body of its request.
func TestTimedLiftsItsDeadline(t *testing.T) {
	w := &deadlines{}
	timed(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { io.Copy(io.Discard, r.Body) }), time.Minute).
		ServeHTTP(w, &http.Request{Body: io.NopCloser(strings.NewReader("x"))})
	if len(w.set) != 2 || w.set[0].IsZero() || !w.set[1].IsZero() {
		t.Errorf("deadlines %v, want one that is lifted", w.set)
	}
	w = &deadlines{}
	timed(http.NotFoundHandler(), time.Minute).ServeHTTP(w, &http.Request{Body: http.NoBody})
	if len(w.set) != 0 {
		t.Errorf("deadlines %v for no body", w.set)
	}
}

// TestLongBodies: a large body has time for each piece of it, however little comes at once.
func TestLongBodies(t *testing.T) {
	w := &deadlines{}
	body := io.NopCloser(iotest.HalfReader(strings.NewReader(strings.Repeat("x", 3*bodyPiece))))
	timed(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		if n, err := io.CopyBuffer(onlyWriter{io.Discard}, r.Body, make([]byte, 4096)); n != 3*bodyPiece || err != nil {
			t.Errorf("read %d bytes, %v", n, err)
		}
	}), time.Minute).ServeHTTP(w, &http.Request{Body: body})
	if n := len(w.set); n != 5 || !w.set[n-1].IsZero() || !w.set[n-2].After(w.set[0]) {
		t.Errorf("deadlines %v, want one at first, one for each of three pieces, and none at the end", w.set)
	}
}

type onlyWriter struct{ io.Writer }

type deadlines struct{ set []time.Time }

func (d *deadlines) Header() http.Header                { return http.Header{} }
func (d *deadlines) Write(p []byte) (int, error)        { return len(p), nil }
func (d *deadlines) WriteHeader(int)                    {}
func (d *deadlines) SetReadDeadline(to time.Time) error { d.set = append(d.set, to); return nil }

// TestStalledReaderIsReset: relay.Progress can end a write of http3's.
func TestStalledReaderIsReset(t *testing.T) {
	wrote := make(chan error, 1)
	h := relay.Progress(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var err error
		for err == nil {
			_, err = w.Write(make([]byte, 64<<10))
		}
		wrote <- err
	}), 200*time.Millisecond)
	_, dial := serveBrowsers(t, h, func(*browsers) {})
	answer, err := ask(t, (&http3.Transport{}).NewClientConn(dial()), "GET", "/", nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := <-wrote; !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("a write that nobody takes: %v, want %v", err, os.ErrDeadlineExceeded)
	}
	var said *http3.Error
	if _, err := io.Copy(io.Discard, answer.Body); !errors.As(err, &said) || said.ErrorCode != http3.ErrCodeInternalError {
		t.Errorf("the reader is told %v, want %v", err, http3.ErrCodeInternalError)
	}
}

// TestShutdownOfMany: however connections come and go, an end in the midst of it is one.
func TestShutdownOfMany(t *testing.T) {
	for range 5 {
		b, dial := serveBrowsers(t, http.NotFoundHandler(), func(*browsers) {})
		var clients sync.WaitGroup
		for i := range 8 {
			conn := dial()
			clients.Go(func() {
				client := (&http3.Transport{}).NewClientConn(conn)
				for range i {
					answer, err := ask(t, client, "GET", "/", nil)
					if err != nil {
						return
					}
					answer.Body.Close()
				}
				conn.CloseWithError(0, fmt.Sprint(i))
			})
		}
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		b.shutdown(ctx)
		if ctx.Err() != nil {
			t.Error("the shutdown took until its deadline")
		}
		cancel()
		clients.Wait()
	}
}
