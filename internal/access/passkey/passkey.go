// Package passkey signs people in with passkeys (Web Authentication Level 3): a key
// that the person's phone or computer keeps and unlocks with a finger, face or PIN.
//
// Commands hand a Provider to access.Config.Providers. A person adds passkeys while
// signed in and then needs neither name nor code: the passkey names its user. A passkey
// belongs to the host name at which it was made. Attestation is not asked for, so that
// nobody learns which device a person has.
package passkey

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/flow"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Config is what a Provider works by.
type Config struct {
	Name string           // of the service, which the browser may show; "": Platen
	Now  func() time.Time // nil: time.Now
	Log  *slog.Logger     // nil: discarded
}

// flowLife is how long a person may look for the finger.
const flowLife = 5 * time.Minute

// Provider implements access.Provider.
type Provider struct {
	Config
	flows flow.Flows
}

var _ access.Provider = (*Provider)(nil)

// New makes a Provider.
func New(c Config) *Provider {
	if c.Name == "" {
		c.Name = "Platen"
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	return &Provider{Config: c, flows: flow.Flows{Prefix: "passkeyflow.", Life: flowLife, Now: c.Now}}
}

// Offer implements access.Provider.
func (p *Provider) Offer(r *http.Request, s *api.SignIn) {
	_, err := place(r)
	s.Passkeys = err == nil
}

// Routes implements access.Provider.
func (p *Provider) Routes(users access.Users) []access.Route {
	const passkeys, maxBody = "/api/v1/passkeys", 16 << 10
	own := access.AtLeast(api.RoleKiosk).Direct().OwnPages()
	h := handlers{p, users}
	return []access.Route{
		{Method: http.MethodPost, Path: "/api/v1/sign-in/passkey", Handle: h.startSignIn,
			Policy: access.Anonymous().Direct().OwnPages().Limit(60, time.Minute)},
		{Method: http.MethodGet, Path: passkeys, Policy: own, Handle: h.list},
		{Method: http.MethodPost, Path: passkeys, Policy: own.Limit(20, time.Minute), MaxBody: maxBody, Audit: "passkey.create", Handle: h.add},
		{Method: http.MethodPost, Path: passkeys + "/challenge", Policy: own.Limit(20, time.Minute), Handle: h.startAdding},
		{Method: http.MethodDelete, Path: passkeys + "/{passkey}", Policy: own, Audit: "passkey.delete", Handle: h.remove},
	}
}

// handlers serve the routes of one guard.
type handlers struct {
	*Provider
	users access.Users
}

// site is where a passkey is made or used: WebAuthn's relying party.
type site struct {
	ID     string `json:"id"`     // host name
	Origin string `json:"origin"` // of our page
}

// place finds out whether there can be passkeys at the address by which the page was
// opened. Browsers bind them to a domain (WebAuthn 5.1.2) of a secure context, so that
// there are none
//   - over plain HTTP, except on localhost,
//   - on an IP address, 127.0.0.1 too.
//
// Names that would pass in some browsers but are not one place's own are left out too:
// names of a single label and those under .local, which anybody on a network may take
// and which mean another machine on the next, and a name with a dot at its end, which
// browsers and servers spell differently.
func place(r *http.Request) (site, error) {
	o := access.OwnOrigin(r)
	s := site{ID: o.Host, Origin: o.String()}
	if o.Host == "localhost" {
		return s, nil
	}
	dotted := strings.HasSuffix(strings.TrimRight(r.Host, ":0123456789"), ".")
	if o.Scheme != "https" || protocol.ValidateRPID(o.Host) != nil || strings.HasSuffix(o.Host, ".local") || dotted {
		return site{}, problem.PasskeyNotPossible.Error()
	}
	return s, nil
}

// ceremony is WebAuthn as it is done at a site.
func (p *Provider) ceremony(s site) (*webauthn.WebAuthn, error) {
	yes := true
	timeout := webauthn.TimeoutConfig{Timeout: flowLife, TimeoutUVD: flowLife}
	w, err := webauthn.New(&webauthn.Config{
		RPID: s.ID, RPDisplayName: p.Name, RPOrigins: []string{s.Origin},
		AttestationPreference: protocol.PreferNoAttestation,
		AuthenticatorSelection: protocol.AuthenticatorSelection{ResidentKey: protocol.ResidentKeyRequirementRequired,
			RequireResidentKey: &yes, UserVerification: protocol.VerificationRequired},
		Timeouts: webauthn.TimeoutsConfig{Login: timeout, Registration: timeout},
		// Password managers answer extensions that nobody asked for. None is looked at.
		ExtensionsUnsolicitedOutputPolicy: protocol.UnsolicitedOutputPolicyIgnore,
	})
	if err != nil {
		return nil, fmt.Errorf("setting WebAuthn up for %s: %w", s.ID, err)
	}
	return w, nil
}

// account is a user as WebAuthn sees one. The user's ID is the user handle.
type account struct {
	id, name string
	keys     []webauthn.Credential
}

func (a account) WebAuthnID() []byte                         { return []byte(a.id) }
func (a account) WebAuthnName() string                       { return a.name }
func (a account) WebAuthnDisplayName() string                { return a.name }
func (a account) WebAuthnCredentials() []webauthn.Credential { return a.keys }

// why is what the library says about an answer that it refused, for the log.
func why(err error) string {
	var e *protocol.Error
	if errors.As(err, &e) && e.DevInfo != "" {
		return e.Details + ": " + e.DevInfo
	}
	return err.Error()
}
