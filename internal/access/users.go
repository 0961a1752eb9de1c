package access

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	userKey    = "user."
	passkeyKey = "passkey." // passkey.<user>.<id>: kept by the provider of passkeys
	userFor    = claimFor   // a user stays as long as the installation

	maxGroups         = 50
	maxProviderGroups = 500 // that a provider may say: more than people would type
)

// user is the record of a person.
type user struct {
	ID      string         `json:"id"`
	Name    string         `json:"name"`
	Role    api.Role       `json:"role"`
	Groups  []string       `json:"groups,omitempty"`
	Source  api.UserSource `json:"source"`
	Locked  bool           `json:"locked,omitempty"`
	Created time.Time      `json:"created"`
	Seen    time.Time      `json:"seen,omitzero"` // when the provider last vouched for them
}

func (u user) describe() api.User {
	return api.User{Id: u.ID, Name: u.Name, Role: u.Role, Groups: u.Groups, Source: u.Source, Locked: u.Locked,
		Created: scan.At(u.Created), Seen: seenAt(u.Seen)}
}

// seenAt is a time that may not have come; the zero Time is left out of answers.
func seenAt(t time.Time) scan.Time {
	if t.IsZero() {
		return scan.Time{}
	}
	return scan.At(t)
}

var _ Users = (*Guard)(nil)

// Store implements Users.
func (g *Guard) Store() Records { return g.Records }

// UserOf implements Users.
func (g *Guard) UserOf(ctx context.Context, id string) (api.User, error) {
	u, err := g.unlocked(ctx, id)
	if err != nil {
		return api.User{}, err
	}
	return u.describe(), nil
}

// HasUsers reports whether any person has an account here.
func (g *Guard) HasUsers(ctx context.Context) (bool, error) {
	found := errors.New("there is one")
	err := g.Records.List(ctx, userKey, func(string, []byte) error { return found })
	if errors.Is(err, found) {
		return true, nil
	}
	return false, err
}

// unlocked finds a user who may sign in; NotFound, UserLocked.
func (g *Guard) unlocked(ctx context.Context, id string) (user, error) {
	u, err := g.user(ctx, id)
	if err == nil && u.Locked {
		err = problem.UserLocked.Error()
	}
	return u, err
}

// user finds a user as they were at most a moment ago; NotFound.
func (g *Guard) user(ctx context.Context, id string) (user, error) {
	return g.users.get(id, g.Now(), func() (user, error) {
		u, _, err := g.readUser(ctx, id)
		return u, err
	})
}

func (g *Guard) readUser(ctx context.Context, id string) (user, uint64, error) {
	if g.Records == nil || !isText(id, shortIDLength) {
		return user{}, 0, problem.NotFound.Error()
	}
	u, revision, err := GetRecord[user](ctx, g.Records, userKey+id)
	if errors.Is(err, ErrNoRecord) {
		err = problem.NotFound.Error()
	}
	return u, revision, err
}

// writeUser replaces the record with that revision; 0: there is none.
func (g *Guard) writeUser(ctx context.Context, u user, revision uint64) error {
	if err := PutRecord(ctx, g.Records, userKey+u.ID, u, g.Now().Add(userFor), revision); err != nil {
		return err
	}
	g.users.forget()
	return nil
}

// editUser changes a user. What a session has under way when the user loses a right
// is cut off; the session of a locked user ends.
func (g *Guard) editUser(ctx context.Context, id string, edit func(*user) error) (user, error) {
	var before, after user
	err := withRetry(ctx, func() error {
		var revision uint64
		var err error
		if before, revision, err = g.readUser(ctx, id); err != nil {
			return err
		}
		after = before
		if err := edit(&after); err != nil {
			return err
		}
		return g.writeUser(ctx, after, revision)
	})
	if err != nil {
		return user{}, err
	}
	return after, g.enforce(ctx, before, after)
}

// enforce makes an edit hold for what is under way.
func (g *Guard) enforce(ctx context.Context, before, after user) error {
	ofUser := func(s session) bool { return s.User == after.ID }
	if after.Locked {
		return g.endSessions(ctx, ofUser)
	}
	if before.Role == after.Role && slices.Equal(before.Groups, after.Groups) {
		return nil
	}
	all, err := g.sessionsWhere(ctx, ofUser)
	for _, s := range all {
		g.live.end(s.ID) // the page asks again, with the new rights
	}
	return err
}

// Upsert implements Users. The ID comes from source and subject, so that of two first
// sign-ins at once both find the same user.
func (g *Guard) Upsert(ctx context.Context, source, subject string, u api.UserRequest) (api.User, error) {
	if g.Records == nil {
		return api.User{}, problem.Unavailable.Error()
	}
	if rank(u.Role) == 0 || subject == "" {
		return api.User{}, fmt.Errorf("a user of %s without a subject or with the role %q", source, u.Role)
	}
	sum := sha256.Sum256([]byte(source + "\x00" + subject))
	id := strings.ToLower(base32.StdEncoding.EncodeToString(sum[:]))[:shortIDLength]
	var before, after user
	err := withRetry(ctx, func() error {
		old, revision, err := g.readUser(ctx, id)
		switch {
		case isNotFound(err):
			old = user{ID: id, Source: api.UserSource(source), Created: g.Now()}
		case err != nil:
			return err
		case old.Locked:
			return problem.UserLocked.Error()
		}
		before, after = old, old
		after.Name, after.Role, after.Groups, after.Seen = printable(u.Name), u.Role, providerGroups(u.Groups), g.Now()
		return g.writeUser(ctx, after, revision)
	})
	if err != nil {
		return api.User{}, err
	}
	return after.describe(), g.enforce(ctx, before, after)
}

// printable makes a name that a provider gave fit to be shown.
func printable(name string) string {
	name = strings.TrimSpace(strings.Map(func(c rune) rune {
		if unprintable(c) {
			return -1
		}
		return c
	}, name))
	if r := []rune(name); len(r) > maxLabel {
		name = string(r[:maxLabel])
	}
	if name == "" {
		return "?"
	}
	return name
}

// providerGroups leaves out names that no permission could have.
func providerGroups(groups []string) []string {
	kept := slices.DeleteFunc(slices.Clone(groups), func(name string) bool { return name == "" || CheckLabel("groups", name) != nil })
	return kept[:min(len(kept), maxProviderGroups)]
}

func isNotFound(err error) bool { return errors.Is(err, problem.NotFound.Error()) }
