package front_test

import (
	"bytes"
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
)

// slowLine is a connection by which bytes come at a rate, with little room for them.
type slowLine struct {
	net.Conn
	rate int // bytes a second
	due  time.Time
}

func (s *slowLine) Read(p []byte) (int, error) {
	n, err := s.Conn.Read(p[:min(len(p), 1<<10)])
	if s.due.IsZero() {
		s.due = time.Now()
	}
	s.due = s.due.Add(time.Duration(n) * time.Second / time.Duration(s.rate))
	time.Sleep(time.Until(s.due))
	return n, err
}

// overLine is a browser of one version of HTTP over TCP at the end of a slow line; rate 0: a fast one.
func (g *gateway) overLine(t *testing.T, h2 bool, rate int) *http.Client {
	t.Helper()
	transport := &http.Transport{
		TLSClientConfig:    &tls.Config{RootCAs: g.roots()},
		DisableCompression: true,
		Protocols:          new(http.Protocols),
		HTTP2:              &http.HTTP2Config{MaxReceiveBufferPerStream: 1 << 20},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := new(net.Dialer).DialContext(ctx, network, addr)
			if err != nil || rate == 0 {
				return conn, err
			}
			conn.(*net.TCPConn).SetReadBuffer(8 << 10)
			return &slowLine{Conn: conn, rate: rate}, nil
		},
	}
	transport.Protocols.SetHTTP1(!h2)
	transport.Protocols.SetHTTP2(h2)
	t.Cleanup(transport.CloseIdleConnections)
	return &http.Client{Transport: transport}
}

// TestSlowReaders: whoever takes an answer slowly, but all the time, gets it, alone or as one
// of several over a line; whoever takes nothing is reset, also beside one that is fast.
func TestSlowReaders(t *testing.T) {
	page := bytes.Repeat([]byte("page"), 1<<20)
	stalled := make(chan time.Duration, 2)
	g := newGateway(t, func(c *front.Config) {
		c.BrowserHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			began := time.Now()
			io.Copy(w, struct{ io.Reader }{bytes.NewReader(page)})
			if r.URL.Path == "/stalled" {
				stalled <- time.Since(began)
			}
		})
	})
	ctx, stop := context.WithTimeout(t.Context(), 3*relay.StallLimit/2)
	defer stop()
	open := func(client *http.Client, path string) *http.Response {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, fmt.Sprintf("https://%s%s", g.Addr(), path), nil)
		if err != nil {
			t.Fatal(err)
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Error(err)
			return nil
		}
		return answer
	}
	var readers sync.WaitGroup
	defer readers.Wait()
	for _, row := range []struct {
		name   string
		client *http.Client
		bodies int
		rate   int // of each body; 0: as they come
	}{
		{"HTTP/1.1, 4 KiB/s", g.overLine(t, false, 4<<10), 1, 0},
		{"HTTP/2, 4 KiB/s", g.overLine(t, true, 4<<10), 1, 0},
		{"HTTP/2, 16 KiB/s for 8", g.overLine(t, true, 16<<10), 8, 0},
		{"HTTP/3, 4 KiB/s for each of 8", g.over3(t, func(c *quic.Config) {
			c.InitialStreamReceiveWindow, c.MaxStreamReceiveWindow = 64<<10, 64<<10
		}), 8, 4 << 10},
	} {
		for range row.bodies {
			readers.Go(func() {
				answer := open(row.client, "/slow")
				if answer == nil {
					return
				}
				defer answer.Body.Close()
				var body io.Reader = answer.Body
				if row.rate > 0 {
					body = &slowBody{body, row.rate}
				}
				if n, err := io.Copy(io.Discard, body); ctx.Err() == nil {
					t.Errorf("%s: broken off after %d bytes: %v", row.name, n, err)
				}
			})
		}
	}

	one, two := g.overLine(t, false, 0), g.overLine(t, true, 0)
	for _, client := range []*http.Client{one, two} {
		if answer := open(client, "/stalled"); answer != nil {
			defer answer.Body.Close()
		}
	}
	readers.Go(func() { // beside the one of HTTP/2
		for len(stalled) < cap(stalled) && ctx.Err() == nil {
			if answer := open(two, "/fast"); answer != nil {
				io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
			}
			time.Sleep(100 * time.Millisecond)
		}
	})
	for range cap(stalled) {
		if took := await(t, stalled, "a stalled answer to be reset"); took < relay.StallLimit {
			t.Errorf("an answer was reset after %v, before the limit of %v", took, relay.StallLimit)
		}
	}
	if ctx.Err() != nil {
		t.Errorf("stalled answers were not reset within %v", 3*relay.StallLimit/2)
	}
}

// slowBody is read at a rate.
type slowBody struct {
	io.Reader
	rate int // bytes a second
}

func (b *slowBody) Read(p []byte) (int, error) {
	n, err := b.Reader.Read(p[:min(len(p), 1<<10)])
	time.Sleep(time.Duration(n) * time.Second / time.Duration(b.rate))
	return n, err
}
