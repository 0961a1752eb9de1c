package front_test

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h3link"
)

// leaving is a gateway whose handlers write half of a page and wait.
type leaving struct {
	*gateway
	begun chan string   // the protocol of each request
	rest  chan struct{} // closed: the other half may come
	ended chan error    // of Serve
	end   context.CancelFunc
}

const halfPage = 100_000 // less than what is taken from a handler before its browser reads

func newLeaving(t *testing.T, change ...func(*front.Config)) *leaving {
	l := &leaving{begun: make(chan string, 8), rest: make(chan struct{}), ended: make(chan error, 1)}
	config := func(c *front.Config) {
		c.BrowserHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			io.WriteString(w, strings.Repeat("1", halfPage))
			http.NewResponseController(w).Flush()
			if r.URL.Path == "/quick" {
				return
			}
			l.begun <- r.Proto
			select {
			case <-l.rest:
				io.WriteString(w, strings.Repeat("2", halfPage))
			case <-r.Context().Done():
			}
		})
	}
	l.gateway = makeGateway(t, append([]func(*front.Config){config}, change...)...)
	ctx, cancel := context.WithCancel(context.Background())
	l.end = cancel
	go func() { l.ended <- l.Serve(ctx) }()
	t.Cleanup(cancel)
	return l
}

func (l *leaving) url() string { return fmt.Sprintf("https://%s/", l.Addr()) }

// TestLeaveFinishesPages: pages under way end whole, over each protocol; nobody new is
// let in, links stand for as long as their owner wants, and nothing waits for longer
// than it must.
func TestLeaveFinishesPages(t *testing.T) {
	noLeaks(t)
	l := newLeaving(t)
	link := l.up(t, &h3link.Dialer{}, says("link"))
	clients := map[string]*http.Client{
		"HTTP/1.1": l.browser(t, func(c *tls.Config) { c.NextProtos = []string{"http/1.1"} }),
		"HTTP/2.0": l.browser(t, func(*tls.Config) {}),
		"HTTP/3.0": l.over3(t),
	}
	pages := make(chan string, len(clients))
	for proto, client := range clients {
		answer, err := client.Get(l.url())
		if err != nil {
			t.Fatal(err)
		}
		if got := await(t, l.begun, "a request"); got != proto {
			t.Errorf("a request over %s, want %s", got, proto)
		}
		go func() {
			defer answer.Body.Close()
			page, err := io.ReadAll(answer.Body)
			if err != nil || len(page) != 2*halfPage {
				pages <- fmt.Sprintf("over %s: %d bytes, %v, want %d", proto, len(page), err, 2*halfPage)
				return
			}
			pages <- ""
		}()
	}
	l.end()
	for { // until nobody new is let in
		if _, err := l.over3(t, func(c *quic.Config) { c.HandshakeIdleTimeout = 100 * time.Millisecond }).Get(l.url() + "quick"); err != nil {
			break
		}
	}
	if _, err := l.browser(t, func(*tls.Config) {}).Get(l.url() + "quick"); err == nil {
		t.Error("a browser was let in over TCP")
	}
	close(l.rest)
	for range clients {
		if problem := await(t, pages, "a page"); problem != "" {
			t.Error(problem)
		}
	}
	r, _ := http.NewRequestWithContext(t.Context(), "GET", "http://node/", nil)
	answer, err := link.RoundTrip(r)
	if err != nil {
		t.Fatalf("the link: %v", err)
	}
	answer.Body.Close()
	select {
	case err := <-l.ended:
		t.Fatalf("Serve ended with a link that stands: %v", err)
	default:
	}
	link.Close("")
	if err := await(t, l.ended, "Serve to end"); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
}

// TestLeaveHasALimit: what does not end is cut off, the link too.
func TestLeaveHasALimit(t *testing.T) {
	noLeaks(t)
	l := newLeaving(t, func(c *front.Config) { c.Grace = 300 * time.Millisecond })
	l.up(t, &h3link.Dialer{}, says("link"))
	answers := map[string]*http.Response{}
	for proto, client := range map[string]*http.Client{"2": l.browser(t, func(*tls.Config) {}), "3": l.over3(t)} {
		answer, err := client.Get(l.url())
		if err != nil {
			t.Fatal(err)
		}
		defer answer.Body.Close()
		answers[proto] = answer
		await(t, l.begun, "a request")
	}
	began := time.Now()
	l.end()
	if err := await(t, l.ended, "Serve to end"); err != nil {
		t.Errorf("Serve = %v, want nil", err)
	}
	if took := time.Since(began); took < 300*time.Millisecond || took > 5*time.Second {
		t.Errorf("it took %v, want 300 ms or little more", took)
	}
	for proto, answer := range answers {
		if n, err := io.Copy(io.Discard, answer.Body); err == nil {
			t.Errorf("over HTTP/%s a page that was cut off looks whole with %d bytes", proto, n)
		}
	}
}

// TestLeaveIsQuick: with nobody there, and with browsers that only might come back, there
// is nothing to wait for.
func TestLeaveIsQuick(t *testing.T) {
	noLeaks(t)
	l := newLeaving(t)
	for _, client := range []*http.Client{l.browser(t, func(*tls.Config) {}), l.over3(t)} {
		if got := get(t, client, l.url()+"quick"); len(got) != halfPage {
			t.Errorf("the answer has %d bytes, want %d", len(got), halfPage)
		}
	}
	began := time.Now()
	l.end()
	await(t, l.ended, "Serve to end")
	if took := time.Since(began); took > 2*time.Second { // net/http gives HTTP/2 a second for its goodbye
		t.Errorf("it took %v", took)
	}
}

// TestGatewayKilledUnderBrowsers: browsers over HTTP/3 learn as nodes do, by the
// stateless reset of the next gateway, that theirs was killed.
func TestGatewayKilledUnderBrowsers(t *testing.T) {
	dir := t.TempDir()
	if _, err := identity.Load(dir); err != nil {
		t.Fatal(err)
	}
	kill, address := startProcess(t, "127.0.0.1:0", dir)
	conn, err := quic.DialAddr(t.Context(), address, &tls.Config{NextProtos: []string{"h3"}, InsecureSkipVerify: true},
		&quic.Config{MaxIdleTimeout: time.Minute, KeepAlivePeriod: 50 * time.Millisecond})
	if err != nil {
		kill()
		t.Fatal(err)
	}
	defer conn.CloseWithError(0, "")
	if _, err := conn.AcceptUniStream(t.Context()); err != nil { // the handshake is over
		t.Error(err)
	}
	kill()
	kill, _ = startProcess(t, address, dir)
	defer kill()
	began := time.Now()
	stream, err := conn.OpenStream()
	if err != nil {
		t.Fatal(err)
	}
	stream.Write(make([]byte, 1000)) // a browser's next request
	await(t, conn.Context().Done(), "the browser's connection to end")
	var reset *quic.StatelessResetError
	if err := context.Cause(conn.Context()); !errors.As(err, &reset) {
		t.Errorf("the connection ended by %v, want a stateless reset", err)
	}
	t.Logf("the browser knew it %v after the start of the next gateway", time.Since(began))
}
