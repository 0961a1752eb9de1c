package access

import (
	"cmp"
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	sessionKey     = "session."
	shortIDLength  = 20              // base32 characters: 100 bits, names but protects nothing
	tokenLength    = 52              // base32 characters: 260 bits
	refreshSession = 5 * time.Minute // between writes that a request causes

	sessionIdle = 12 * time.Hour      // a sign-in by OIDC or passkey ends after so long without a request
	sessionLife = 30 * 24 * time.Hour // every session but an API token's ends after
)

// session is the record of one sign-in. Its token is "<id>.<secret>", of which only
// the secret's hash is kept.
type session struct {
	ID      string          `json:"id"`
	Kind    api.SessionKind `json:"kind"`
	Subject string          `json:"subject"`
	User    string          `json:"user,omitempty"` // whose role and groups it has; "": nobody's
	Role    api.Role        `json:"role"`           // without a user
	Device  string          `json:"device,omitempty"`
	Origin  string          `json:"origin,omitempty"` // the foreign web page that it works for; "": none
	By      string          `json:"by,omitempty"`     // who made an API token
	Bearer  bool            `json:"bearer,omitempty"`
	Terms   Terms           `json:"terms,omitzero"`   // of a foreign page
	Client  string          `json:"client,omitempty"` // what its browser calls itself
	Hash    []byte          `json:"hash"`
	Created time.Time       `json:"created"`
	Seen    time.Time       `json:"seen,omitzero"`
	Ends    time.Time       `json:"ends,omitzero"` // of an API token
}

func (g *Guard) expiry(s session) time.Time {
	end := s.Created.Add(sessionLife)
	switch s.Kind {
	case api.SessionKindToken:
		return s.Ends
	case api.SessionKindOidc, api.SessionKindPasskey:
		if idle := s.Seen.Add(sessionIdle); idle.Before(end) {
			return idle
		}
	case api.SessionKindPairing, api.SessionKindOrigin, api.SessionKindDevice, api.SessionKindLoopback:
	}
	return end
}

// createSession completes and keeps the session and returns its token, which nobody
// can get again.
func (g *Guard) createSession(ctx context.Context, s session) (session, string, error) {
	secret := scan.RandomText(tokenLength)
	s.ID, s.Hash, s.Created = scan.RandomText(shortIDLength), hash(secret), g.Now()
	s.Subject = cmp.Or(s.User, s.ID)
	if s.Kind != api.SessionKindToken {
		s.Seen = s.Created
	}
	if err := PutRecord(ctx, g.Records, sessionKey+s.ID, s, g.expiry(s), 0); err != nil {
		return session{}, "", err
	}
	return s, s.ID + "." + secret, nil
}

// callerOf finds the session of a token. bearer says by which way the token came, origin
// which foreign page sent it: each token works only as it was given out.
func (g *Guard) callerOf(ctx context.Context, token string, bearer bool, origin string) (Caller, error) {
	id, secret, ok := strings.Cut(strings.TrimPrefix(token, apiTokenPrefix), ".")
	if !ok || !isText(id, shortIDLength) || !isText(secret, tokenLength) || g.Records == nil {
		return Caller{}, problem.SessionRequired.Error()
	}
	s, revision, err := g.readSession(ctx, id)
	if err != nil {
		return Caller{}, err
	}
	if subtle.ConstantTimeCompare(s.Hash, hash(secret)) != 1 || s.Bearer != bearer || s.Origin != origin {
		return Caller{}, problem.SessionRequired.Error()
	}
	c, err := g.speaksFor(ctx, s)
	if err != nil {
		return Caller{}, err
	}
	g.refresh(ctx, s, revision)
	return c, nil
}

// speaksFor is the caller that a session stands for, with what its user may now.
func (g *Guard) speaksFor(ctx context.Context, s session) (Caller, error) {
	c := Caller{Session: s.ID, Kind: s.Kind, Subject: s.Subject, Role: s.Role, Origin: s.Origin, Terms: s.Terms, Client: s.Client}
	if s.User == "" {
		return c, nil
	}
	u, err := g.unlocked(ctx, s.User)
	if isNotFound(err) {
		return Caller{}, problem.SessionExpired.Error() // the user was removed
	}
	if err != nil {
		return Caller{}, err
	}
	c.User, c.Name, c.Groups, c.Role = u.ID, u.Name, u.Groups, u.Role
	return c, nil
}

// readSession answers SessionExpired if there is no such session now.
func (g *Guard) readSession(ctx context.Context, id string) (session, uint64, error) {
	s, revision, err := GetRecord[session](ctx, g.Records, sessionKey+id)
	if errors.Is(err, ErrNoRecord) || err == nil && !g.Now().Before(g.expiry(s)) {
		return session{}, 0, problem.SessionExpired.Error()
	}
	return s, revision, err
}

// sessionsWhere lists the sessions that is says yes to, in order of their IDs.
func (g *Guard) sessionsWhere(ctx context.Context, is func(session) bool) ([]session, error) {
	now := g.Now()
	list, err := all[session](ctx, g.Records, sessionKey)
	return slices.DeleteFunc(list, func(s session) bool { return !now.Before(g.expiry(s)) || !is(s) }), err
}

// refresh notes that the session is in use. If the write fails the session is still
// good for this request; only its end comes earlier.
func (g *Guard) refresh(ctx context.Context, s session, revision uint64) {
	now := g.Now()
	if now.Sub(s.Seen) < refreshSession {
		return
	}
	s.Seen = now
	err := PutRecord(ctx, g.Records, sessionKey+s.ID, s, g.expiry(s), revision)
	if err != nil && !errors.Is(err, ErrConflict) { // a conflict: another request did it
		g.Log.LogAttrs(ctx, slog.LevelWarn, "cannot note that a session is in use",
			slog.String("session", s.ID), slog.Any("error", err))
	}
}

// EndSession signs a session out and ends what it has under way. It is silent where
// there is none.
func (g *Guard) EndSession(ctx context.Context, id string) error {
	if err := g.Records.Delete(ctx, sessionKey+id); err != nil {
		return fmt.Errorf("deleting a session: %w", err)
	}
	g.live.end(id)
	return nil
}

// endSessions signs out every session that is says yes to.
func (g *Guard) endSessions(ctx context.Context, is func(session) bool) error {
	all, err := g.sessionsWhere(ctx, is)
	if err != nil {
		return err
	}
	for _, s := range all {
		if err := g.EndSession(ctx, s.ID); err != nil {
			return err
		}
	}
	return nil
}

// describeSession shows a session with what its user is now.
func (g *Guard) describeSession(ctx context.Context, s session) api.Session {
	d := api.Session{Id: s.ID, Role: s.Role, Device: s.Device, Kind: s.Kind, User: s.User, Origin: s.Origin,
		Created: scan.At(s.Created), Expires: scan.At(g.expiry(s))}
	if s.User != "" {
		if u, err := g.user(ctx, s.User); err == nil {
			d.Name, d.Role = u.Name, u.Role
		}
	}
	return d
}

// hash is how secrets are kept. They are random and long, so that a plain hash does.
func hash(secret string) []byte {
	sum := sha256.Sum256([]byte(secret))
	return sum[:]
}

// isText reports whether s could come from scan.RandomText(n).
func isText(s string, n int) bool {
	return len(s) == n && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}
