//go:build e2e

package e2e

import (
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
)

// page is a page of Platen in a browser, signed in, that does as a test says; see
// web/e2e/page.mjs.
type page struct {
	*testenv.Process
	t   testing.TB
	to  io.Writer
	ids atomic.Int64
}

// openPage opens a pairing link on a phone.
func (p *phone) openPage(link string, args ...string) *page {
	p.t.Helper()
	r, w, err := os.Pipe()
	if err != nil {
		p.t.Fatal(err)
	}
	p.t.Cleanup(func() { w.Close() })
	defer r.Close()
	o := &page{t: p.t, to: w, Process: p.startWith("page.mjs", r, append([]string{"--url", link}, args...)...)}
	o.Await(`^page is ready`, 2*time.Minute)
	return o
}

// begin runs JavaScript in the page: the body of an async function. The answer waits for
// what it returns.
func (p *page) begin(code string) (answer func(within time.Duration, v any) error) {
	p.t.Helper()
	id := p.ids.Add(1)
	line, err := json.Marshal(map[string]any{"id": id, "code": code})
	if err != nil {
		p.t.Fatal(err)
	}
	if _, err := fmt.Fprintf(p.to, "%s\n", line); err != nil {
		p.t.Fatal(err)
	}
	return func(within time.Duration, v any) error {
		p.t.Helper()
		m := p.Await(fmt.Sprintf(`^(result|failed) %d (.*)$`, id), within)
		if m[1] == "failed" {
			return fmt.Errorf("in the page: %s", m[2])
		}
		if v == nil {
			return nil
		}
		return json.Unmarshal([]byte(m[2]), v)
	}
}

// run is begin to its end; it must succeed.
func (p *page) run(code string, v any) {
	p.t.Helper()
	if err := p.begin(code)(time.Minute, v); err != nil {
		p.t.Fatalf("%v\n%s", err, strings.TrimSpace(code))
	}
}
