package alerts

import (
	"context"
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const item = "aaaaaaaaaaaaaaaaaaaa"

// address sets the addresses that mail goes to.
func address[T ~string](field *[]T, list ...string) {
	*field = nil
	for _, to := range list {
		*field = append(*field, T(to))
	}
}

// hook is a webhook that keeps what it gets.
type hook struct {
	*httptest.Server
	status atomic.Int32

	mu     sync.Mutex
	bodies [][]byte
	signs  []string
}

func newHook(t *testing.T) *hook {
	t.Helper()
	h := &hook{}
	h.status.Store(200)
	h.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		h.mu.Lock()
		h.bodies, h.signs = append(h.bodies, body), append(h.signs, r.Header.Get(HeaderSignature))
		h.mu.Unlock()
		w.Header().Set("Location", "/elsewhere")
		w.WriteHeader(int(h.status.Load()))
	}))
	t.Cleanup(h.Close)
	return h
}

func (h *hook) alerts(t *testing.T) (list []api.Alert) {
	t.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, body := range h.bodies {
		var a api.Alert
		if err := json.Unmarshal(body, &a); err != nil {
			t.Fatal(err)
		}
		list = append(list, a)
	}
	return list
}

// server is Alerts on records, with a clock that a test moves.
type server struct {
	*Alerts
	at    atomic.Int64
	items []Item
}

func newServer(t *testing.T, records access.Records, m Mail, s *sink) *server {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	v := &server{}
	v.at.Store(time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC).UnixMilli())
	cfg := Config{
		Records: records, Server: id, Name: "Büro", Mail: m,
		Now:   func() time.Time { return time.UnixMilli(v.at.Load()) },
		Items: func(context.Context) ([]Item, error) { return v.items, nil },
	}
	if s != nil {
		cfg.Roots = s.roots
	}
	v.Alerts = New(cfg)
	return v
}

func (v *server) advance(d time.Duration) { v.at.Add(d.Milliseconds()) }

// round does what Serve does at each turn.
func (v *server) round(t *testing.T) {
	t.Helper()
	if err := v.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := v.sendDue(t.Context()); err != nil {
		t.Fatal(err)
	}
}

func (v *server) set(t *testing.T, s api.AlertSettings) {
	t.Helper()
	if err := v.Set(t.Context(), s); err != nil {
		t.Fatal(err)
	}
}

func (v *server) last(t *testing.T) []api.Alert {
	t.Helper()
	state, err := v.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return state.Last
}

// Each threshold of each period comes once, also with two servers that look at once.
func TestThresholdsFireOnce(t *testing.T) {
	records, h := accesstest.NewRecords(), newHook(t)
	a, b := newServer(t, records, Mail{}, nil), newServer(t, records, Mail{}, nil)
	a.set(t, api.AlertSettings{Thresholds: []int{100, 80}, ExpiryDays: []int{}, Webhooks: []string{h.URL}})
	look := func(i Item) {
		a.items, b.items = []Item{i}, []Item{i}
		var wg sync.WaitGroup
		for range 3 {
			wg.Go(func() { a.round(t) })
			wg.Go(func() { b.round(t) })
		}
		wg.Wait()
	}
	want := []string{}
	for _, step := range []struct {
		used   int64
		period string
		fires  []string
	}{
		{79, "2026-11", nil},
		{80, "2026-11", []string{"80"}},
		{99, "2026-11", nil},
		{100, "2026-11", []string{"100"}},
		{120, "2026-11", nil},
		{10, "2026-11", nil},
		{100, "2026-11", nil},
		{0, "2026-12", nil},
		{85, "2026-12", []string{"80"}},
	} {
		look(Item{ID: item, Revision: 1, Organisation: "ORG", Used: step.used, Quantity: 100, Counted: "pages", Period: step.period})
		want = append(want, step.fires...)
		var got []string
		for _, alert := range h.alerts(t) {
			got = append(got, fmt.Sprint(alert.Percent))
			if alert.Type != api.AlertTypeUsage || alert.Item != item || alert.Organisation != "ORG" || !strings.Contains(alert.Text, item) {
				t.Errorf("alert %+v", alert)
			}
		}
		if strings.Join(got, " ") != strings.Join(want, " ") {
			t.Fatalf("after %d in %s: %v were sent, want %v", step.used, step.period, got, want)
		}
	}
	if last := a.last(t); len(last) != 3 || len(last[0].Sent) != 1 || !last[0].Sent[0].Ok {
		t.Errorf("history = %+v", last)
	}
}

