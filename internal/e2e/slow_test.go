//go:build e2e

package e2e

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// What the readers of a slow line take.
const (
	sips        = 4 << 10 // bytes
	sipInterval = 250 * time.Millisecond
	sipWindow   = 64 << 10 // bytes that wait for them on their side
)

// reader is a program on the phone that reads bodies by one version of HTTP.
type reader struct {
	*caller
	version string
}

// newReader has a token and a connection of its own, or one for each body with HTTP/1.1. With a
// window, no more than so many bytes of a body are under way to it.
func newReader(t testing.TB, o *testenv.Office, version string, window int) *reader {
	t.Helper()
	c := programOn(t, o, o.PhoneHost, api.RoleOperator)
	authority, err := os.ReadFile(filepath.Join(o.Gateway.Data, "keys", "ca.pem"))
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	if version == "HTTP/3" {
		udp := &quic.Transport{Conn: o.PhoneHost.ListenPacket(":0")}
		h3 := &http3.Transport{
			TLSClientConfig: &tls.Config{RootCAs: roots},
			QUICConfig:      &quic.Config{InitialStreamReceiveWindow: uint64(window), MaxStreamReceiveWindow: uint64(window)},
			Dial: func(ctx context.Context, addr string, tls *tls.Config, config *quic.Config) (*quic.Conn, error) {
				to, err := net.ResolveUDPAddr("udp", addr)
				if err != nil {
					return nil, err
				}
				return udp.DialEarly(ctx, to, tls, config)
			},
		}
		t.Cleanup(func() { h3.Close(); udp.Close() })
		c.http = &http.Client{Transport: h3}
		return &reader{c, version}
	}
	transport := &http.Transport{
		TLSClientConfig: &tls.Config{RootCAs: roots},
		Protocols:       new(http.Protocols),
		HTTP2:           &http.HTTP2Config{MaxReceiveBufferPerStream: window},
		DialContext: func(ctx context.Context, network, addr string) (net.Conn, error) {
			conn, err := o.PhoneHost.Dial(ctx, network, addr)
			if err == nil && window > 0 && version == "HTTP/1.1" {
				err = conn.(*net.TCPConn).SetReadBuffer(window)
			}
			return conn, err
		},
	}
	transport.Protocols.SetHTTP1(version == "HTTP/1.1")
	transport.Protocols.SetHTTP2(version == "HTTP/2.0")
	t.Cleanup(transport.CloseIdleConnections)
	c.http = &http.Client{Transport: transport}
	return &reader{c, version}
}

// open asks for a body.
func (r *reader) open(ctx context.Context, path string) (io.ReadCloser, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, r.base+"/api/v1"+path, nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+r.token)
	res, err := r.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode != http.StatusOK || !strings.HasPrefix(res.Proto, r.version) {
		res.Body.Close()
		return nil, fmt.Errorf("%s by %s, want %s", res.Status, res.Proto, r.version)
	}
	return res.Body, nil
}

// rate reads a body to its end, in bytes a second.
func (r *reader) rate(path string, bytes int64) float64 {
	r.t.Helper()
	began := time.Now()
	body, err := r.open(r.t.Context(), path)
	if err != nil {
		r.t.Fatal(err)
	}
	defer body.Close()
	if n, err := io.Copy(io.Discard, body); n != bytes || err != nil {
		r.t.Fatalf("read %d bytes of %d: %v", n, bytes, err)
	}
	return float64(bytes) / time.Since(began).Seconds()
}

// rates are count of them in order of size.
func (r *reader) rates(path string, bytes int64, count int) []float64 {
	r.t.Helper()
	list := make([]float64, count)
	for i := range list {
		list[i] = r.rate(path, bytes)
	}
	slices.Sort(list)
	return list
}

