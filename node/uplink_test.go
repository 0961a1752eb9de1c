package node

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

// office is a gateway in memory, with a node that has joined it.
type office struct {
	*rig
	gateway *identity.Identity
	gate    *memlink.Gateway
	links   chan relay.Link
	scanner string
}

func newOffice(t *testing.T, script func(*fakeBatch) error) *office {
	t.Helper()
	return newOfficeWith(t, script, func(*Config) {})
}

func newOfficeWith(t *testing.T, script func(*fakeBatch) error, change func(*Config)) *office {
	t.Helper()
	d := newFakeDevice("one")
	d.scan = script
	id, err := identity.New()
	need(t, err)
	o := &office{rig: newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}}), gateway: id, links: make(chan relay.Link, 8)}
	o.gate = &memlink.Gateway{Key: id.Public(), OnLink: func(l relay.Link) { o.links <- l }}
	need(t, (&joined{Addresses: []string{"gateway.example:18603"}, Pin: id.Pin()}).write(o.dir))
	o.config = func(c *Config) { c.Dialers = []relay.Dialer{o.gate.Dialer()}; change(c) }
	o.start().found()
	o.scanner = d.id(o.node.id)
	return o
}

// send asks the node over a link, as somebody or, with role "", as the gateway itself.
func (o *office) send(ctx context.Context, l relay.Link, role api.Role, method, path, body string, header ...string) *http.Response {
	o.t.Helper()
	r, err := http.NewRequestWithContext(ctx, method, "https://"+relay.Host+path, strings.NewReader(body))
	need(o.t, err)
	if body == "" {
		r.Body, r.ContentLength = http.NoBody, 0
	} else {
		r.Header.Set("Content-Type", "application/json")
	}
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	if role != "" {
		(&accesstest.Gateway{Identity: o.gateway, Node: o.node.id}).As(o.t, r, role)
	}
	answer, err := l.RoundTrip(r)
	need(o.t, err)
	return answer
}

func (o *office) hello(l relay.Link, change func(*api.LinkHello)) *http.Response {
	o.t.Helper()
	h := api.LinkHello{Api: apiVersion, Link: linkVersion, Gateway: "Office", Time: access.TimeToken(o.gateway, o.node.id, time.Now())}
	if change != nil {
		change(&h)
	}
	body, err := json.Marshal(h)
	need(o.t, err)
	return o.send(context.Background(), l, "", http.MethodPost, "/api/v1/link/hello", string(body))
}

func jsonOf[T any](t testing.TB, answer *http.Response, status int) T {
	t.Helper()
	defer answer.Body.Close()
	b, err := io.ReadAll(answer.Body)
	need(t, err)
	var v T
	if answer.StatusCode != status {
		t.Fatalf("status %d, want %d: %s", answer.StatusCode, status, b)
	}
	need(t, json.Unmarshal(b, &v))
	return v
}

func problemOfAnswer(t testing.TB, answer *http.Response) problem.Code {
	t.Helper()
	defer answer.Body.Close()
	var e problem.Error
	need(t, json.NewDecoder(answer.Body).Decode(&e))
	return e.Code
}

