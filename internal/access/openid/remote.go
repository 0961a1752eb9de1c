package openid

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"time"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/platen-scan/platen/proto/problem"
)

const (
	answerTime = 10 * time.Second
	answerSize = 1 << 20
	retryAfter = 2 * time.Second // between two look-ups of a provider that does not answer
	skew       = time.Minute     // between the provider's clock and ours
)

// algorithms may sign an ID token. The provider has no say in it: neither "none" nor a
// secret that both ends know.
var algorithms = []string{oidc.RS256, oidc.PS256, oidc.ES256, oidc.EdDSA}

// bounded is the client with our limits: a provider that is slow, endless or sends us
// elsewhere is one that failed. A redirect could carry the client's secret off.
func bounded(c *http.Client) *http.Client {
	b := http.Client{}
	if c != nil {
		b = *c
	}
	b.Transport = limited{cmp.Or(b.Transport, http.DefaultTransport)}
	if b.Timeout == 0 || b.Timeout > answerTime {
		b.Timeout = answerTime
	}
	b.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &b
}

// limited cuts answers that are too long.
type limited struct{ http.RoundTripper }

func (t limited) RoundTrip(r *http.Request) (*http.Response, error) {
	answer, err := t.RoundTripper.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	answer.Body = struct {
		io.Reader
		io.Closer
	}{http.MaxBytesReader(nil, answer.Body, answerSize), answer.Body}
	return answer, nil
}

// remote finds out where the identity provider's endpoints are, once.
type remote struct {
	p *Provider
	// turn is held by who looks them up, and guards the rest.
	turn   chan struct{}
	found  *office
	failed time.Time
}

func newRemote(p *Provider) *remote { return &remote{p: p, turn: make(chan struct{}, 1)} }

// discover answers ProviderFailed if the provider cannot be had. It is asked at most
// once in a while then, however many people press the button.
func (m *remote) discover(ctx context.Context) (*office, error) {
	select {
	case m.turn <- struct{}{}:
		defer func() { <-m.turn }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if m.found != nil {
		return m.found, nil
	}
	if m.p.Now().Sub(m.failed) < retryAfter {
		return nil, problem.ProviderFailed.Error().After(retryAfter)
	}
	found, err := m.p.lookUp(ctx)
	if err != nil {
		if ctx.Err() == nil {
			m.failed = m.p.Now()
		}
		return nil, m.p.fault(ctx, "cannot look the identity provider up", err)
	}
	m.found = found
	return found, nil
}

// fault logs what the provider did wrong, which is for the administrator only.
func (p *Provider) fault(ctx context.Context, what string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.Log.WarnContext(ctx, what, "issuer", p.Issuer, "error", err)
	return problem.ProviderFailed.Error()
}

// office is the identity provider as its discovery document describes it.
type office struct {
	*Provider
	remote *oidc.Provider
	oauth2 oauth2.Config // without its RedirectURL
	tokens *oidc.IDTokenVerifier
}

func (p *Provider) lookUp(ctx context.Context) (*office, error) {
	remote, err := oidc.NewProvider(oidc.ClientContext(ctx, p.client), p.Issuer)
	if err != nil {
		return nil, err
	}
	var document struct {
		Authorization string   `json:"authorization_endpoint"`
		Token         string   `json:"token_endpoint"`
		Keys          string   `json:"jwks_uri"`
		UserInfo      string   `json:"userinfo_endpoint"`
		Methods       []string `json:"token_endpoint_auth_methods_supported"`
	}
	if err := remote.Claims(&document); err != nil {
		return nil, err
	}
	endpoints := []string{document.Authorization, document.Token, document.Keys}
	if document.UserInfo != "" {
		endpoints = append(endpoints, document.UserInfo)
	}
	for _, address := range endpoints {
		if err := checkAddress(address); err != nil {
			return nil, fmt.Errorf("endpoint %q: %w", address, err)
		}
	}
	endpoint := remote.Endpoint()
	endpoint.AuthStyle = oauth2.AuthStyleInHeader
	if p.ClientSecret == "" || len(document.Methods) > 0 && !slices.Contains(document.Methods, "client_secret_basic") {
		endpoint.AuthStyle = oauth2.AuthStyleInParams
	}
	return &office{
		Provider: p,
		remote:   remote,
		oauth2:   oauth2.Config{ClientID: p.ClientID, ClientSecret: p.ClientSecret, Endpoint: endpoint, Scopes: p.Scopes},
		tokens: remote.Verifier(&oidc.Config{ClientID: p.ClientID, SupportedSigningAlgs: algorithms,
			Now: func() time.Time { return p.Now().Add(-skew) }}),
	}, nil
}

// address is where the browser is sent to.
func (o *office) address(f pending, state string) string {
	c := o.oauth2
	c.RedirectURL = f.Redirect
	return c.AuthCodeURL(state, oidc.Nonce(f.Nonce), oauth2.S256ChallengeOption(f.Verifier))
}

// redeem exchanges the code and answers what the provider says about the person.
func (o *office) redeem(ctx context.Context, f pending, code string) (claims, error) {
	ctx = oidc.ClientContext(ctx, o.client)
	c := o.oauth2
	c.RedirectURL = f.Redirect
	token, err := c.Exchange(ctx, code, oauth2.VerifierOption(f.Verifier))
	if err != nil {
		return claims{}, o.refusal(ctx, err)
	}
	raw, _ := token.Extra("id_token").(string)
	if raw == "" {
		return claims{}, o.fault(ctx, "the identity provider sent no ID token", errors.New("no id_token"))
	}
	id, err := o.tokens.Verify(ctx, raw)
	if err != nil {
		return claims{}, o.fault(ctx, "the identity provider's token cannot be trusted", err)
	}
	if id.Nonce != f.Nonce {
		o.Log.WarnContext(ctx, "the identity provider's token is for another sign-in", "issuer", o.Issuer)
		return claims{}, problem.New(problem.SignInFailed, "The answer belongs to another sign-in.")
	}
	said, err := o.read(ctx, id, token)
	if err != nil {
		return claims{}, o.fault(ctx, "the identity provider's claims cannot be taken", err)
	}
	return said, nil
}

// personal are the error codes of RFC 6749 that say something about this sign-in and
// not about how the two ends are set up.
var personal = []string{"invalid_grant", "access_denied"}

// refusal is what an error of the token endpoint means for the person.
func (o *office) refusal(ctx context.Context, err error) error {
	var e *oauth2.RetrieveError
	if errors.As(err, &e) && slices.Contains(personal, e.ErrorCode) {
		o.Log.InfoContext(ctx, "the identity provider refused a code", "issuer", o.Issuer, "code", e.ErrorCode)
		return problem.New(problem.SignInFailed, "The identity provider says %s.", e.ErrorCode)
	}
	if e != nil { // its message would hold the answer's body
		err = fmt.Errorf("%s, code %q", e.Response.Status, e.ErrorCode)
	}
	return o.fault(ctx, "the identity provider did not exchange a code", err)
}
