package license

import (
	"context"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
)

// Desk finds what covers sessions and requests, where browsers sign in: at a gateway, and
// at a node for those who come to it without one. Its methods are safe for concurrent use.
type Desk struct {
	cfg DeskConfig
}

var _ access.Licenser = (*Desk)(nil)

// DeskConfig is what a desk is made of.
type DeskConfig struct {
	Place   func() Place        // this end
	End     string              // its name, for people
	Vendors func() []string     // pins; none: no licence is asked for
	Own     func() access.Terms // of platen.ini, for sessions that bring none
	Server  Tracking            // nil: nothing that is counted can be used
	Clock   func() time.Time    // see Clock.Now
	// Records keep what was leased, so that it is there when the server cannot be reached;
	// nil: memory alone does.
	Records access.Records
}

// NewDesk makes a desk.
func NewDesk(cfg DeskConfig) *Desk { return &Desk{cfg: cfg} }

// Admit judges a new session of a foreign page. A seat is taken for its browser, where
// the licence counts browsers. Errors are the license codes.
func (d *Desk) Admit(ctx context.Context, t access.Terms, origin, client string) (api.SessionLicense, error) {
	panic("not written")
}

// Permit is what covers what the caller's page wants, or the module that anybody calls, at the
// node, which is to scan so many pages; zero where no licence is needed. A session's own
// terms go before those of platen.ini.
func (d *Desk) Permit(ctx context.Context, c access.Caller, module Module, node string, pages int) (Permit, error) {
	panic("not written")
}

// Allows reports whether a key of platen.ini names the origin, so that its pages may ask
// (access.Origins.Licensed).
func (d *Desk) Allows(o access.Origin) bool {
	panic("not written")
}