func TestExpiryFiresOnce(t *testing.T) {
	h := newHook(t)
	v := newServer(t, accesstest.NewRecords(), Mail{}, nil)
	v.set(t, api.AlertSettings{Thresholds: []int{}, ExpiryDays: []int{0, 1, 7, 30}, Webhooks: []string{h.URL}})
	v.items = []Item{{ID: item, Revision: 1, Expires: time.UnixMilli(v.at.Load()).Add(10 * 24 * time.Hour)}}
	var got []int
	for range 12 * 4 {
		v.round(t)
		v.advance(6 * time.Hour)
	}
	for _, alert := range h.alerts(t) {
		got = append(got, alert.Days)
	}
	if fmt.Sprint(got) != "[30 7 1 0]" {
		t.Errorf("days %v were told, want 30, 7, 1, 0", got)
	}
	// What is over already when it is added comes once and not four times.
	v.items = []Item{{ID: "b" + item[1:], Revision: 1, Expires: time.UnixMilli(v.at.Load()).Add(-time.Hour)}}
	v.round(t)
	if all := h.alerts(t); len(all) != 5 || all[4].Days != 0 || !strings.Contains(all[4].Text, "ended") {
		t.Errorf("%d alerts, the last %+v, want a fifth for day 0", len(all), all[len(all)-1])
	}
	if last := v.last(t); len(last) != 5 {
		t.Errorf("the history shows %d, want 5", len(last))
	}
}

