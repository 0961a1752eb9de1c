package front_test

import (
	"bytes"
	"context"
	"crypto/rand"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h3link"
)

// over3 is a browser's client over HTTP/3, that trusts the gateway's CA.
func (g *gateway) over3(t testing.TB, change ...func(*quic.Config)) *http.Client {
	t.Helper()
	config := &quic.Config{MaxIdleTimeout: patience}
	for _, f := range change {
		f(config)
	}
	transport := &http3.Transport{TLSClientConfig: &tls.Config{RootCAs: g.roots()}, QUICConfig: config, DisableCompression: true}
	t.Cleanup(func() { transport.Close() })
	return &http.Client{Transport: transport}
}

// TestHTTP3IsLikeHTTP2: a handler sees of a request over HTTP/3 what it sees of one over
// HTTP/2, and judges it by that.
func TestHTTP3IsLikeHTTP2(t *testing.T) {
	noLeaks(t)
	g := newGateway(t, func(c *front.Config) {
		c.BrowserHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			local, _ := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
			at, err := netip.ParseAddrPort(local.String())
			from, fromErr := netip.ParseAddrPort(r.RemoteAddr)
			body, bodyErr := io.ReadAll(r.Body)
			fmt.Fprintln(w, r.TLS != nil && r.TLS.HandshakeComplete, len(r.TLS.PeerCertificates), r.TLS.ServerName,
				at, err, from.Addr(), from.Port() != 0, fromErr, r.Host, r.Header["Host"], r.URL, r.RequestURI,
				r.Method, r.Header["Cookie"], r.Header["X-Two"], string(body), bodyErr, relay.PeerKeyOf(r.Context()) == nil)
			w.Header().Set("Proto", r.Proto)
		})
	})
	seen := map[string]string{}
	for name, client := range map[string]*http.Client{"2": g.browser(t, func(*tls.Config) {}), "3": g.over3(t)} {
		for _, method := range []string{"GET", "POST"} {
			r, _ := http.NewRequestWithContext(t.Context(), method, fmt.Sprintf("https://localhost:%d/a%%20b/c?d=e", g.Addr().(*net.TCPAddr).Port), nil)
			if method == "POST" {
				r, _ = http.NewRequestWithContext(t.Context(), method, r.URL.String(), strings.NewReader("a body"))
			}
			r.Header["X-Two"] = []string{"1", "2"}
			r.AddCookie(&http.Cookie{Name: "a", Value: "b"})
			r.AddCookie(&http.Cookie{Name: "c", Value: "d"})
			answer, err := client.Do(r)
			if err != nil {
				t.Fatalf("HTTP/%s: %v", name, err)
			}
			text, err := io.ReadAll(answer.Body)
			answer.Body.Close()
			if err != nil || !strings.HasPrefix(answer.Proto, "HTTP/"+name) {
				t.Errorf("HTTP/%s: over %s, %v", name, answer.Proto, err)
			}
			seen[method+name] = string(text)
		}
	}
	for _, method := range []string{"GET", "POST"} {
		if seen[method+"2"] != seen[method+"3"] || !strings.HasPrefix(seen[method+"3"], "true 0 localhost "+g.Addr().String()+" <nil> 127.0.0.1 true <nil> localhost:") {
			t.Errorf("%s over HTTP/2: %s\nover HTTP/3: %s", method, seen[method+"2"], seen[method+"3"])
		}
	}
}

// TestHTTP3OnEveryAddress: also on a socket for every address it is known by which one a
// browser came, which the guard needs.
func TestHTTP3OnEveryAddress(t *testing.T) {
	g := newGateway(t, func(c *front.Config) {
		c.Addr = ":0"
		c.BrowserHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprint(w, r.Context().Value(http.LocalAddrContextKey))
		})
	})
	at := fmt.Sprintf("127.0.0.1:%d", g.Addr().(*net.TCPAddr).Port)
	if got := get(t, g.over3(t), "https://"+at+"/"); got != at {
		t.Errorf("a browser that came by %s is said to have come by %s", at, got)
	}
}

