package passkey

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// startSignIn makes a challenge for whoever has a passkey of this site. It names no
// passkeys, so that nobody learns who has any.
func (h handlers) startSignIn(w http.ResponseWriter, r *http.Request) error {
	at, err := place(r)
	if err != nil {
		return err
	}
	wa, err := h.ceremony(at)
	if err != nil {
		return err
	}
	options, state, err := wa.BeginDiscoverableLogin()
	if err != nil {
		return fmt.Errorf("making a challenge: %w", err)
	}
	return h.challenge(w, r, ceremonyState{at, *state}, options.Response)
}

// SignIn implements access.Provider.
func (p *Provider) SignIn(ctx context.Context, r *http.Request, body api.SessionRequest, users access.Users) (access.Person, bool, error) {
	if body.Passkey.Flow == "" && len(body.Passkey.Credential) == 0 {
		return access.Person{}, false, nil
	}
	user, err := p.prove(ctx, r, body.Passkey, users)
	return access.Person{User: user, Kind: api.SessionKindPasskey}, true, err
}

// prove finds the user whose passkey signed the challenge. Whether that user may sign
// in is the guard's to judge.
func (p *Provider) prove(ctx context.Context, r *http.Request, body api.PasskeyAnswer, users access.Users) (string, error) {
	at, err := place(r)
	if err != nil {
		return "", err
	}
	var c ceremonyState
	if err := p.flows.Take(ctx, users.Store(), body.Flow, &c); err != nil {
		return "", err
	}
	if c.Site != at {
		return "", problem.FlowExpired.Error() // a challenge for another page
	}
	wa, err := p.ceremony(at)
	if err != nil {
		return "", err
	}
	answer, err := protocol.ParseCredentialRequestResponseBytes(body.Credential)
	if err != nil {
		return "", p.refused(ctx, "", err)
	}
	var claimed signer
	_, used, err := wa.ValidatePasskeyLogin(func(credential, handle []byte) (webauthn.User, error) {
		return claimed.find(ctx, users.Store(), credential, string(handle))
	}, c.State, answer)
	switch {
	case claimed.broken != nil:
		return "", claimed.broken
	case err != nil:
		return "", p.refused(ctx, claimed.user, err)
	case used.Authenticator.CloneWarning:
		return "", p.refused(ctx, claimed.user, errors.New("its counter went back: there may be a copy of the passkey"))
	}
	return claimed.user, p.count(ctx, users.Store(), claimed, used)
}

// refused logs what was wrong. The answer is always the same.
func (p *Provider) refused(ctx context.Context, user string, err error) error {
	p.Log.InfoContext(ctx, "a passkey was refused", "user", user, "error", why(err))
	return problem.New(problem.SignInFailed, "This passkey does not fit here.")
}

// signer is the passkey that an answer claims to be signed with.
type signer struct {
	user     string
	passkey  record
	revision uint64
	broken   error // of the records, not of the answer
}

// find is called before the signature is judged.
func (s *signer) find(ctx context.Context, records access.Records, credential []byte, user string) (webauthn.User, error) {
	if !isID(user) {
		return nil, errors.New("the user handle is none of ours")
	}
	s.user = user
	var err error
	s.passkey, s.revision, err = read(ctx, records, user, idOf(credential))
	if err != nil && problem.From(err).Code != problem.NotFound {
		s.broken = err
	}
	return account{id: user, keys: []webauthn.Credential{s.passkey.Credential}}, err
}

// count notes that the passkey was used. If two sign-ins with one passkey come at once
// only one is good, for the other's counter was not judged.
func (p *Provider) count(ctx context.Context, records access.Records, s signer, used *webauthn.Credential) error {
	s.passkey.Used, s.passkey.Credential = p.Now(), *used
	value, err := json.Marshal(s.passkey)
	if err != nil {
		return fmt.Errorf("encoding a passkey: %w", err)
	}
	_, err = records.Update(ctx, key(s.user, s.passkey.ID), value, p.Now().Add(kept), s.revision)
	if errors.Is(err, access.ErrConflict) {
		return p.refused(ctx, s.user, err)
	}
	if err != nil {
		return fmt.Errorf("noting that a passkey was used: %w", err)
	}
	return nil
}
