//go:build e2e

package e2e

import (
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/api"
)

// A person whom an administrator has added pairs a browser, adds a passkey there, and
// is the same person when signing in with it. An address without a name has none.
func TestPasskey(t *testing.T) {
	local := testenv.StartLocal(t, []string{"PLATEN_NODE_DRIVERS=virtual", "PLATEN_NODE_TRUSTLOOPBACK=FALSE"})
	admin := adminOf(t, local)
	ann := ask[api.User](admin, http.MethodPost, "/users", api.UserRequest{Name: "Ann", Role: api.RoleOperator})
	pairing := ask[api.Pairing](admin, http.MethodPost, "/pairings", api.PairingRequest{User: ann.Id})
	script := newPhone(t, nil, "").start("passkey.mjs", "--url", local.URL+"/#pair="+pairing.Secret,
		"--address", strings.Replace(local.URL, "localhost", "127.0.0.1", 1))
	got := result[struct {
		Paired   api.Session `json:"paired"`
		Out      bool        `json:"out"` // nobody was signed in between
		SignedIn api.Session `json:"signedIn"`
		Resident []bool      `json:"resident"`
		Names    []string    `json:"names"`   // that the authenticator's passkeys are for
		Offered  int         `json:"offered"` // buttons for passkeys at the bare address
		Faults   []string    `json:"faults"`
	}](t, script, 2*time.Minute)
	if p := got.Paired; p.User != ann.Id || p.Kind != api.SessionKindPairing || p.Role != api.RoleOperator {
		t.Errorf("paired as %+v, want %s as an operator", p, ann.Id)
	}
	if s := got.SignedIn; s.User != ann.Id || s.Kind != api.SessionKindPasskey || s.Role != api.RoleOperator || s.Name != "Ann" || s.Id == got.Paired.Id {
		t.Errorf("signed in with the passkey as %+v, want Ann %s as an operator", s, ann.Id)
	}
	if !got.Out {
		t.Error("signing out left somebody signed in")
	}
	if !slices.Equal(got.Names, []string{"localhost"}) || !slices.Equal(got.Resident, []bool{true}) {
		t.Errorf("the authenticator has passkeys for %q, discoverable %t", got.Names, got.Resident)
	}
	if got.Offered != 0 {
		t.Error("a passkey was offered at 127.0.0.1")
	}
	if len(got.Faults) > 0 {
		t.Errorf("faults of the page: %q", got.Faults)
	}
	if u := ask[api.UserList](admin, http.MethodGet, "/users", nil).Items[0]; u.Passkeys != 1 || u.Sessions != 1 {
		t.Errorf("Ann has %d passkeys and %d sessions, want 1 and 1", u.Passkeys, u.Sessions)
	}
}
