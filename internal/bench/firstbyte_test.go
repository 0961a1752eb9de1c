//go:build bench

package bench

import (
	"context"
	"crypto/tls"
	"fmt"
	"io"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// clientOn is an HTTP client in the test's own process whose connections are a host's.
func clientOn(host *testenv.Host, http2 bool) *http.Client {
	return &http.Client{Timeout: 3 * time.Minute, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			return host.Dial(ctx, network, addr)
		},
		TLSClientConfig:   &tls.Config{InsecureSkipVerify: true},
		ForceAttemptHTTP2: http2, DisableCompression: true,
	}}
}

func get(c *http.Client, url, token string) (*http.Response, error) {
	req, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+token)
	res, err := c.Do(req)
	if err == nil && res.StatusCode != http.StatusOK {
		res.Body.Close()
		return nil, fmt.Errorf("%s: %s", url, res.Status)
	}
	return res, err
}

// fetch reads a page to its end.
func fetch(c *http.Client, url, token string, size int64) error {
	res, err := get(c, url, token)
	if err != nil {
		return err
	}
	defer res.Body.Close()
	if n, err := io.CopyBuffer(struct{ io.Writer }{io.Discard}, res.Body, make([]byte, 256<<10)); err != nil || n != size {
		return fmt.Errorf("%s: %d bytes, %v", url, n, err)
	}
	return nil
}

// firstBytes says how much later the first byte of a small page comes by the relay.
func firstBytes(t *testing.T, r *report, all, quic, tcp link) {
	const requests, every = 300, 25 * time.Millisecond // a service answers a user 60 times a second
	type way struct {
		name, url, token string
		client           *http.Client
		times            []time.Duration
	}
	ways := []*way{{name: "direct HTTP from the node", url: all.nodeEntry(), token: all.nodeToken}}
	ways[0].url += all.path(2)
	ways[0].client = clientOn(all.PhoneHost, false)
	for i, l := range []link{quic, tcp, all} {
		ways = append(ways, &way{name: "relayed, link over " + []string{onlyQUIC, onlyTCP, both}[i], url: l.plainEntry() + l.path(2), token: l.token,
			client: clientOn(l.PhoneHost, false)})
	}
	tick := time.NewTicker(every)
	defer tick.Stop()
	for i := range requests + 10 {
		<-tick.C
		for _, w := range ways {
			begin := time.Now()
			res, err := get(w.client, w.url, w.token)
			if err != nil {
				t.Fatal(err)
			}
			if _, err := io.ReadFull(res.Body, make([]byte, 1)); err != nil {
				t.Fatal(err)
			}
			took := time.Since(begin)
			if n, err := io.Copy(io.Discard, res.Body); err != nil || n != smallBytes-1 {
				t.Fatalf("%d bytes, %v", n, err)
			}
			res.Body.Close()
			if i >= 10 {
				w.times = append(w.times, took)
			}
		}
	}
	rows := []string{}
	at := func(w *way, share float64) time.Duration {
		return slices.Sorted(slices.Values(w.times))[int(share*float64(len(w.times)))]
	}
	for _, w := range ways {
		w.client.CloseIdleConnections()
		p50, p99 := at(w, 0.5), at(w, 0.99)
		rows = append(rows, fmt.Sprintf("%s | %s | %s | %s | %s", w.name, ms(p50), ms(p99), ms(p50-at(ways[0], 0.5)), ms(p99-at(ways[0], 0.99))))
	}
	r.section("First byte through the gateway", fmt.Sprintf("A stored page of %d bytes, asked for %d times by each road in turn over one connection of HTTP/1.1 that is kept.", smallBytes, requests))
	r.table("road | p50 | p99 | added at p50 | added at p99", rows...)
}