func TestHello(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		defer o.stop()
		l := <-o.links
		user := func() *http.Response {
			return o.send(t.Context(), l, api.RoleUser, http.MethodGet, "/api/v1/scanners", "")
		}
		if code := problemOfAnswer(t, user()); code != problem.GrantInvalid {
			t.Errorf("grant before the hello: %s, want grant-invalid", code)
		}
		for name, c := range map[string]struct {
			change func(*api.LinkHello)
			want   problem.Code
		}{
			"newer API":      {func(h *api.LinkHello) { h.Api = "2" }, problem.VersionNotSpoken},
			"newer link":     {func(h *api.LinkHello) { h.Link = 2 }, problem.VersionNotSpoken},
			"no time":        {func(h *api.LinkHello) { h.Time = "" }, problem.GrantInvalid},
			"another's time": {func(h *api.LinkHello) { h.Time = access.TimeToken(o.self, o.node.id, time.Now()) }, problem.GrantInvalid},
			"time of another node": {func(h *api.LinkHello) { h.Time = access.TimeToken(o.gateway, scan.RandomText(28), time.Now()) },
				problem.GrantInvalid},
		} {
			if code := problemOfAnswer(t, o.hello(l, c.change)); code != c.want {
				t.Errorf("%s: %s, want %s", name, code, c.want)
			}
		}
		welcome := jsonOf[api.LinkWelcome](t, o.hello(l, nil), http.StatusOK)
		if welcome.Api != apiVersion || welcome.Link != linkVersion || welcome.Name != "Reception" || welcome.Version != "1.2.3" {
			t.Errorf("welcome = %+v", welcome)
		}
		if list := jsonOf[api.ScannerList](t, user(), http.StatusOK); len(list.Items) != 1 {
			t.Errorf("scanners over the link: %+v", list)
		}
		if s := get[api.Service](o.rig, "/api/v1/service"); s.Gateway != "gateway.example:18603" || !s.GatewayConnected {
			t.Errorf("service = %+v, want the gateway, connected", s)
		}
		if address, connected := o.node.Gateway(); address != "gateway.example:18603" || !connected {
			t.Errorf("Gateway() = %q, %v", address, connected)
		}
		l.Close("")
		synctest.Wait()
		if s := get[api.Service](o.rig, "/api/v1/service"); s.GatewayConnected {
			t.Error("service says connected without a link")
		}
		l = <-o.links // it comes back by itself
		jsonOf[api.LinkWelcome](t, o.hello(l, nil), http.StatusOK)
	})
}

// TestScanOverLink has a user of the gateway scan and fetch.
func TestScanOverLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, then(1, nil))
		defer o.stop()
		l := <-o.links
		jsonOf[api.LinkWelcome](t, o.hello(l, nil), http.StatusOK)
		j := jsonOf[scan.Job](t, o.send(t.Context(), l, api.RoleUser, http.MethodPost, "/api/v1/scanners/"+o.scanner+"/jobs",
			request(scan.SourceADF, 0), "Idempotency-Key", newKey()), http.StatusCreated)
		synctest.Wait()
		answer := o.send(t.Context(), l, api.RoleUser, http.MethodGet, "/api/v1/jobs/"+j.ID+"/pages/1", "")
		b, err := io.ReadAll(answer.Body)
		need(t, err)
		if !bytes.Equal(b, testJPEG(1)) {
			t.Errorf("%d bytes came over the link, want %d", len(b), len(testJPEG(1)))
		}
		// Who comes by the gateway is not the machine's own user, and the other way round.
		if local := o.job(j.ID); local.State != scan.JobCompleted {
			t.Errorf("the machine's administrator sees %s", local.State)
		}
		mine := o.submit(o.scanner, request(scan.SourceADF, 0))
		if code := problemOfAnswer(t, o.send(t.Context(), l, api.RoleUser, http.MethodGet, "/api/v1/jobs/"+mine.ID, "")); code != problem.NotFound {
			t.Errorf("a gateway's user asking for a local job: %s, want not-found", code)
		}
	})
}

func TestLinkEvents(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, func(b *fakeBatch) error { time.Sleep(time.Minute); return b.pages(1) })
		defer o.stop()
		l := <-o.links
		jsonOf[api.LinkWelcome](t, o.hello(l, nil), http.StatusOK)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		answer := o.send(ctx, l, "", http.MethodGet, "/api/v1/link/events", "")
		lines := bufio.NewReader(answer.Body)
		next := func() string {
			t.Helper()
			line, err := lines.ReadString('\n')
			need(t, err)
			return line
		}
		event := func() scan.Event {
			t.Helper()
			for {
				if line := next(); strings.TrimSpace(line) != "" {
					var e scan.Event
					need(t, json.Unmarshal([]byte(line), &e))
					return e
				}
			}
		}
		var e scan.Event
		need(t, json.Unmarshal([]byte(next()), &e))
		if e.Type != scan.EventDeviceState || e.Scanner.ID != o.scanner {
			t.Errorf("first line = %+v, want the scanner", e)
		}
		for i := range 5 {
			began := time.Now()
			if line := next(); len(line) < 65 || strings.TrimSpace(line) != "" {
				t.Errorf("line %q, want a heartbeat of at least 64 blanks", line)
			}
			if took := time.Since(began); i > 0 && took != beatEvery {
				t.Errorf("heartbeat after %v, want %v", took, beatEvery)
			}
		}
		o.submit(o.scanner, request(scan.SourceADF, 0))
		for e = event(); e.Scanner.Status.State != scan.ScannerProcessing; e = event() {
		}
		if e.Type != scan.EventDeviceState || e.Scanner.Status.Job != "" {
			t.Errorf("event = %+v, want device-state without the job", e)
		}
	})
}

