package node

import (
	"encoding/json"
	"errors"
	"net/http"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/memlink"
)

func TestRotateAlone(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, &fakeWorkers{})
	self, err := identity.Load(dir)
	need(t, err)
	r.self = self
	r.start()
	id, pin := self.NodeID(), self.Pin()
	before := get[api.Rotation](r, "/api/v1/identity/rotation")
	if before.Pin != pin || before.Next != "" {
		t.Errorf("before: %+v, want pin %s alone", before, pin)
	}
	var after api.Rotation
	need(t, json.Unmarshal(r.ask(http.MethodPost, "/api/v1/identity/rotation", "").Body.Bytes(), &after))
	if after.Pin == pin || after.Pin != self.Pin() || after.Next != "" || self.NodeID() != id {
		t.Errorf("after: %+v, node %s, want another key of node %s", after, self.NodeID(), id)
	}
	if again, err := identity.Load(dir); err != nil || again.Pin() != after.Pin || again.NodeID() != id {
		t.Errorf("the next start: %+v, %v", again, err)
	}
	if got := r.ask(http.MethodDelete, "/api/v1/identity/rotation", ""); got.Code != http.StatusNoContent {
		t.Errorf("dropping nothing: status %d", got.Code)
	}
}

// gatewayOfKeys takes nodes' rotations, or refuses them.
type gatewayOfKeys struct {
	id    *identity.Identity
	took  chan identity.Rotation
	links chan relay.Link
	say   func(http.ResponseWriter)
}

func newGatewayOfKeys(t *testing.T, r *rig) *gatewayOfKeys {
	t.Helper()
	id, err := identity.New()
	need(t, err)
	g := &gatewayOfKeys{id: id, took: make(chan identity.Rotation, 8), links: make(chan relay.Link, 8),
		say: func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }}
	address := gatewayPort(t, id, func(w http.ResponseWriter, r *http.Request) {
		var body api.KeyRotation
		if err := json.NewDecoder(r.Body).Decode(&body); err != nil {
			t.Error(err)
		}
		rotation, err := identity.ParseRotation(body.Rotation)
		if err != nil || !rotation.Old.Equal(relay.PeerKeyOf(r.Context())) {
			t.Errorf("%s %s with %+v, %v; want a rotation of the key that asks", r.Method, r.URL.Path, rotation, err)
		}
		g.took <- rotation
		g.say(w)
	})
	gate := &memlink.Gateway{Key: id.Public(), OnLink: func(l relay.Link) { g.links <- l }}
	need(t, (&joined{Addresses: []string{address}, Pin: id.Pin()}).write(r.dir))
	r.config = func(c *Config) { c.Dialers = []relay.Dialer{gate.Dialer()} }
	return g
}

func TestRotateJoined(t *testing.T) {
	r := newRig(t, &fakeWorkers{})
	gateway := newGatewayOfKeys(t, r)
	r.start()
	first := <-gateway.links
	id := r.self.NodeID()
	need(t, r.node.Rotate(t.Context()))
	rotation := <-gateway.took
	if rotation.Node != id || !rotation.New.Equal(r.self.Public()) || r.self.NodeID() != id {
		t.Errorf("the gateway took %+v, the node has %s", rotation, r.self.Pin())
	}
	second := <-gateway.links
	if !second.Peer().Equal(rotation.New) || !first.Peer().Equal(rotation.Old) {
		t.Error("the next link does not prove the new key")
	}
	<-first.Done()
}