func TestWebhookSignature(t *testing.T) {
	h := newHook(t)
	v := newServer(t, accesstest.NewRecords(), Mail{}, nil)
	v.set(t, api.AlertSettings{Thresholds: []int{}, ExpiryDays: []int{}, Webhooks: []string{h.URL}})
	if test, err := v.Test(t.Context()); err != nil || len(test.Sent) != 1 || !test.Sent[0].Ok {
		t.Fatalf("Test = %+v, %v", test, err)
	}
	state, err := v.State(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	key, err := base64.RawURLEncoding.DecodeString(state.WebhookKey)
	if err != nil {
		t.Fatal(err)
	}
	at, signature, _ := strings.Cut(strings.TrimPrefix(h.signs[0], "t="), ",ed25519=")
	raw, err := base64.RawURLEncoding.DecodeString(signature)
	if err != nil || !ed25519.Verify(key, append([]byte(at+"."), h.bodies[0]...), raw) {
		t.Errorf("%s = %q does not verify", HeaderSignature, h.signs[0])
	}
	if at != fmt.Sprint(v.at.Load()/1000) {
		t.Errorf("it is signed at %s, want %d", at, v.at.Load()/1000)
	}
}

// A webhook that fails is tried again for about a day, also by a server that was started
// since, then given up. No redirect is followed.
func TestRetries(t *testing.T) {
	records, h := accesstest.NewRecords(), newHook(t)
	v := newServer(t, records, Mail{}, nil)
	v.set(t, api.AlertSettings{Thresholds: []int{50}, ExpiryDays: []int{}, Webhooks: []string{h.URL}})
	v.items = []Item{{ID: item, Revision: 1, Used: 1, Quantity: 1}}
	h.status.Store(http.StatusFound)
	v.round(t)
	v.round(t)
	if n := len(h.alerts(t)); n != 1 {
		t.Fatalf("%d attempts at once, want 1", n)
	}
	if sent := v.last(t)[0].Sent[0]; sent.Ok || !strings.Contains(sent.Fault, "302") {
		t.Errorf("sent = %+v, want why not", sent)
	}
	again := newServer(t, records, Mail{}, nil)
	again.advance(backOff[0])
	h.status.Store(200)
	again.round(t)
	if all := h.alerts(t); len(all) != 2 || all[0].Id != all[1].Id {
		t.Fatalf("%d attempts after a start, want 2 with one ID", len(all))
	}
	if sent := again.last(t)[0].Sent[0]; !sent.Ok || sent.Fault != "" {
		t.Errorf("sent = %+v, want ok", sent)
	}

	h.status.Store(500)
	again.items = []Item{{ID: item, Revision: 2, Used: 1, Quantity: 1}}
	for range 100 {
		again.round(t)
		again.advance(30 * time.Minute)
	}
	if n := len(h.alerts(t)) - 2; n != len(backOff)+1 {
		t.Errorf("%d attempts, want %d", n, len(backOff)+1)
	}
}

// A server that ends while it sends leaves the message to another one.
func TestEndsWhileSending(t *testing.T) {
	records, h := accesstest.NewRecords(), newHook(t)
	v := newServer(t, records, Mail{}, nil)
	v.set(t, api.AlertSettings{Thresholds: []int{50}, ExpiryDays: []int{}, Webhooks: []string{h.URL}})
	v.items = []Item{{ID: item, Revision: 1, Used: 1, Quantity: 1}}
	if err := v.Check(t.Context()); err != nil {
		t.Fatal(err)
	}
	// Taken, and nothing written down behind it.
	events, err := v.events(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	err = v.change(t.Context(), events[0].name, func(e *event) bool {
		e.Messages[0].Tries, e.Messages[0].Next = 1, scan.At(v.cfg.Now().Add(claim))
		return true
	})
	if err != nil {
		t.Fatal(err)
	}
	v.round(t)
	if n := len(h.alerts(t)); n != 0 {
		t.Fatalf("%d were sent of what another server has taken", n)
	}
	v.advance(claim)
	v.round(t)
	if n := len(h.alerts(t)); n != 1 {
		t.Errorf("%d were sent, want 1", n)
	}
}

func TestServeSendsAndEnds(t *testing.T) {
	h := newHook(t)
	v := newServer(t, accesstest.NewRecords(), Mail{}, nil)
	v.set(t, api.AlertSettings{Thresholds: []int{50}, ExpiryDays: []int{}, Webhooks: []string{h.URL}})
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- v.Serve(ctx) }()
	v.tell(t, "x", api.Alert{Type: api.AlertTypeUsage, Text: "Half is used."})
	for v.pending(t) {
		v.kick()
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Serve = %v", err)
	}
	if n := len(h.alerts(t)); n != 1 {
		t.Errorf("%d were sent, want 1", n)
	}
}

// A standby sends nothing until it stands in, then also that the main server is away for long,
// once; its mail waits for the main server if it has none itself.
func TestStandsIn(t *testing.T) {
	h := newHook(t)
	v := newServer(t, accesstest.NewRecords(), Mail{}, nil)
	since := time.Time{}
	v.cfg.Away = func() (string, time.Time) { return "lts.example:18643", since }
	settings := api.AlertSettings{Thresholds: []int{50}, ExpiryDays: []int{}, Webhooks: []string{h.URL}}
	address(&settings.Mail, "admin@example.com")
	v.set(t, settings)
	v.items = []Item{{ID: item, Revision: 1, Organisation: "ORG", Used: 1, Quantity: 10}}
	if !v.idle() {
		t.Error("a standby whose main server is there watches")
	}
	since = v.cfg.Now()
	for _, want := range []int{0, 1, 1} {
		if v.idle() {
			t.Error("a standby that stands in does not watch")
		}
		v.look(t.Context())
		if n := len(h.alerts(t)); n != want {
			t.Errorf("%d were sent %v after the main server was heard of last, want %d", n, v.cfg.Now().Sub(since), want)
		}
		v.advance(longAway)
	}
	last := v.last(t)
	if len(last) != 1 || last[0].Type != api.AlertTypeAway || !strings.Contains(last[0].Text, "lts.example:18643") {
		t.Fatalf("alerts = %+v, want one of a server that is away", last)
	}
	if mail := last[0].Sent[0]; mail.Ok || mail.Fault != "It was not sent yet." {
		t.Errorf("mail without a server: %+v, want it to wait", mail)
	}
	v.items[0].Used = 5
	v.look(t.Context())
	if n := len(h.alerts(t)); n != 2 {
		t.Errorf("%d were sent, want that half is used too", n)
	}
}

// tell raises an alert by its name.
func (v *server) tell(t *testing.T, name string, alert api.Alert) {
	t.Helper()
	s, err := v.Settings(t.Context())
	if err == nil {
		err = v.raise(t.Context(), name, alert, s)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func (v *server) pending(t *testing.T) bool {
	last := v.last(t)
	return len(last) == 0 || !last[0].Sent[0].Ok
}

func TestHistoryIsBounded(t *testing.T) {
	v := newServer(t, accesstest.NewRecords(), Mail{}, nil)
	for i := range shown + 20 {
		v.advance(time.Second)
		v.tell(t, fmt.Sprint("x.", i), api.Alert{Type: api.AlertTypeUsage, Text: fmt.Sprint(i)})
	}
	v.round(t)
	last := v.last(t)
	if events, err := v.events(t.Context()); err != nil || len(events) != shown {
		t.Errorf("%d events are kept, %v, want %d", len(events), err, shown)
	}
	if len(last) != shown || last[0].Text != fmt.Sprint(shown+19) {
		t.Errorf("history = %d, the newest %q", len(last), last[0].Text)
	}
	// What was put away does not come up again.
	v.tell(t, "x.0", api.Alert{Text: "again"})
	if got := v.last(t)[0].Text; got == "again" {
		t.Error("an alert came up twice")
	}
}

// Several ways do not wait for each other, and one that fails says why.
func TestEveryWay(t *testing.T) {
	s, h := newSink(t, Starttls), newHook(t)
	s.refuse = "gone@"
	nobody, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody.Close()
	v := newServer(t, accesstest.NewRecords(), Mail{Server: s.addr, From: "platen@example.com"}, s)
	settings := api.AlertSettings{Thresholds: []int{}, ExpiryDays: []int{}, Webhooks: []string{h.URL, "http://" + nobody.Addr().String() + "/secret"}}
	address(&settings.Mail, "admin@example.com", "gone@example.com")
	v.set(t, settings)
	test, err := v.Test(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []struct {
		ok    bool
		fault string
	}{{true, ""}, {false, "nobody here"}, {true, ""}, {false, "refused"}} {
		if got := test.Sent[i]; got.Ok != want.ok || !strings.Contains(got.Fault, want.fault) || strings.Contains(got.Fault, "secret") {
			t.Errorf("sent[%d] = %+v, want %+v", i, got, want)
		}
	}
	if last := v.last(t); len(last) != 1 || last[0].Type != api.AlertTypeTest || len(last[0].Sent) != 4 {
		t.Errorf("history = %+v", last)
	}
}

func TestSetRefuses(t *testing.T) {
	v := newServer(t, accesstest.NewRecords(), Mail{}, nil)
	good := func() api.AlertSettings { return api.AlertSettings{Thresholds: []int{80}, ExpiryDays: []int{7}} }
	for name, change := range map[string]func(*api.AlertSettings){
		"threshold of 0":      func(s *api.AlertSettings) { s.Thresholds = []int{0} },
		"threshold twice":     func(s *api.AlertSettings) { s.Thresholds = []int{80, 80} },
		"too many":            func(s *api.AlertSettings) { s.Thresholds = []int{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11} },
		"a day too far":       func(s *api.AlertSettings) { s.ExpiryDays = []int{366} },
		"no address":          func(s *api.AlertSettings) { address(&s.Mail, "admin") },
		"a name":              func(s *api.AlertSettings) { address(&s.Mail, "Admin <admin@example.com>") },
		"two addresses":       func(s *api.AlertSettings) { address(&s.Mail, "a@example.com, b@example.com") },
		"a header in address": func(s *api.AlertSettings) { address(&s.Mail, "a@example.com\r\nBcc: b@example.com") },
		"many addresses":      func(s *api.AlertSettings) { address(&s.Mail, make([]string, 21)...) },
		"file":                func(s *api.AlertSettings) { s.Webhooks = []string{"file:///etc/passwd"} },
		"gopher":              func(s *api.AlertSettings) { s.Webhooks = []string{"gopher://example.com/"} },
		"no host":             func(s *api.AlertSettings) { s.Webhooks = []string{"https:///x"} },
		"a password":          func(s *api.AlertSettings) { s.Webhooks = []string{"https://a:b@example.com/"} },
		"a relative one":      func(s *api.AlertSettings) { s.Webhooks = []string{"/hook"} },
		"a long one": func(s *api.AlertSettings) {
			s.Webhooks = []string{"https://example.com/" + strings.Repeat("x", maxURL)}
		},
	} {
		s := good()
		change(&s)
		if err := v.Set(t.Context(), s); !errors.Is(err, problem.SettingInvalid.Error()) {
			t.Errorf("%s: Set = %v, want SettingInvalid", name, err)
		}
	}
	v.set(t, good())
	if s, err := v.Settings(t.Context()); err != nil || len(s.Thresholds) != 1 || s.Thresholds[0] != 80 {
		t.Errorf("Settings = %+v, %v", s, err)
	}
}