func TestDrain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		defer o.stop()
		first := <-o.links
		jsonOf[api.LinkWelcome](t, o.hello(first, nil), http.StatusOK)
		events := o.send(t.Context(), first, "", http.MethodGet, "/api/v1/link/events", "")
		began := time.Now()
		answer := o.send(t.Context(), first, "", http.MethodPost, "/api/v1/link/drain", `{"afterMs":3000}`)
		if answer.StatusCode != http.StatusAccepted {
			t.Fatalf("drain: status %d", answer.StatusCode)
		}
		answer.Body.Close()
		second := <-o.links
		if took := time.Since(began); took < 3*time.Second || took > 4*time.Second {
			t.Errorf("the next link came after %v, want 3 s", took)
		}
		jsonOf[api.LinkWelcome](t, o.hello(second, nil), http.StatusOK)
		if _, err := io.Copy(io.Discard, events.Body); err != nil {
			t.Errorf("the events over the old link ended with %v, want a good end", err)
		}
		<-first.Done()
		if code := problemOfAnswer(t, o.send(t.Context(), second, "", http.MethodPost, "/api/v1/link/drain", `{"afterMs":-1}`)); code != problem.BadRequest {
			t.Errorf("drain into the past: %s, want bad-request", code)
		}
	})
}

func TestJoinRefusals(t *testing.T) {
	g := newRig(t, &fakeWorkers{}).start()
	if err := g.node.Join(t.Context(), "platen-join.nonsense"); !errors.Is(err, problem.JoinTokenInvalid.Error()) {
		t.Errorf("Join with nonsense = %v, want join-token-invalid", err)
	}
	if address, connected := g.node.Gateway(); connected || address != "" {
		t.Error("a refused token is remembered")
	}
}

// stuckWriter is a link that takes nothing.
type stuckWriter struct {
	http.ResponseWriter
	release chan struct{}
}

func (w stuckWriter) Write([]byte) (int, error) { <-w.release; return 0, io.ErrClosedPipe }

// TestSuspectLink has the node look for another way when the gateway takes no heartbeat.
func TestSuspectLink(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFakeDevice("one")
		id, err := identity.New()
		need(t, err)
		g := newRig(t, &fakeWorkers{devices: map[string]*fakeDevice{"one": d}})
		kinds := make(chan relay.Kind, 8)
		gate := func(k relay.Kind) relay.Dialer {
			return (&memlink.Gateway{Key: id.Public(), Kind: k, OnLink: func(l relay.Link) { kinds <- l.Kind() }}).Dialer()
		}
		need(t, (&joined{Addresses: []string{"gateway.example:18603"}, Pin: id.Pin()}).write(g.dir))
		g.config = func(c *Config) { c.Dialers = []relay.Dialer{gate(relay.KindQUIC), gate(relay.KindTCP)} }
		g.start()
		defer g.stop()
		if k := <-kinds; k != relay.KindQUIC {
			t.Fatalf("first link is %s, want %s", k, relay.KindQUIC)
		}
		stuck := stuckWriter{release: make(chan struct{})}
		s := &linkStream{w: stuck, control: http.NewResponseController(stuck)}
		s.buf.Write(beat)
		began := time.Now()
		sent := make(chan error)
		go func() { sent <- g.node.uplink.send(s) }()
		if k := <-kinds; k != relay.KindTCP {
			t.Errorf("next link is %s, want %s", k, relay.KindTCP)
		}
		if took := time.Since(began); took < beatStall || took > beatStall+time.Second {
			t.Errorf("the next link came after %v, want %v", took, beatStall)
		}
		close(stuck.release)
		if err := <-sent; err == nil {
			t.Error("send of nothing succeeded")
		}
	})
}