// sip takes a few bytes of a body from time to time until ctx ends, and tells when it begins.
func (r *reader) sip(ctx context.Context, path string, begins func()) error {
	body, err := r.open(ctx, path)
	if err != nil {
		return err
	}
	defer body.Close()
	tick := time.NewTicker(sipInterval)
	defer tick.Stop()
	buf := make([]byte, sips)
	for first := true; ; first = false {
		if _, err := io.ReadFull(body, buf); err != nil {
			return err
		}
		if first {
			begins()
		}
		select {
		case <-tick.C:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// latency asks for something small again and again, and answers the 99th percentile of the times.
func (c *caller) latency(path string, count int) time.Duration {
	c.t.Helper()
	times := make([]time.Duration, count)
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	for i := range times {
		<-tick.C
		began := time.Now()
		ask[scan.Job](c, http.MethodGet, path, nil)
		times[i] = time.Since(began)
	}
	slices.Sort(times)
	return times[count*99/100]
}

// memoryOf is a process's share of memory in bytes.
func memoryOf(t testing.TB, pid int) int64 {
	t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Pss:"); ok {
			kib, err := strconv.ParseInt(strings.Fields(rest)[0], 10, 64)
			if err != nil {
				t.Fatal(err)
			}
			return kib << 10
		}
	}
	t.Fatalf("nothing is told of process %d's memory", pid)
	return 0
}

// slowMemory is what the gateway may grow by for each slow reader. What is kept for one is a
// slice, and a window for the few that come first.
const slowMemory = 512 << 10

// TestSlowReaders: many who take a page slowly keep nobody from taking it fast, nor from being
// answered, and the page waits for them at the node, not in the gateway's memory.
func TestSlowReaders(t *testing.T) {
	o := testenv.NewRoom(t)
	o.StartNode(t, "PLATEN_NODE_DRIVERS=virtual")
	out, err := o.Node.CLI("scan", "-q", "--json", "--source", "platen", "--mode", "color", "-r", "600", "-o", filepath.Join(t.TempDir(), "page.png"))
	if err != nil {
		t.Fatal(err)
	}
	var job scan.Job
	if err := json.Unmarshal([]byte(out), &job); err != nil {
		t.Fatal(err)
	}
	text, _ := storedPage(t, o.Node, job.ID)
	bytes, path := int64(len(text)), "/jobs/"+job.ID+"/pages/1"
	control, fast := programOn(t, o, o.PhoneHost, api.RoleOperator), newReader(t, o, "HTTP/2.0", 0)

	fast.rate(path, bytes) // connections are made, ways measured
	before := fast.rates(path, bytes, 5)
	quiet := control.latency("/jobs/"+job.ID, 100)
	base := memoryOf(t, o.Gateway.PID())

	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var group sync.WaitGroup
	defer group.Wait()
	defer stop()
	var reading atomic.Int32
	const each = 8 // bodies of a session
	for i, version := range []string{"HTTP/1.1", "HTTP/2.0", "HTTP/3", "HTTP/1.1", "HTTP/2.0", "HTTP/3", "HTTP/1.1", "HTTP/2.0"} {
		slow := newReader(t, o, version, sipWindow)
		for n := range each {
			group.Go(func() {
				err := slow.sip(ctx, path, func() { reading.Add(1) })
				if ctx.Err() == nil {
					t.Errorf("slow reader %d of program %d by %s: %v", n, i, version, err)
				}
				reading.Add(-1)
			})
		}
	}
	const all = 64
	testenv.Eventually(t, "all slow readers have begun", 30*time.Second, func() bool { return reading.Load() == all || t.Failed() })
	most := memoryOf(t, o.Gateway.PID())
	during := fast.rates(path, bytes, 5)
	most = max(most, memoryOf(t, o.Gateway.PID()))
	busy := control.latency("/jobs/"+job.ID, 300)
	most = max(most, memoryOf(t, o.Gateway.PID()))
	during = append(during, fast.rates(path, bytes, 5)...)
	slices.Sort(during)
	most = max(most, memoryOf(t, o.Gateway.PID()))
	if left := reading.Load(); left != all {
		t.Errorf("%d of %d slow readers are left", left, all)
	}
	stop()
	group.Wait()
	after := fast.rates(path, bytes, 5)
	most = max(most, memoryOf(t, o.Gateway.PID()))

	alone := max(before[len(before)/2], after[len(after)/2])
	ratio := during[len(during)/2] / alone
	t.Logf("the fast reader: %.1f MB/s before, %.1f during, %.1f after: %.2f of what it is alone", before[2]/1e6, during[5]/1e6, after[2]/1e6, ratio)
	t.Logf("answers: p99 %v alone, %v during; the gateway's memory: %d MiB, %d at most", quiet, busy, base>>20, most>>20)
	if ratio < 0.3 {
		t.Errorf("beside slow readers a fast one has %.2f of its rate", ratio)
	}
	if busy > time.Second {
		t.Errorf("beside slow readers 1 of 100 answers takes %v", busy)
	}
	if bound := int64(all * slowMemory); most-base > bound {
		t.Errorf("the gateway grew by %d MiB, more than %d", (most-base)>>20, bound>>20)
	}
}