func TestHTTP3Answers(t *testing.T) {
	noLeaks(t)
	g := newGateway(t, func(c *front.Config) {
		c.BrowserHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.URL.Path {
			case "/204":
				w.WriteHeader(http.StatusNoContent)
			case "/304":
				w.WriteHeader(http.StatusNotModified)
			case "/panic":
				io.WriteString(w, strings.Repeat("x", 10_000))
				panic(http.ErrAbortHandler)
			}
		})
	})
	client := g.over3(t)
	url := fmt.Sprintf("https://%s", g.Addr())
	for _, path := range []string{"/204", "/304"} {
		answer, err := client.Get(url + path)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if length, there := answer.Header["Content-Length"]; there {
			t.Errorf("%s has Content-Length %q", path, length)
		}
	}
	if answer, err := client.Get(url + "/panic"); err == nil {
		if _, err := io.ReadAll(answer.Body); err == nil {
			t.Error("a broken answer looks whole")
		}
		answer.Body.Close()
	}
	r, _ := http.NewRequest("GET", url+"/", nil)
	r.Header.Set("X", strings.Repeat("x", 32<<10))
	if answer, err := client.Do(r); err != nil || answer.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of 32 KiB: %v, %v, want 431", answer, err)
	} else {
		answer.Body.Close()
	}
	r, _ = http.NewRequest("CONNECT", url, nil)
	r.Host = g.Addr().String()
	answer, err := client.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if answer.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("CONNECT: %s, want 405", answer.Status)
	}
}

// TestAltSvc: browsers learn of HTTP/3 by the port that they know, where it is wanted.
func TestAltSvc(t *testing.T) {
	noLeaks(t)
	g := newGateway(t, handlers, func(c *front.Config) { c.TellHTTP3 = true })
	client := g.browser(t, func(*tls.Config) {})
	for _, row := range []struct{ host, header, want string }{
		{"localhost:18600", "", `h3=":18600"; ma=86400`},
		{"scan.example.com", "", `h3=":443"; ma=86400`},
		{"[fd00::7]:8443", "", `h3=":8443"; ma=86400`},
		{"[fd00::7]", "", `h3=":443"; ma=86400`},
		{"scan.example.com:8443", "Via", ""},
		{"scan.example.com:8443", "X-Forwarded-For", ""},
		{"scan.example.com:0", "", ""},
		{"scan.example.com:08", "", ""},
	} {
		r, _ := http.NewRequest("GET", fmt.Sprintf("https://%s/", g.Addr()), nil)
		r.Host = row.host
		if row.header != "" {
			r.Header.Set(row.header, "x")
		}
		answer, err := client.Do(r)
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got := answer.Header.Get("Alt-Svc"); got != row.want {
			t.Errorf("Host %s, %q: Alt-Svc %q, want %q", row.host, row.header, got, row.want)
		}
	}
	answer, err := g.over3(t).Get(fmt.Sprintf("https://%s/", g.Addr()))
	if err != nil {
		t.Fatal(err)
	}
	answer.Body.Close()
	if got, there := answer.Header["Alt-Svc"]; there {
		t.Errorf("over HTTP/3: Alt-Svc %q", got)
	}
	quiet := newGateway(t, handlers)
	for name, c := range map[string]*http.Client{"2": quiet.browser(t, func(*tls.Config) {}), "3": quiet.over3(t)} {
		answer, err := c.Get(fmt.Sprintf("https://%s/", quiet.Addr()))
		if err != nil {
			t.Fatal(err)
		}
		answer.Body.Close()
		if got, there := answer.Header["Alt-Svc"]; there {
			t.Errorf("without TellHTTP3, over HTTP/%s: Alt-Svc %q", name, got)
		}
	}
}

// nodeIDs are connection IDs with a node's mark.
type nodeIDs struct{}

func (nodeIDs) ConnectionIDLen() int { return 12 }
func (nodeIDs) GenerateConnectionID() (quic.ConnectionID, error) {
	return quic.ConnectionIDFromBytes([]byte(relay.LinkMark + rand.Text()[:8])), nil
}