// A change that the gateway did not take, or whose answer was lost, leaves a working
// node and can be tried again with the same next key.
func TestRotateCutShort(t *testing.T) {
	dir := t.TempDir()
	r := newRig(t, &fakeWorkers{})
	self, err := identity.Load(dir)
	need(t, err)
	r.self = self
	gateway := newGatewayOfKeys(t, r)
	r.start()
	<-gateway.links
	pin := self.Pin()
	gateway.say = func(w http.ResponseWriter) { problem.Write(w, problem.NodeQuarantined.Error()) }
	if err := r.node.Rotate(t.Context()); !errors.Is(err, problem.NodeQuarantined.Error()) {
		t.Errorf("Rotate = %v, want node-quarantined", err)
	}
	gateway.say = func(http.ResponseWriter) { panic(http.ErrAbortHandler) } // taken, and killed before the answer
	if err := r.node.Rotate(t.Context()); !errors.Is(err, problem.Unavailable.Error()) {
		t.Errorf("Rotate without an answer = %v, want unavailable", err)
	}
	if self.Pin() != pin {
		t.Error("the key changed although the gateway has not said that it takes it")
	}
	r.stop()
	if r.self, err = identity.Load(dir); err != nil || r.self.Pin() != pin {
		t.Fatalf("after a restart the key is %v, %v, want %s", r.self, err, pin)
	}
	gateway.say = func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }
	r.start()
	<-gateway.links
	need(t, r.node.Rotate(t.Context()))
	one := <-gateway.took
	for range 2 {
		if more := <-gateway.took; !more.New.Equal(one.New) {
			t.Error("a second try came with another key: the gateway admits only one")
		}
	}
	if !r.self.Public().Equal(one.New) {
		t.Error("the node has another key than the gateway took")
	}
}

// number is a hello's change: the number of the link.
func (o *office) number(n int64) func(*api.LinkHello) {
	return func(h *api.LinkHello) { h.Sequence = access.SequenceToken(o.gateway, o.node.id, n) }
}

// What the node gives back is what it has on disk, whenever it is killed.
func TestSequence(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		defer func() { o.stop() }()
		l := <-o.links
		gives := func(n, want int64) {
			t.Helper()
			if got := jsonOf[api.LinkWelcome](t, o.hello(l, o.number(n)), http.StatusOK); got.Sequence != want {
				t.Errorf("hello with number %d: the node gives back %d, want %d", n, got.Sequence, want)
			}
			if stored, err := readJoined(o.dir); err != nil || stored.Sequence != max(n, want) {
				t.Errorf("after number %d the file holds %+v, %v", n, stored, err)
			}
		}
		gives(5, 0)
		gives(9, 5)
		gives(9, 9)  // offered again
		gives(7, 9)  // of a link that came late: it must not undo the newer one
		gives(12, 9) // and after it
		o.stop()
		o.start()
		l = <-o.links
		gives(20, 12)
		for name, change := range map[string]func(*api.LinkHello){
			"of another gateway": func(h *api.LinkHello) { h.Sequence = access.SequenceToken(o.self, o.node.id, 30) },
			"for another node":   func(h *api.LinkHello) { h.Sequence = access.SequenceToken(o.gateway, scan.RandomText(28), 30) },
			"below one":          o.number(0),
			"nonsense":           func(h *api.LinkHello) { h.Sequence = "30" },
		} {
			if code := problemOfAnswer(t, o.hello(l, change)); code != problem.GrantInvalid {
				t.Errorf("a number %s: %s, want grant-invalid", name, code)
			}
		}
		gives(21, 20)
	})
}

// changeKey gives the office's gateway another key.
func (o *office) changeKey(t *testing.T) {
	t.Helper()
	_, err := o.gateway.Prepare()
	need(t, err)
	need(t, o.gateway.Change())
	o.gate.Key = o.gateway.Public()
}

func TestGatewayKeyChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, then(1, nil))
		defer func() { o.stop() }()
		l := <-o.links
		rotation, err := o.gateway.Prepare()
		need(t, err)
		first, next := o.gateway.Pin(), identity.PinOf(rotation.New)
		from := time.Now().Add(3 * time.Hour)
		announce := func(h *api.LinkHello) {
			h.NextKey = access.NextKeyToken(o.gateway, o.node.id, access.NextKey{Pin: next, From: from})
		}
		if w := jsonOf[api.LinkWelcome](t, o.hello(l, announce), http.StatusOK); w.NextKey != next {
			t.Errorf("the node confirms %q, want %q", w.NextKey, next)
		}
		for name, change := range map[string]func(*api.LinkHello){
			"of another gateway": func(h *api.LinkHello) {
				h.NextKey = access.NextKeyToken(o.self, o.node.id, access.NextKey{Pin: next, From: from})
			},
			"no key": func(h *api.LinkHello) {
				h.NextKey = access.NextKeyToken(o.gateway, o.node.id, access.NextKey{Pin: "x", From: from})
			},
			"no time": func(h *api.LinkHello) {
				h.NextKey = access.NextKeyToken(o.gateway, o.node.id, access.NextKey{Pin: next})
			},
		} {
			if code := problemOfAnswer(t, o.hello(l, change)); code != problem.GrantInvalid {
				t.Errorf("an announcement %s: %s, want grant-invalid", name, code)
			}
		}
		// A user's job from before the change.
		j := jsonOf[scan.Job](t, o.send(t.Context(), l, api.RoleUser, http.MethodPost, "/api/v1/scanners/"+o.scanner+"/jobs",
			request(scan.SourceADF, 0), "Idempotency-Key", newKey()), http.StatusCreated)
		synctest.Wait()

		// Too early the new key is refused, also after a restart.
		o.changeKey(t)
		l.Close("")
		for range 2 {
			time.Sleep(time.Hour)
			select {
			case <-o.links:
				t.Fatal("the node took a gateway's next key before its time")
			default:
			}
			o.stop()
			o.start()
		}
		time.Sleep(time.Hour + 2*time.Minute)
		l = <-o.links
		jsonOf[api.LinkWelcome](t, o.hello(l, nil), http.StatusOK)
		stored, err := readJoined(o.dir)
		if need(t, err); stored.Pin != next || stored.First != first || stored.Next != nil {
			t.Errorf("stored: %+v, want pin %s, first %s, and nothing announced", stored, next, first)
		}
		if got := jsonOf[scan.Job](t, o.send(t.Context(), l, api.RoleUser, http.MethodGet, "/api/v1/jobs/"+j.ID, ""), http.StatusOK); got.ID != j.ID {
			t.Errorf("the user's job after the change is %+v", got)
		}

		// A change that was not announced is refused for good.
		o.changeKey(t)
		l.Close("")
		time.Sleep(12 * time.Hour)
		select {
		case <-o.links:
			t.Error("the node took a key that nobody had announced")
		default:
		}
		if _, connected := o.node.Gateway(); connected {
			t.Error("the node is connected to a gateway with a strange key")
		}
	})
}

// A node that joined a gateway after a change of its key takes the licences that are bound to
// the keys before, and what is handed out with a mark: the gateway shows how its key follows.
func TestLicencesOfGatewayWithChangedKey(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newAgency(t, then(1, nil), nil)
		defer func() { a.stop() }()
		var keys []license.Key
		for _, kind := range []license.Kind{license.Server, license.Browser, license.Page} {
			keys = append(keys, a.key(kind))
		}
		a.stop()
		for range 2 {
			a.changeKey(t)
			for _, kind := range []license.Kind{license.Server, license.Page} {
				keys = append(keys, a.key(kind))
			}
		}
		need(t, (&joined{Addresses: []string{"gateway.example:18603"}, Pin: a.gateway.Pin()}).write(a.dir))
		a.start().found()
		a.link = <-a.links
		strange := newIdentity(t)
		_, err := strange.Prepare()
		need(t, err)
		need(t, strange.Change())
		for name, chain := range map[string][]string{"another's": strange.Chain(), "cut": a.gateway.Chain()[1:], "nonsense": {"x"}} {
			if code := problemOfAnswer(t, a.hello(a.link, func(h *api.LinkHello) { h.Chain = chain })); code != problem.GrantInvalid {
				t.Errorf("%s changes of the gateway's key: %q, want grant-invalid", name, code)
			}
		}
		jsonOf[api.LinkWelcome](t, a.hello(a.link, func(h *api.LinkHello) { h.Chain = a.gateway.Chain() }), http.StatusOK)
		for _, k := range keys {
			q := asking{permit: permit(k, "")}
			switch k.Kind {
			case license.Browser:
				q.permit = permit(k, a.seat(k))
			case license.Page:
				q.permit = permit(k, "", a.pages(k, 5, 0))
			}
			if answer := a.scan(q, 1); answer.StatusCode != http.StatusCreated {
				t.Errorf("%s bound to %s: %s", k.Kind, k.Gateways, problemOfAnswer(t, answer))
			} else {
				answer.Body.Close()
			}
			synctest.Wait()
			if k.Kind == license.Page {
				if _, err := a.node.licences.grant(t.Context(), a.pages(k, 5, 0)); err != nil {
					t.Errorf("pages that come with a mark: %v", err)
				}
			}
		}
		if p := a.node.Place(); p.Node != a.node.id || len(p.Gateway) < 3 {
			t.Errorf("the node as a place: %+v, want all keys of its gateway", p)
		}
	})
}

