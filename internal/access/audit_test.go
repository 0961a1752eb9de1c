package access_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// auditor remembers in memory.
type auditor struct {
	mu      sync.Mutex
	entries []audit.Entry
	full    bool
}

func (a *auditor) Ready() error {
	if a.full {
		return errors.New("no space left on device")
	}
	return nil
}

func (a *auditor) Append(_ context.Context, e audit.Entry) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.entries = append(a.entries, e)
	return nil
}

// take empties it into lines of action, result, who, target and detail.
func (a *auditor) take() (lines []string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, e := range a.entries {
		lines = append(lines, fmt.Sprintf("%s %s by=%s on=%s: %s", e.Action, e.Result, e.Who, e.Target, e.Detail))
	}
	a.entries = nil
	return lines
}

func TestAudit(t *testing.T) {
	log := &auditor{}
	e := newEnd(t, withProviders, func(c *access.Config) { c.Audit = log })
	admin, own := e.client(t, api.RoleAdmin)
	user, _ := e.client(t, api.RoleUser)
	log.take()
	var secrets, all []string
	step := func(what string, w *httptest.ResponseRecorder, want ...string) {
		t.Helper()
		if w.Code == http.StatusInternalServerError {
			t.Errorf("%s failed: %s", what, w.Body)
		}
		got := log.take()
		all = append(all, got...)
		if !slices.Equal(got, want) {
			t.Errorf("%s is recorded as %q, want %q", what, got, want)
		}
	}
	by := " by=" + own.Id + " on="

	w := admin.do("POST", usersPath, `{"name":"Ada","role":"user"}`)
	ada := decode[api.User](t, w)
	step("a new user", w, "user.create ok"+by+ada.Id+": role user")
	w = admin.do("PATCH", usersPath+"/"+ada.Id, `{"role":"operator","locked":false}`)
	step("an edit", w, "user.edit ok"+by+ada.Id+": role operator, locked false")
	w = user.do("GET", usersPath, "")
	step("a look", w)
	w = user.do("DELETE", usersPath+"/"+ada.Id, "")
	step("a refusal", w, "user.delete refused by="+decode[api.Session](t, user.do("GET", "/api/v1/sessions/current", "")).Id+" on="+ada.Id+": permission-denied")

	w = admin.do("POST", "/api/v1/pairings", `{"user":"`+ada.Id+`"}`)
	p := decode[api.Pairing](t, w)
	secrets = append(secrets, p.Code, p.Secret)
	step("a pairing", w, "pairing.create ok"+by+p.Id+": user "+ada.Id)
	w = e.redeem(t, secret(p.Secret))
	s := decode[api.Session](t, w)
	secrets = append(secrets, s.Token)
	step("a sign-in", w, "session.create ok by= on="+s.Id+": pairing, role operator, user "+ada.Id)
	w = e.redeem(t, secret(p.Secret))
	step("a used code", w, "session.create refused by= on=: pairing-used")
	w = admin.do("DELETE", "/api/v1/pairings/"+p.Id, "")
	step("a void pairing", w, "pairing.void ok"+by+p.Id+": ")
	w = client{t, e.on(access.RoadLAN), e.validated(t, access.RoadLAN), s.Token}.do("DELETE", "/api/v1/sessions/current", "")
	step("signing out", w, "session.end ok by=Ada ("+ada.Id+") on="+s.Id+": ")

	w = admin.do("POST", tokensPath, `{"label":"backup","role":"user"}`)
	token := decode[api.Token](t, w)
	secrets = append(secrets, token.Token)
	step("a token", w, "token.create ok"+by+token.Id+": role user")
	w = admin.do("DELETE", tokensPath+"/"+token.Id, "")
	step("a revoked token", w, "token.revoke ok"+by+token.Id+": ")

	w = admin.do("POST", permissionsPath, `{"role":"kiosk","label":"hall","actions":["see"]}`)
	permission := decode[api.Permission](t, w)
	step("a permission", w, "permission.create ok"+by+permission.Id+": role kiosk may see at label hall")
	w = admin.do("DELETE", permissionsPath+"/"+permission.Id, "")
	step("a removed permission", w, "permission.delete ok"+by+permission.Id+": role kiosk may see at label hall")

	d := e.newDevice(t)
	secrets = append(secrets, d.UserCode, d.DeviceCode)
	poll := fmt.Sprintf(`{"deviceCode":%q}`, d.DeviceCode)
	step("a program that waits", user.do("POST", "/api/v1/sessions", poll))
	step("and asks too often", user.do("POST", "/api/v1/sessions", poll))
	w = admin.do("DELETE", grantsPath+"/"+d.UserCode, "")
	step("a denied program", w, "device.deny ok"+by+d.DeviceCode[:20]+": platen on reception-pc at "+d.Address)

	// What nobody in particular can send as often as they like leaves nothing.
	step("nobody", accesstest.Do(e.on(access.RoadLAN), accesstest.NewRequest(access.RoadLAN, "POST", usersPath, "{}")))
	step("nonsense", e.redeem(t, `{"code":"x"}`))
	for _, line := range all {
		for _, text := range secrets {
			if strings.Contains(line, text) {
				t.Errorf("the audit log holds a secret: %s", line)
			}
		}
	}

	log.full = true
	before := e.records.Dump()
	wantCode(t, admin.do("POST", usersPath, `{"name":"Grace","role":"user"}`), problem.AuditFailed)
	wantCode(t, e.redeem(t, code("AAAAAAAA")), problem.AuditFailed)
	if e.records.Dump() != before {
		t.Error("something changed that could not be recorded")
	}
	wantStatus(t, admin.do("GET", usersPath, ""), http.StatusOK)
}
