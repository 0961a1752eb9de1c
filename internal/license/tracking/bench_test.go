package tracking

import (
	"sync/atomic"
	"testing"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
)

// stores are the records of the ends that run a server.
func stores(b *testing.B) map[string]func() access.Records {
	return map[string]func() access.Records{
		"memory": func() access.Records { return accesstest.NewRecords() },
		"NATS": func() access.Records {
			s, err := state.Open(b.Context(), state.Config{Dir: b.TempDir()})
			if err != nil {
				b.Fatal(err)
			}
			b.Cleanup(func() { s.Close() })
			return s.Records()
		},
	}
}

// BenchmarkLease is what one question of a gateway costs.
func BenchmarkLease(b *testing.B) {
	for name, open := range stores(b) {
		for _, bb := range []struct {
			name string
			kind license.Kind
			wish func(i int, n string) api.LeaseRequest
		}{
			{"server", license.Server, browser},
			{"browser/known", license.Browser, func(_ int, n string) api.LeaseRequest { return browser(1, n) }},
			{"browser/new", license.Browser, browser},
			{"concurrent/known", license.Concurrent, func(_ int, n string) api.LeaseRequest { return browser(1, n) }},
			{"pages", license.Page, func(_ int, n string) api.LeaseRequest {
				return api.LeaseRequest{HandshakeCode: code, Origin: app, Node: n, Pages: 20}
			}},
		} {
			b.Run(name+"/"+bb.name, func(b *testing.B) {
				w := newWorld(b)
				w.records = open()
				s := w.server()
				w.add(s, w.key(bb.kind, func(k *license.Key) {
					if k.Kind.Tracked() {
						k.Quantity = 10_000_000
					}
				}))
				w.project(s)
				n, place := newIdentity(b).NodeID(), placeOf(w.gateway)
				var next atomic.Int64
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if _, err := s.Lease(b.Context(), place, bb.wish(int(next.Add(1)), n)); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}