// A gateway takes its announcement back: the next key is refused then.
func TestAnnouncementTakenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		defer func() { o.stop() }()
		l := <-o.links
		rotation, err := o.gateway.Prepare()
		need(t, err)
		next := access.NextKey{Pin: identity.PinOf(rotation.New), From: time.Now().Add(time.Hour)}
		jsonOf[api.LinkWelcome](t, o.hello(l, func(h *api.LinkHello) { h.NextKey = access.NextKeyToken(o.gateway, o.node.id, next) }), http.StatusOK)
		if w := jsonOf[api.LinkWelcome](t, o.hello(l, nil), http.StatusOK); w.NextKey != "" {
			t.Errorf("the node still confirms %q", w.NextKey)
		}
		o.changeKey(t)
		l.Close("")
		time.Sleep(6 * time.Hour)
		select {
		case <-o.links:
			t.Error("the node took a key whose announcement was taken back")
		default:
		}
	})
}

// A node whose clock is a day off links, judges grants and the time of a next key by the
// gateway's.
func TestClockADayOff(t *testing.T) {
	for name, off := range map[string]time.Duration{"a day behind": 24 * time.Hour, "a day ahead": -24 * time.Hour} {
		synctest.Test(t, func(t *testing.T) {
			o := newOffice(t, nil)
			defer func() { o.stop() }()
			l := <-o.links
			rotation, err := o.gateway.Prepare()
			need(t, err)
			there := func() time.Time { return time.Now().Add(off) }
			jsonOf[api.LinkWelcome](t, o.hello(l, func(h *api.LinkHello) {
				h.Time = access.TimeToken(o.gateway, o.node.id, there())
				h.NextKey = access.NextKeyToken(o.gateway, o.node.id, access.NextKey{Pin: identity.PinOf(rotation.New), From: there().Add(time.Hour)})
			}), http.StatusOK)
			ask := func(at time.Time) *http.Response {
				r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, "https://"+relay.Host+"/api/v1/scanners", nil)
				need(t, err)
				c := access.Caller{Session: "s", Subject: "s", Role: api.RoleUser}
				r.Header.Set(access.HeaderGrant, access.NewGrant(c, o.node.id, r, at).Sign(o.gateway))
				answer, err := l.RoundTrip(r)
				need(t, err)
				return answer
			}
			if list := jsonOf[api.ScannerList](t, ask(there()), http.StatusOK); len(list.Items) != 1 {
				t.Errorf("%s: scanners = %+v", name, list)
			}
			if code := problemOfAnswer(t, ask(time.Now())); code != problem.GrantInvalid && code != problem.GrantExpired {
				t.Errorf("%s: a grant by the node's own clock: %s, want it refused", name, code)
			}
			o.changeKey(t)
			l.Close("")
			time.Sleep(50 * time.Minute)
			select {
			case <-o.links:
				t.Errorf("%s: the node took the next key too early", name)
			default:
			}
			time.Sleep(15 * time.Minute)
			l = <-o.links
		})
	}
}
