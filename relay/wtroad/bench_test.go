package wtroad_test

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"testing"

	"github.com/platen-scan/platen/relay"
)

// pageSize is that of the page of the benchmarks: A4, 300 dpi, colour, uncompressed.
const pageSize = 26_092_080

// BenchmarkBody is one page a round: over the road, and over plain HTTP of the same
// machine. Both ends of both share it.
func BenchmarkBody(b *testing.B) {
	page := make([]byte, pageSize)
	server := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Content-Length", "26092080")
		w.Write(page)
	})}
	server.SetKeepAlivesEnabled(false)
	serve := func(l net.Listener) {
		done := make(chan struct{})
		go func() { defer close(done); server.Serve(l) }()
		b.Cleanup(func() { server.Close(); <-done })
	}
	e := newEnd(b, nil)
	plain, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		b.Fatal(err)
	}
	serve(plain)
	serve(e)
	session := e.mustJoin(b)
	for _, row := range []struct {
		name string
		open func() (net.Conn, error)
	}{
		{"road", func() (net.Conn, error) { return session.Open(b.Context()) }},
		{"plain", func() (net.Conn, error) { return net.Dial("tcp", plain.Addr().String()) }},
	} {
		b.Run(row.name, func(b *testing.B) {
			b.SetBytes(pageSize)
			b.ReportAllocs()
			for b.Loop() {
				conn, err := row.open()
				if err != nil {
					b.Fatal(err)
				}
				r, err := http.NewRequest("GET", "http://"+relay.Host+"/page", nil)
				if err != nil {
					b.Fatal(err)
				}
				r.Write(conn)
				answer, err := http.ReadResponse(bufio.NewReaderSize(conn, 64<<10), r)
				if err != nil {
					b.Fatal(err)
				}
				if n, err := io.Copy(io.Discard, answer.Body); err != nil || n != pageSize {
					b.Fatalf("%d bytes, %v", n, err)
				}
				conn.Close()
			}
		})
	}
}
