package license_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
)

// A handshake code in platen.ini stands for its keys: the pages that they name may ask, also
// after a restart without the tracking server, and nobody else's.
func TestHandshakeCodeAllows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		forged, err := license.Issue(other, key(license.Server, func(k *license.Key) { k.Origins = []string{"https://forged.example"} }))
		if err != nil {
			t.Fatal(err)
		}
		d := newDesk()
		d.own = access.Terms{HandshakeCode: "ACME-desk"}
		d.server.projects["ACME-desk"] = issue(t, key(license.Browser)) + ";" + forged
		d.server.projects["ACME-door"] = issue(t, key(license.Server, func(k *license.Key) { k.Origins = []string{"https://door.example"} }))
		allows := func(what string, desk *license.Desk, want map[string]bool) {
			t.Helper()
			synctest.Wait()
			for origin, may := range want {
				o, err := access.ParseOrigin(origin)
				if err != nil {
					t.Fatal(err)
				}
				if got := desk.Allows(o); got != may {
					t.Errorf("%s: Allows(%s) = %v, want %v", what, origin, got, may)
				}
			}
		}
		serve := func(desk *license.Desk) (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan error, 1)
			go func() { done <- desk.Serve(ctx) }()
			return func() {
				cancel()
				if err := <-done; err != nil {
					t.Error(err)
				}
			}
		}
		d.server.set(errors.New("away"))
		stop := serve(d.Desk)
		allows("before the server answered", d.Desk, map[string]bool{shop: false})
		d.server.set(nil)
		time.Sleep(time.Minute)
		allows("by the code", d.Desk, map[string]bool{shop: true, "https://forged.example": false, "https://door.example": false})
		if l := d.License(); len(l.Keys) != 2 || l.Keys[0].Organisation != "ACME" || l.Keys[1].Problem.Code != "license-invalid" {
			t.Errorf("License = %+v, want the keys of the code", l.Keys)
		}
		stop()

		d.server.set(errors.New("away"))
		again := license.NewDesk(d.cfg)
		stop = serve(again)
		defer func() { stop() }()
		allows("after a restart without the server", again, map[string]bool{shop: true})
		d.own = access.Terms{HandshakeCode: "ACME-door"}
		allows("another code", again, map[string]bool{shop: false, "https://door.example": false})
		d.server.set(nil)
		again.Reload()
		allows("another code, answered", again, map[string]bool{shop: false, "https://door.example": true})
		d.server.mu.Lock()
		delete(d.server.projects, "ACME-door")
		d.server.mu.Unlock()
		time.Sleep(10 * time.Minute)
		allows("a code that was deleted", again, map[string]bool{"https://door.example": false})
	})
}
