//go:build e2e

package e2e

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access/openid/openidtest"
	"github.com/platen-scan/platen/internal/testenv"
)

// People sign in at the office's identity provider, from the gateway's page and back to
// it, and have the role of their groups.
func TestOIDC(t *testing.T) {
	provider := openidtest.Start(t)
	provider.Put(openidtest.User{Username: "eve", First: "Eve", Last: "Elder", Groups: []string{"guests"}})
	o := testenv.NewGateway(t,
		"PLATEN_OIDC_ISSUER="+provider.Issuer, "PLATEN_OIDC_CLIENTID="+openidtest.ClientID, "PLATEN_OIDC_CLIENTSECRET="+openidtest.ClientSecret,
		"PLATEN_OIDC_NAME=Office", "PLATEN_OIDC_ADMINGROUPS=it", "PLATEN_OIDC_USERGROUPS=staff")
	provider.Redirect(o.Gateway.URL + "/sign-in/done")

	type visit struct {
		User    string `json:"user,omitempty"` // "": the provider answers with the error
		Error   string `json:"error,omitempty"`
		Address string `json:"address,omitempty"` // in the browser, in the end
		Role    string `json:"role,omitempty"`    // "": nobody is signed in
		Name    string `json:"name,omitempty"`
		Kind    string `json:"kind,omitempty"`
		Kept    bool   `json:"kept,omitempty"` // the session, after a reload
		Words   string `json:"words,omitempty"`
	}
	visits := []visit{{User: "ann"}, {User: "bob"}, {User: "eve"}, {Error: "access_denied"}, {Error: "server_error"}}
	rows, err := json.Marshal(visits)
	if err != nil {
		t.Fatal(err)
	}
	p := newPhone(t, nil, certificateIn(t, filepath.Join(o.Gateway.Data, "keys", "ca.pem")))
	script := p.start("oidc.mjs", "--url", o.Gateway.URL, "--password", openidtest.Password, "--rows", string(rows))
	got := result[struct {
		Visits []visit  `json:"visits"`
		Faults []string `json:"faults"`
	}](t, script, 2*time.Minute)
	if len(got.Visits) != len(visits) {
		t.Fatalf("%d visits, want %d", len(got.Visits), len(visits))
	}
	for i, want := range []visit{
		{User: "ann", Role: "admin", Name: "Ann Archer", Kind: "oidc", Kept: true},
		{User: "bob", Role: "user", Name: "Bob Baker", Kind: "oidc", Kept: true},
		{User: "eve", Words: "It needs another role."},
		{Error: "access_denied", Words: "The sign-in was canceled"},
		{Error: "server_error", Words: "It says: server_error."},
	} {
		v := got.Visits[i]
		who := want.User + want.Error
		if !strings.HasPrefix(v.Address, o.Gateway.URL+"/") || strings.ContainsAny(v.Address, "?#") {
			t.Errorf("%s: the browser ends at %s, want the gateway without code and state", who, v.Address)
		}
		if !strings.Contains(v.Words, want.Words) {
			t.Errorf("%s: the page says %q, want %q", who, v.Words, want.Words)
		}
		v.Address, v.Words = "", want.Words
		if v != want {
			t.Errorf("%s: %+v, want %+v", who, v, want)
		}
	}
	if n := provider.Exchanges(); n != 3 {
		t.Errorf("the provider was asked for %d tokens, want 3", n)
	}
	if len(got.Faults) > 0 {
		t.Errorf("faults of the page: %q", got.Faults)
	}
}
