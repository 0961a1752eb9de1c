//go:build unix

package front_test

import (
	"bytes"
	"crypto/tls"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"syscall"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/front"
	"github.com/platen-scan/platen/relay/h2link"
	"github.com/platen-scan/platen/relay/h3link"
)

// pageSize is one A4 page, 300 dpi, 24-bit colour.
const pageSize = 26_092_080

// BenchmarkPage fetches a page over HTTP/1.1 from the node directly, and through a
// gateway's reverse proxy over each link.
func BenchmarkPage(b *testing.B) {
	page := bytes.Repeat([]byte{0x5a, 1, 2, 3}, pageSize/4)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page))
	})
	b.Run("direct", func(b *testing.B) {
		fetch(b, httptest.NewServer(handler))
	})
	for _, dialer := range []relay.Dialer{&h2link.Dialer{}, &h3link.Dialer{}} {
		b.Run(string(dialer.Kind()), func(b *testing.B) {
			link := newGateway(b).up(b, dialer, handler)
			proxy := &httputil.ReverseProxy{
				Rewrite:    func(r *httputil.ProxyRequest) { r.SetURL(&url.URL{Scheme: "https", Host: relay.Host}) },
				Transport:  link,
				BufferPool: new(relay.Buffers),
			}
			fetch(b, httptest.NewServer(proxy))
		})
	}
}

// BenchmarkBrowser fetches a page that the gateway has, as browsers do.
func BenchmarkBrowser(b *testing.B) {
	page := bytes.Repeat([]byte{0x5a, 1, 2, 3}, pageSize/4)
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Type", "application/octet-stream")
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(page))
	})
	b.Run("http", func(b *testing.B) {
		fetch(b, httptest.NewServer(relay.Progress(handler, relay.StallLimit)))
	})
	for name, client := range map[string]func(*gateway) *http.Client{
		"https-h1": func(g *gateway) *http.Client {
			return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.roots()}, DisableCompression: true}}
		},
		"https-h2": func(g *gateway) *http.Client {
			return &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: g.roots()}, DisableCompression: true, ForceAttemptHTTP2: true}}
		},
		"https-h3": func(g *gateway) *http.Client {
			return g.over3(b, func(c *quic.Config) { // a browser's windows
				c.InitialStreamReceiveWindow, c.MaxStreamReceiveWindow = 6<<20, 6<<20
				c.InitialConnectionReceiveWindow, c.MaxConnectionReceiveWindow = 15<<20, 15<<20
			})
		},
	} {
		b.Run(name, func(b *testing.B) {
			g := newGateway(b, func(c *front.Config) { c.BrowserHandler = handler })
			c := client(g)
			defer c.CloseIdleConnections()
			fetchFrom(b, c, fmt.Sprintf("https://%s", g.Addr()))
		})
	}
}

func fetch(b *testing.B, server *httptest.Server) {
	defer server.Close()
	client := &http.Client{Transport: &http.Transport{DisableCompression: true}}
	defer client.CloseIdleConnections()
	fetchFrom(b, client, server.URL)
}

func fetchFrom(b *testing.B, client *http.Client, url string) {
	buf := make([]byte, 256<<10)
	b.SetBytes(pageSize)
	before := cpuTime(b)
	defer func() {
		gigabytes := float64(b.N) * pageSize / 1e9
		b.ReportMetric((cpuTime(b)-before).Seconds()/gigabytes, "cpu-s/GB")
	}()
	for b.Loop() {
		answer, err := client.Get(url + "/page")
		if err != nil {
			b.Fatal(err)
		}
		n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, answer.Body, buf)
		if err != nil || n != pageSize {
			b.Fatalf("page = %d bytes, %v", n, err)
		}
		answer.Body.Close()
	}
}

// cpuTime is what this process has used: both ends, the proxy and the client.
func cpuTime(b *testing.B) time.Duration {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		b.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
