package license_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/problem"
)

// TestOffline lets hours go by without a tracking server, for each kind that is counted:
// what was leased is good until its end and the key's grace, also after a restart, and
// the node says the same as the desk. Then the server is back.
func TestOffline(t *testing.T) {
	for _, test := range []struct {
		kind  license.Kind
		lease time.Duration
	}{
		{license.Browser, license.LeaseTime},
		{license.Concurrent, license.SliceTime},
		{license.PerNode, license.LeaseTime},
		{license.Page, license.BlockTime},
	} {
		for _, by := range []string{"key", "handshake"} {
			t.Run(string(test.kind)+" by "+by, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) { offline(t, test.kind, test.lease, by == "handshake") })
			})
		}
	}
}

func offline(t *testing.T, kind license.Kind, lease time.Duration, handshake bool) {
	const grace = 36 * hour
	d := newDesk()
	d.server.leaseFor = lease
	text := issue(t, key(kind, func(k *license.Key) { k.Grace = int64(grace / time.Second) }))
	terms := keyTerms(text)
	if handshake {
		d.server.projects["ACME-desk"], terms = text, access.Terms{HandshakeCode: "ACME-desk"}
	}
	permit := func(want problem.Code) {
		t.Helper()
		what := fmt.Sprint("after ", time.Since(start))
		p, err := d.Permit(t.Context(), caller(terms), "", node.NodeID(), 1)
		wantCode(t, what, err, want, `gateway "front desk"`)
		if err == nil {
			wantCode(t, what+": judge", judged(t, p, "", time.Now()), "")
		}
	}
	if _, err := d.Admit(t.Context(), terms, shop, client); err != nil {
		t.Fatal(err)
	}
	permit("")
	asked := d.server.times()
	time.Sleep(lease/3 - time.Second)
	permit("")
	if got := d.server.times() - asked; kind != license.Page && got != 0 {
		t.Errorf("the server was asked %d times within a third", got)
	}
	time.Sleep(2 * time.Second)
	permit("")
	if got := d.server.times() - asked; got == 0 {
		t.Error("the server was not asked after a third")
	}

	d.server.set(fmt.Errorf("dialling: %w", errors.New("no route")))
	end := time.Now().Add(lease + grace)
	for time.Until(end) > 30*time.Minute {
		if _, err := d.Admit(t.Context(), terms, shop, client); err != nil {
			t.Errorf("a session after %v: %v", time.Since(start), err)
		}
		permit("")
		time.Sleep(30 * time.Minute)
		if time.Until(end) < grace && time.Until(end) > grace-hour {
			d.Desk = license.NewDesk(d.cfg) // a restart
		}
	}
	asked = d.server.times()
	permit("")
	permit("")
	if got := d.server.times() - asked; got > 1 {
		t.Errorf("a server that does not answer was asked %d times at once", got)
	}
	if kind != license.PerNode && kind != license.Page {
		other := caller(terms)
		other.Client = "another-browser-0000"
		_, err := d.Permit(t.Context(), other, "", node.NodeID(), 1)
		wantCode(t, "another browser", err, problem.TrackingOffline)
	}
	time.Sleep(time.Until(end))
	permit(problem.TrackingOffline)
	_, err := d.Permit(t.Context(), caller(terms), "", node.NodeID(), 1)
	if err == nil || !strings.Contains(err.Error(), "until 2000-01-0") {
		t.Errorf("the refusal does not say until when it was good: %v", err)
	}
	d.server.set(nil)
	permit("")
}

// TestRefusedRenewal is a tracking server that takes back what it gave.
func TestRefusedRenewal(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		terms := keyTerms(issue(t, key(license.Browser)))
		permit := func() error {
			_, err := d.Permit(t.Context(), caller(terms), "", node.NodeID(), 1)
			return err
		}
		wantCode(t, "first", permit(), "")
		d.server.set(problem.New(problem.LicenseRevoked, "An administrator suspended it."))
		wantCode(t, "within a third", permit(), "")
		time.Sleep(9 * hour)
		wantCode(t, "after it", permit(), problem.LicenseRevoked, "front desk")
		d.server.set(errors.New("gone"))
		wantCode(t, "and without the server", permit(), problem.TrackingOffline)
		d.Desk = license.NewDesk(d.cfg)
		wantCode(t, "and after a restart", permit(), problem.TrackingOffline)
	})
}

// TestCanceled gives back what the request's end says, and does not leave the server alone
// because of it.
func TestCanceled(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk()
		terms := keyTerms(issue(t, key(license.Browser)))
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		d.server.set(context.Canceled)
		if _, err := d.Permit(ctx, caller(terms), "", node.NodeID(), 1); !errors.Is(err, context.Canceled) {
			t.Errorf("Permit: %v, want that it was canceled", err)
		}
		d.server.set(nil)
		if _, err := d.Permit(t.Context(), caller(terms), "", node.NodeID(), 1); err != nil {
			t.Errorf("Permit afterwards: %v", err)
		}
	})
}

// TestManyBrowsers does not keep what is over.
func TestManyBrowsers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDesk(func(d *desk) { d.cfg.Records = nil; d.server.leaseFor = license.SliceTime })
		terms := keyTerms(issue(t, key(license.Concurrent)))
		for i := range 1500 {
			time.Sleep(time.Second)
			if _, err := d.Admit(t.Context(), terms, shop, fmt.Sprintf("browser-%08d", i)); err != nil {
				t.Fatal(err)
			}
		}
		if n := d.Kept(); n >= 1024 {
			t.Errorf("%d leases are kept, of which at most 180 are good", n)
		}
	})
}
