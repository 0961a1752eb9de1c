// Package openid signs people in at an office's identity provider with OpenID Connect:
// the authorization code flow with PKCE, state and nonce, so that neither a stolen nor
// an injected code is worth anything in another browser.
//
// Commands hand a Provider to access.Config.Providers. It looks the identity provider
// up when the first person signs in, so that one that is down stops nobody else. It
// keeps no token: what it has learned when a person signs in is name, role and groups.
package openid

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"slices"
	"time"

	"golang.org/x/oauth2"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/flow"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Config is what a Provider works by.
type Config struct {
	Issuer       string   // exactly as the provider says it: "https://id.example.com/realms/office"
	ClientID     string   // as registered at the provider
	ClientSecret string   // "": a public client
	Name         string   // for the button; "": the issuer's host
	Scopes       []string // nil: openid, profile, email

	// GroupsClaim names the claim that lists a person's groups; "": "groups". The groups
	// below give a role; of several the highest counts.
	GroupsClaim    string
	AdminGroups    []string
	OperatorGroups []string
	UserGroups     []string
	KioskGroups    []string
	DefaultRole    api.Role // of who is in none of them; "": they are refused

	Client *http.Client     // nil: a new one. Time and size of answers are bounded in any case
	Now    func() time.Time // nil: time.Now
	Log    *slog.Logger     // nil: discarded
}

// RedirectPath is the page of the web app that takes the provider's answer.
const RedirectPath = "/sign-in/done"

// flowLife is how long a person may take at the provider.
const flowLife = 10 * time.Minute

// Provider implements access.Provider.
type Provider struct {
	Config
	client *http.Client
	flows  flow.Flows
	remote *remote
}

var _ access.Provider = (*Provider)(nil)

// New checks the configuration. It asks nobody.
func New(c Config) (*Provider, error) {
	if err := checkAddress(c.Issuer); err != nil {
		return nil, fmt.Errorf("issuer %q: %w", c.Issuer, err)
	}
	if c.ClientID == "" {
		return nil, errors.New("the client ID is missing")
	}
	if c.DefaultRole != "" && !c.DefaultRole.Valid() {
		return nil, fmt.Errorf("there is no role %q", c.DefaultRole)
	}
	if c.DefaultRole == "" && len(c.AdminGroups)+len(c.OperatorGroups)+len(c.UserGroups)+len(c.KioskGroups) == 0 {
		return nil, errors.New("nobody could sign in: no group has a role, and there is no default role")
	}
	issuer, _ := url.Parse(c.Issuer) // checkAddress has parsed it
	c.Name = cmp.Or(c.Name, issuer.Host)
	c.GroupsClaim = cmp.Or(c.GroupsClaim, "groups")
	if c.Scopes == nil {
		c.Scopes = []string{"openid", "profile", "email"}
	}
	if !slices.Contains(c.Scopes, "openid") {
		c.Scopes = append([]string{"openid"}, c.Scopes...)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	p := &Provider{Config: c, client: bounded(c.Client), flows: flow.Flows{Prefix: "oidc.", Life: flowLife, Now: c.Now}}
	p.remote = newRemote(p)
	return p, nil
}

// checkAddress lets only encrypted addresses and this machine's own pass.
func checkAddress(s string) error {
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Host == "" || u.User != nil || u.Fragment != "":
		return errors.New("it is not an https address")
	case u.Scheme == "https":
		return nil
	case u.Scheme == "http" && (u.Hostname() == "localhost" || net.ParseIP(u.Hostname()).IsLoopback()):
		return nil
	}
	return errors.New("it is not an https address")
}

// Offer implements access.Provider.
func (p *Provider) Offer(_ *http.Request, s *api.SignIn) { s.Oidc = p.Name }

// Routes implements access.Provider.
func (p *Provider) Routes(users access.Users) []access.Route {
	return []access.Route{{Method: http.MethodPost, Path: "/api/v1/sign-in/oidc",
		Policy: access.Anonymous().Direct().OwnPages().Limit(60, time.Minute),
		Handle: func(w http.ResponseWriter, r *http.Request) error { return p.start(w, r, users) }}}
}

// pending is what the provider's answer must fit to.
type pending struct {
	State    []byte `json:"state"` // as a hash
	Verifier string `json:"verifier"`
	Nonce    string `json:"nonce"`
	Redirect string `json:"redirect"`
}

func (p *Provider) start(w http.ResponseWriter, r *http.Request, users access.Users) error {
	office, err := p.remote.discover(r.Context())
	if err != nil {
		return err
	}
	const bits260 = 52 // base32 characters
	state := scan.RandomText(bits260)
	f := pending{State: hash(state), Verifier: oauth2.GenerateVerifier(), Nonce: scan.RandomText(bits260), Redirect: access.OwnOrigin(r).String() + RedirectPath}
	secret, err := p.flows.Begin(r.Context(), users.Store(), f)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusCreated, api.OIDCStart{Flow: secret, Url: office.address(f, state)})
}

// SignIn implements access.Provider. Whatever comes of it, the flow is used up: who
// wants to guess a code has one try.
func (p *Provider) SignIn(ctx context.Context, _ *http.Request, body api.SessionRequest, users access.Users) (access.Person, bool, error) {
	done := body.Oidc
	if done == (api.OIDCDone{}) {
		return access.Person{}, false, nil
	}
	user, err := p.finish(ctx, done, users)
	return access.Person{User: user.Id, Kind: api.SessionKindOidc}, true, err
}

func (p *Provider) finish(ctx context.Context, done api.OIDCDone, users access.Users) (api.User, error) {
	var f pending
	if err := p.flows.Take(ctx, users.Store(), done.Flow, &f); err != nil {
		return api.User{}, err
	}
	if subtle.ConstantTimeCompare(f.State, hash(done.State)) != 1 {
		return api.User{}, problem.New(problem.SignInFailed, "The answer belongs to another sign-in.")
	}
	office, err := p.remote.discover(ctx)
	if err != nil {
		return api.User{}, err
	}
	c, err := office.redeem(ctx, f, done.Code)
	if err != nil {
		return api.User{}, err
	}
	return p.admit(ctx, c, users)
}

func hash(s string) []byte {
	sum := sha256.Sum256([]byte(s))
	return sum[:]
}
