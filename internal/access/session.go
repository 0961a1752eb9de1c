package access

import (
	"context"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
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
)

// session is the record of one sign-in. Its token is "<id>.<secret>", of which only
// the secret's hash is kept.
type session struct {
	ID      string    `json:"id"`
	Subject string    `json:"subject"`
	Role    api.Role  `json:"role"`
	Device  string    `json:"device,omitempty"`
	Bearer  bool      `json:"bearer,omitempty"`
	Hash    []byte    `json:"hash"`
	Created time.Time `json:"created"`
	Seen    time.Time `json:"seen"`
}

func (g *Guard) expiry(s session) time.Time {
	idle, life := s.Seen.Add(g.SessionIdle), s.Created.Add(g.SessionLife)
	if idle.Before(life) {
		return idle
	}
	return life
}

// createSession signs a device in and returns its token, which nobody can get again.
func (g *Guard) createSession(ctx context.Context, role api.Role, device string, bearer bool) (session, string, error) {
	now := g.Now()
	secret := scan.RandomText(tokenLength)
	s := session{ID: scan.RandomText(shortIDLength), Role: role, Device: device, Bearer: bearer,
		Hash: hash(secret), Created: now, Seen: now}
	s.Subject = s.ID
	value, err := json.Marshal(s)
	if err != nil {
		return session{}, "", fmt.Errorf("encoding a session: %w", err)
	}
	if _, err := g.Records.Create(ctx, sessionKey+s.ID, value, g.expiry(s)); err != nil {
		return session{}, "", fmt.Errorf("storing a session: %w", err)
	}
	return s, s.ID + "." + secret, nil
}

// callerOf finds the session of a token. bearer says by which way the token came:
// each token works only by its own.
func (g *Guard) callerOf(ctx context.Context, token string, bearer bool) (Caller, error) {
	id, secret, ok := strings.Cut(token, ".")
	if !ok || !isText(id, shortIDLength) || !isText(secret, tokenLength) || g.Records == nil {
		return Caller{}, problem.SessionRequired.Error()
	}
	s, revision, err := g.readSession(ctx, id)
	if err != nil {
		return Caller{}, err
	}
	if subtle.ConstantTimeCompare(s.Hash, hash(secret)) != 1 || s.Bearer != bearer {
		return Caller{}, problem.SessionRequired.Error()
	}
	g.refresh(ctx, s, revision)
	return Caller{Session: s.ID, Subject: s.Subject, Role: s.Role}, nil
}

// readSession answers SessionExpired if there is no such session now.
func (g *Guard) readSession(ctx context.Context, id string) (session, uint64, error) {
	value, revision, err := g.Records.Get(ctx, sessionKey+id)
	if errors.Is(err, ErrNoRecord) {
		return session{}, 0, problem.SessionExpired.Error()
	}
	if err != nil {
		return session{}, 0, fmt.Errorf("reading a session: %w", err)
	}
	var s session
	if err := json.Unmarshal(value, &s); err != nil {
		return session{}, 0, fmt.Errorf("decoding a session: %w", err)
	}
	if !g.Now().Before(g.expiry(s)) {
		return session{}, 0, problem.SessionExpired.Error()
	}
	return s, revision, nil
}

// refresh notes that the session is in use. If the write fails the session is still
// good for this request; only its end comes earlier.
func (g *Guard) refresh(ctx context.Context, s session, revision uint64) {
	now := g.Now()
	if now.Sub(s.Seen) < refreshSession {
		return
	}
	s.Seen = now
	value, err := json.Marshal(s)
	if err == nil {
		_, err = g.Records.Update(ctx, sessionKey+s.ID, value, g.expiry(s), revision)
	}
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

func (g *Guard) describeSession(s session) api.Session {
	return api.Session{Id: s.ID, Role: s.Role, Device: s.Device,
		Created: scan.At(s.Created), Expires: scan.At(g.expiry(s))}
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
