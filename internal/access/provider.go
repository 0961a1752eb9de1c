package access

import (
	"context"
	"net/http"

	"github.com/platen-scan/platen/proto/api"
)

// Provider is a way to sign in that another package knows: OpenID Connect, passkeys.
type Provider interface {
	// Offer adds to the answer of GET /sign-in what this provider offers for the request.
	Offer(r *http.Request, s *api.SignIn)
	// Routes are what the provider needs beside POST /sessions. users is the guard.
	Routes(users Users) []Route
	// SignIn judges the part of a POST /sessions that is this provider's. ok is false if
	// the request holds no such part.
	SignIn(ctx context.Context, r *http.Request, body api.SessionRequest, users Users) (p Person, ok bool, err error)
}

// Person is whom a provider vouches for.
type Person struct {
	User string          // user ID
	Kind api.SessionKind // of the session that is to be
}

// Users is what providers may ask of the guard.
type Users interface {
	// Store keeps what the provider must remember, under keys that begin with its name.
	Store() Records
	// UserOf finds a user; NotFound, UserLocked.
	UserOf(ctx context.Context, id string) (api.User, error)
	// Upsert finds the user that a provider knows by this subject, and makes it at the
	// first sign-in; name, role and groups are as the provider says now.
	Upsert(ctx context.Context, source, subject string, u api.UserRequest) (api.User, error)
}

// OwnOrigin is that of our own page at the address by which a request came. The guard
// has judged the Host before any handler runs.
func OwnOrigin(r *http.Request) Origin {
	at, _ := ParseAuthority(r.Host, defaultPort(scheme(r)))
	return Origin{Scheme: scheme(r), Authority: at}
}
