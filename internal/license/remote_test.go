package license

import (
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// far is a server that answers as it is told.
type far struct {
	err    error // of the connection
	status int
	body   string
	asked  int
}

func (f *far) RoundTrip(r *http.Request) (*http.Response, error) {
	f.asked++
	if f.err != nil {
		return nil, f.err
	}
	return &http.Response{
		StatusCode: f.status, Status: http.StatusText(f.status), Request: r,
		Header: http.Header{"Content-Type": {"application/json"}}, Body: io.NopCloser(strings.NewReader(f.body)),
	}, nil
}

func newRemote(t *testing.T, servers ...*far) *Remote {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	var list []Address
	by := map[string]*far{}
	for i, s := range servers {
		name := string(rune('a'+i)) + ".example:1"
		list = append(list, Address{name, name})
		by[name] = s
	}
	r, err := NewRemote(RemoteConfig{Servers: list, Identity: id, Client: func(a Address) (*http.Client, error) {
		return &http.Client{Transport: by[a.Pin]}, nil
	}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRemote(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		good := `{"key":"k"}`
		main, standby := &far{status: 200, body: good}, &far{status: 200, body: good}
		r := newRemote(t, main, standby)
		lease := func() error {
			t.Helper()
			_, err := r.Lease(t.Context(), Place{}, api.LeaseRequest{})
			return err
		}
		check := func(what string, err error, want problem.Code, pin string, askedMain, askedStandby int) {
			t.Helper()
			if want == "" && err != nil || want != "" && !errors.Is(err, want.Error()) {
				t.Errorf("%s: %v, want %q", what, err, want)
			}
			if r.Pin() != pin || main.asked != askedMain || standby.asked != askedStandby {
				t.Errorf("%s: %s answered last after %d and %d questions, want %s, %d, %d", what, r.Pin(), main.asked, standby.asked, pin, askedMain, askedStandby)
			}
			main.asked, standby.asked = 0, 0
		}
		const a, b = "a.example:1", "b.example:1"
		check("the main server is there", lease(), "", a, 1, 0)
		main.err = errors.New("connection refused to 10.0.0.1")
		check("it is away", lease(), "", b, 1, 1)
		check("and is left alone", lease(), "", b, 0, 1)
		time.Sleep(remoteReturn)
		check("for a while", lease(), "", b, 1, 1)
		time.Sleep(remoteReturn)
		main.err = nil
		check("it is back", lease(), "", a, 1, 0)

		refusal := `{"type":"x","title":"x","status":403,"code":"license-seats-taken","detail":"It has 3.","next":"x","retryable":true}`
		main.status, main.body = 403, refusal
		check("it refuses", lease(), problem.LicenseSeats, a, 1, 0)
		main.err = errors.New("connection refused to 10.0.0.1")
		standby.status, standby.body = 503, `{"type":"x","title":"x","status":503,"code":"tracking-offline","detail":"No.","next":"x","retryable":true}`
		err := lease()
		check("the standby does not stand in", err, problem.TrackingOffline, a, 1, 1)
		if text := problem.From(err).Detail; !strings.Contains(text, a) || !strings.Contains(text, b) || strings.Contains(text, "10.0.0.1") {
			t.Errorf("detail %q", text)
		}
		main.err, main.status, main.body = nil, 502, "<html>"
		check("something else answers", lease(), problem.TrackingOffline, a, 1, 1)
		main.status, main.body = 200, strings.Repeat(" ", 5<<20)+good
		check("an answer without end", lease(), problem.TrackingOffline, a, 1, 1)
	})
}

func TestRoutedAsksWhoCounts(t *testing.T) {
	vendor, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	const here = "pin-of-this-end"
	key := func(pin string) string {
		text, err := Issue(vendor, Key{ID: NewID(), Revision: 1, Kind: Page, Organisation: "ACME", Quantity: 1, Gateways: []string{pin}, NotBefore: time.Now(), Expires: time.Now().Add(time.Hour)})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	own, away := &far{status: 200, body: `{"key":"own"}`}, &far{status: 200, body: `{"key":"away"}`}
	there := newRemote(t, away)
	joined := true
	r := &Routed{
		Own: newRemote(t, own), Place: func() Place { return Place{Pin: here} }, Vendors: func() []string { return []string{vendor.Pin()} },
		Away: func() Tracking {
			if joined {
				return there
			}
			return nil
		},
	}
	for _, tt := range []struct {
		name   string
		wish   api.LeaseRequest
		joined bool
		want   string
	}{
		{"a handshake code", api.LeaseRequest{HandshakeCode: "A-B"}, true, "away"},
		{"a key of another end", api.LeaseRequest{Key: key("other")}, true, "away"},
		{"a key of this end", api.LeaseRequest{Key: key(here)}, true, "own"},
		{"a damaged key", api.LeaseRequest{Key: "x"}, true, "away"},
		{"nobody else", api.LeaseRequest{HandshakeCode: "A-B"}, false, "own"},
	} {
		joined = tt.joined
		if answer, err := r.Lease(t.Context(), Place{}, tt.wish); err != nil || answer.Key != tt.want {
			t.Errorf("%s: %q, %v, want %q", tt.name, answer.Key, err, tt.want)
		}
	}
}
