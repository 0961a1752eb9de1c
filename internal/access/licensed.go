package access

import (
	"context"
	"regexp"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Terms are the licence that a foreign page's session goes by: keys or a handshake code,
// never both. The zero Terms are those of this end's configuration.
type Terms struct {
	ProductKey    string `json:"productKey,omitempty"` // several with semicolons
	HandshakeCode string `json:"handshakeCode,omitempty"`
}

// Licenser judges the licences of foreign pages: the desk of internal/license.
type Licenser interface {
	// Admit judges a new session of the origin whose browser calls itself client, which may be
	// "", and describes its licence; zero where none is asked for.
	Admit(ctx context.Context, t Terms, origin, client string) (api.SessionLicense, error)
}

var clientName = regexp.MustCompile(`^[A-Za-z0-9_-]{16,64}$`)

// license judges what a session request says of its licence, and notes it in the session.
func (g *Guard) license(ctx context.Context, s *session, body api.SessionRequest) (api.SessionLicense, error) {
	given := body.ProductKey != "" || body.HandshakeCode != "" || body.Client != ""
	switch {
	case body.ProductKey != "" && body.HandshakeCode != "":
		return api.SessionLicense{}, problem.LicenseBoth.Error()
	case s.Origin == "" && given:
		return api.SessionLicense{}, problem.New(problem.BadRequest, "Only pages of others bring a licence of their own.").At("productKey")
	case s.Origin == "" || g.License == nil:
		return api.SessionLicense{}, nil
	case body.Client != "" && !clientName.MatchString(body.Client):
		return api.SessionLicense{}, problem.New(problem.BadRequest, "It has 16 to 64 letters, digits, hyphens and underscores.").At("client")
	}
	s.Terms, s.Client = Terms{body.ProductKey, body.HandshakeCode}, body.Client
	return g.License.Admit(ctx, s.Terms, s.Origin, s.Client)
}
