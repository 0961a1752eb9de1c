//go:build e2e

package e2e

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// stalledMemory is what the gateway may grow by for 64 clients that take, or give, nothing.
const stalledMemory = 40 << 20

// trickle is a body that gives its first bytes at once, and then one at a time.
type trickle struct {
	ctx   context.Context
	first io.Reader
}

func (b *trickle) Read(p []byte) (int, error) {
	if n, err := b.first.Read(p); err == nil {
		return n, nil
	}
	select {
	case <-time.After(sipInterval):
		p[0] = ' '
		return 1, nil
	case <-b.ctx.Done():
		return 0, b.ctx.Err()
	}
}

// TestStalledClients: whoever asks much of a gateway and then takes nothing, or sends nearly
// nothing, costs it little memory, and others do not notice.
func TestStalledClients(t *testing.T) {
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
	admin, control := adminOf(t, o.Gateway), programOn(t, o, o.PhoneHost, api.RoleOperator)
	admin.http.Transport.(*http.Transport).DialContext = o.GateHost.Dial
	nodes := ask[api.NodeList](admin, http.MethodGet, "/nodes", nil)
	node := nodes.Items[0].ID
	page := "/jobs/" + job.ID + "/pages/1"

	pages := func(r *reader, ctx context.Context) error {
		body, err := r.open(ctx, page)
		if err == nil {
			context.AfterFunc(ctx, func() { body.Close() })
		}
		return err
	}
	events := func(r *reader, ctx context.Context) error {
		body, err := r.open(ctx, "/events")
		if err == nil {
			context.AfterFunc(ctx, func() { body.Close() })
		}
		return err
	}
	var uploads sync.WaitGroup
	upload := func(r *reader, ctx context.Context) error {
		body := &trickle{ctx, strings.NewReader("%PDF-1.7\n" + strings.Repeat(" ", 1<<20))}
		req, err := http.NewRequestWithContext(ctx, http.MethodPost, r.base+"/api/v1/imports?node="+node, body)
		if err != nil {
			return err
		}
		req.ContentLength = 64 << 20
		req.Header.Set("Authorization", "Bearer "+r.token)
		req.Header.Set("Content-Type", "application/pdf")
		req.Header.Set("Idempotency-Key", "e2e-"+rand.Text())
		uploads.Go(func() {
			if res, err := r.http.Do(req); err == nil {
				t.Errorf("an upload that has not ended was answered: %s", res.Status)
				res.Body.Close()
			}
		})
		return nil
	}
	for _, row := range []struct {
		name, version string
		begin         func(*reader, context.Context) error
	}{
		{"pages", "HTTP/2.0", pages},
		{"pages", "HTTP/3", pages},
		{"events", "HTTP/1.1", events},
		{"events", "HTTP/2.0", events},
		{"events", "HTTP/3", events},
		{"uploads", "HTTP/2.0", upload},
		{"uploads", "HTTP/3", upload},
	} {
		t.Run(row.name+" "+row.version, func(t *testing.T) {
			base := memoryOf(t, o.Gateway.PID())
			ctx, stop := context.WithCancel(t.Context())
			defer uploads.Wait()
			defer stop()
			for range 8 {
				r := newReader(t, o, row.version, sipWindow)
				for range 8 {
					if err := row.begin(r, ctx); err != nil {
						t.Fatal(err)
					}
				}
			}
			for i := range 100 { // news, more than those who listen take in
				ask[scan.Node](admin, http.MethodPatch, "/nodes/"+node, api.NodeEdit{Name: fmt.Sprintf("%d%s", i, strings.Repeat("x", 40))})
			}
			p99 := control.latency("/jobs/"+job.ID, 100)
			most := memoryOf(t, o.Gateway.PID())
			t.Logf("p99 %v; the gateway has %d MiB, had %d", p99, most>>20, base>>20)
			if p99 > time.Second {
				t.Errorf("beside them 1 of 100 answers takes %v", p99)
			}
			if most-base > stalledMemory {
				t.Errorf("the gateway grew by %d MiB, more than %d", (most-base)>>20, stalledMemory>>20)
			}
		})
	}
}