// TestMark: who has the mark gets a link's streams, which are none of his, and who has
// not a browser's. Neither is let past TLS by it.
func TestMark(t *testing.T) {
	noLeaks(t)
	for _, limits := range []front.Limits{{}, {RetryAbove: 1}} {
		g := newGateway(t, handlers, func(c *front.Config) { c.Limits = limits })
		nodeTLS, err := newIdentity(t).DialTLS([]string{g.id.Pin()}, relay.ALPNLink)
		if err != nil {
			t.Fatal(err)
		}
		browserTLS := &tls.Config{RootCAs: g.roots(), NextProtos: []string{"h3"}, ServerName: "localhost"}
		for _, row := range []struct {
			name    string
			ids     quic.ConnectionIDGenerator
			tls     *tls.Config
			streams bool // may be opened
			stands  bool
		}{
			{"a node", nodeIDs{}, nodeTLS, false, true},
			{"a node without the mark", nil, nodeTLS, true, true},
			{"a browser", nil, browserTLS, true, true},
			{"a browser with the mark", nodeIDs{}, browserTLS, false, false},
		} {
			socket, err := net.ListenPacket("udp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			transport := &quic.Transport{Conn: socket, ConnectionIDGenerator: row.ids}
			ctx, cancel := context.WithTimeout(t.Context(), patience)
			to := &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1), Port: g.Addr().(*net.TCPAddr).Port}
			conn, err := transport.Dial(ctx, to, row.tls, &quic.Config{MaxIdleTimeout: patience})
			if err != nil {
				t.Fatalf("%s: %v", row.name, err)
			}
			_, err = conn.OpenStream()
			if (err == nil) != row.streams {
				t.Errorf("%s opens a stream: %v, want %t", row.name, err, row.streams)
			}
			_, err = conn.AcceptUniStream(ctx) // the gateway's control stream
			if (err == nil) != row.stands || ctx.Err() != nil {
				t.Errorf("%s: %v, want that the connection stands: %t", row.name, err, row.stands)
			}
			cancel()
			conn.CloseWithError(0, "")
			transport.Close()
			socket.Close()
		}
	}
}

// TestHTTP3Caps: connections over HTTP/3 count as all others.
func TestHTTP3Caps(t *testing.T) {
	noLeaks(t)
	g := newGateway(t, handlers, func(c *front.Config) { c.Limits = front.Limits{ConnectionsPerIP: 2} })
	url := fmt.Sprintf("https://%s/", g.Addr())
	first := g.over3(t)
	get(t, first, url)
	link := g.up(t, &h3link.Dialer{}, says("link"))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	r, _ := http.NewRequestWithContext(ctx, "GET", url, nil)
	if answer, err := g.over3(t).Do(r); err == nil || ctx.Err() != nil {
		t.Errorf("a third connection was taken: %v, %v", answer, err)
	}
	link.Close("")
	first.Transport.(*http3.Transport).Close()
	for { // the gateway hears of the end a moment later
		if _, err := g.over3(t).Do(r); err == nil {
			break
		}
		if ctx.Err() != nil {
			t.Fatal("no room after connections went")
		}
	}
}

// TestStalledHTTP3Readers: readers that take nothing, on one connection and on many,
// hold little and leave others as fast as they were. StallLimit resets them.
func TestStalledHTTP3Readers(t *testing.T) {
	noLeaks(t)
	const readers = 64
	page := bytes.Repeat([]byte("page"), 1<<20)
	stalled := make(chan struct{}, readers)
	g := newGateway(t, func(c *front.Config) {
		c.BrowserHandler = http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.URL.Path == "/stalled" {
				defer func() { stalled <- struct{}{} }()
			}
			io.Copy(w, struct{ io.Reader }{bytes.NewReader(page)})
		})
	})
	for _, connections := range []int{1, readers} {
		t.Run(fmt.Sprint(connections, " connections"), func(t *testing.T) {
			clients := make([]*http.Client, connections)
			for i := range clients {
				clients[i] = g.over3(t, func(c *quic.Config) {
					c.InitialStreamReceiveWindow, c.MaxStreamReceiveWindow = 64<<10, 64<<10
					c.InitialConnectionReceiveWindow, c.MaxConnectionReceiveWindow = 16<<20, 16<<20
				})
			}
			before := heap()
			url := fmt.Sprintf("https://%s", g.Addr())
			for i := range readers {
				answer, err := clients[i%connections].Get(url + "/stalled")
				if err != nil {
					t.Fatal(err)
				}
				defer answer.Body.Close()
			}
			began := time.Now()
			for range 3 {
				if got := get(t, clients[0], url+"/fast"); len(got) != len(page) {
					t.Errorf("the fast reader got %d bytes, want %d", len(got), len(page))
				}
			}
			t.Logf("3 × 4 MiB beside %d stalled readers: %v; the heap grew by %d KiB a reader, both ends",
				readers, time.Since(began), (heap()-before)/1024/readers)
			if grown := heap() - before; grown > readers<<20 {
				t.Errorf("the heap grew by %d bytes, want at most 1 MiB a reader", grown)
			}
			for range readers {
				await(t, stalled, "the stalled answers to be reset")
			}
			if took := time.Since(began); took < relay.StallLimit/2 {
				t.Errorf("they ended after %v, before they could stall", took)
			}
		})
	}
}
