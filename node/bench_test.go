package node

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/scan"
)

// overTCP serves a rig on a loopback port.
func overTCP(b *testing.B, g *rig) func(path string, header ...string) *http.Response {
	b.Helper()
	server := httptest.NewServer(g.node.Handler(access.RoadLoopback))
	b.Cleanup(server.Close)
	return func(path string, header ...string) *http.Response {
		b.Helper()
		r, err := http.NewRequest(http.MethodGet, server.URL+path, nil)
		need(b, err)
		r.Header.Set("Authorization", "Bearer "+adminToken)
		for i := 0; i+1 < len(header); i += 2 {
			r.Header.Set(header[i], header[i+1])
		}
		answer, err := server.Client().Do(r)
		need(b, err)
		return answer
	}
}

// largePage is as large as the page of the relay's benchmarks.
func largePage() []byte {
	const size = 26_092_080
	page := make([]byte, size)
	for i := range page {
		page[i] = byte(i * 7)
	}
	copy(page, "\xff\xd8\xff")
	copy(page[size-2:], "\xff\xd9")
	return page
}

// BenchmarkCommittedPage fetches a large page; the sub-benchmark "file" serves the same
// bytes by net/http alone.
func BenchmarkCommittedPage(b *testing.B) {
	page := largePage()
	g, _, scanner := oneDevice(b, func(bt *fakeBatch) error {
		p, err := bt.sink.PageStarted(fakePage)
		if err != nil {
			return err
		}
		if _, err := p.Write(page); err != nil {
			return err
		}
		return p.Commit(fakePage.Height)
	})
	j := g.submit(scanner, request(scan.SourcePlaten, 0))
	g.reaches(j.ID, scan.JobCompleted)
	fetch := overTCP(b, g)
	path := filepath.Join(b.TempDir(), "page")
	need(b, os.WriteFile(path, page, 0o600))
	plain := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { http.ServeFile(w, r, path) }))
	b.Cleanup(plain.Close)
	for name, get := range map[string]func() *http.Response{
		"node": func() *http.Response { return fetch("/api/v1/jobs/" + j.ID + "/pages/1") },
		"file": func() *http.Response {
			answer, err := plain.Client().Get(plain.URL)
			need(b, err)
			return answer
		},
	} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(page)))
			for b.Loop() {
				answer := get()
				n, err := io.Copy(io.Discard, answer.Body)
				answer.Body.Close()
				if err != nil || n != int64(len(page)) {
					b.Fatalf("%d bytes came, %v", n, err)
				}
			}
		})
	}
}

// BenchmarkGrowingPage is the time from the first bytes of a page at the node to the
// same bytes at a reader that waits for them.
func BenchmarkGrowingPage(b *testing.B) {
	step := make(chan chan time.Time)
	g, _, scanner := oneDevice(b, func(bt *fakeBatch) error {
		p, err := bt.sink.PageStarted(fakePage)
		if err != nil {
			return err
		}
		piece := testJPEG(1)[:64]
		for {
			select {
			case wrote := <-step:
				at := time.Now()
				if _, err := p.Write(piece); err != nil {
					return err
				}
				wrote <- at
			case <-bt.ctx.Done():
				return context.Canceled
			}
		}
	})
	j := g.submit(scanner, request(scan.SourceADF, 0))
	g.until("a growing page", func() bool { return g.job(j.ID).Growing == 1 })
	answer := overTCP(b, g)("/api/v1/jobs/" + j.ID + "/pages/1")
	defer answer.Body.Close()
	var total time.Duration
	buf := make([]byte, 64)
	rounds := 0
	wrote := make(chan time.Time, 1)
	for b.Loop() {
		step <- wrote
		at := <-wrote
		if _, err := io.ReadFull(answer.Body, buf); err != nil {
			b.Fatal(err)
		}
		total += time.Since(at)
		rounds++
	}
	b.ReportMetric(float64(total.Microseconds())/float64(rounds), "µs/byte-at-reader")
	g.command(j.ID, "cancel")
}

// BenchmarkEvents publishes with a thousand followers who are somewhere in the ring.
func BenchmarkEvents(b *testing.B) {
	h := newHub(time.Now)
	for i := range maxEvents {
		h.publish(jobNotice(fmt.Sprint(i)))
	}
	b.ReportAllocs()
	for b.Loop() {
		h.publish(progressNotice("p", 1))
	}
}
