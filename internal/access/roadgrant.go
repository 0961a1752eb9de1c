package access

import (
	"context"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	roadPurpose     = "platen-road/1"
	roadGrantLife   = 2 * time.Minute
	maxRoadLife     = 10 * time.Minute
	maxRoadPages    = 8
	maxRoadScanners = 256
	// MaxRoadGrant is the longest road grant, in characters: one that names as many
	// scanners as a gateway knows of a node, with everything that may be done with each.
	MaxRoadGrant = 32 << 10
)

// RoadGrant is a gateway's signed permission for a browser to open a direct road to a
// node: who asks, with what role, from which page, and what that is worth at each of the
// node's scanners. The node checks all of it again (GrantVerifier.VerifyRoad). It works
// once; a road is kept open by further ones.
type RoadGrant struct {
	ID      string   `json:"jti"`
	Gateway string   `json:"iss"` // pin of the gateway's key; Sign fills it in
	Node    string   `json:"aud"` // node ID
	Subject string   `json:"sub"` // as in Caller, in the gateway's name space
	Session string   `json:"session"`
	Name    string   `json:"name,omitempty"` // of the user, for people
	Role    api.Role `json:"role"`
	Origin  string   `json:"origin,omitempty"` // foreign web origin; "" for the gateway's own page and for programs
	Pages   []string `json:"pages,omitempty"`  // origins of the gateway's own page, where Origin is ""
	// Actions are what the user may do, by scanner ID. With one that is not there: nothing.
	Actions  map[string][]scan.Action `json:"actions,omitempty"`
	IssuedAt time.Time                `json:"iat"`
	Expires  time.Time                `json:"exp"` // at most ten minutes later
}

// NewRoadGrant lets the caller, who came from one of the gateway's own pages if from no
// foreign one, open a road to the node and do the actions with its scanners.
func NewRoadGrant(c Caller, node string, pages []string, actions map[string][]scan.Action, now time.Time) RoadGrant {
	if c.Origin != "" {
		pages = nil
	}
	return RoadGrant{
		ID: scan.RandomText(grantIDLength), Node: node,
		Subject: c.Subject, Session: c.Session, Name: c.Name, Role: c.Role, Origin: c.Origin, Pages: pages, Actions: actions,
		IssuedAt: now.UTC(), Expires: now.Add(roadGrantLife).UTC(),
	}
}

// Sign makes the token. The grant is the signer's whatever Gateway says.
func (g RoadGrant) Sign(gateway *identity.Identity) string {
	g.Gateway = gateway.Pin()
	return token.Sign(gateway, roadPurpose, g.Node, g)
}

// From reports whether the grant is for pages of this origin.
func (g RoadGrant) From(origin string) bool {
	if g.Origin != "" {
		return origin == g.Origin
	}
	return origin != "" && slices.Contains(g.Pages, origin)
}

// Renews reports whether the grant is for whoever had the other one.
func (g RoadGrant) Renews(other RoadGrant) bool {
	return g.Gateway == other.Gateway && g.Subject == other.Subject && g.Session == other.Session && g.Origin == other.Origin
}

// caller is who the node takes requests on the road to be from.
func (g RoadGrant) caller(max api.Role) Caller {
	c := gatewaysCaller(g.Gateway, g.Subject, g.Session)
	c.Name, c.Role, c.Origin, c.Road, c.Scanners = g.Name, lower(g.Role, max), g.Origin, RoadDirect, g.Actions
	if c.Scanners == nil {
		c.Scanners = map[string][]scan.Action{}
	}
	return c
}

// VerifyRoad judges a grant that is to open a road or to keep one open, and says for how
// long it is good from now on. Errors are GrantInvalid, GrantExpired, OriginNotAllowed or
// Unavailable.
func (v *GrantVerifier) VerifyRoad(ctx context.Context, text string) (g RoadGrant, left time.Duration, err error) {
	v.mu.Lock()
	gateway, first := v.gateway, v.first
	v.mu.Unlock()
	if err := token.OpenUpTo(MaxRoadGrant, text, gateway, roadPurpose, v.node, &g); err != nil {
		return RoadGrant{}, 0, problem.New(problem.GrantInvalid, "%v.", err)
	}
	if err := v.coversRoad(g, gateway); err != nil {
		return RoadGrant{}, 0, err
	}
	if err := v.allows(ctx, g.Origin); err != nil {
		return RoadGrant{}, 0, err
	}
	there, err := v.spend(use{g.ID, g.IssuedAt, g.Expires}, gateway, maxRoadLife)
	if err != nil {
		return RoadGrant{}, 0, err
	}
	// A road ends when its grant does, which leaves nothing for the skew: a grant that has
	// run out opens none. One of a gateway whose clock has gone ahead does not last longer.
	left = min(g.Expires.Sub(there), g.Expires.Sub(g.IssuedAt))
	if left <= 0 {
		return RoadGrant{}, 0, problem.GrantExpired.Error()
	}
	g.Gateway = first
	return g, left, nil
}

// coversRoad judges what the grant says, apart from time.
func (v *GrantVerifier) coversRoad(g RoadGrant, gateway string) error {
	if g.Gateway != gateway || g.Node != v.node {
		return problem.New(problem.GrantInvalid, "The grant is of another gateway or for another node.")
	}
	if err := names(g.ID, g.Subject, g.Session, g.Name, g.Role); err != nil {
		return err
	}
	if len(g.Pages) > maxRoadPages || slices.ContainsFunc(g.Pages, func(page string) bool {
		o, err := ParseOrigin(page)
		return err != nil || o.String() != page
	}) {
		return problem.New(problem.GrantInvalid, "The grant's pages are malformed.")
	}
	if len(g.Actions) > maxRoadScanners {
		return problem.New(problem.GrantInvalid, "The grant names too many scanners.")
	}
	prefix := scan.Prefix(v.node)
	for id, actions := range g.Actions {
		of, kind, err := scan.ParseID(id)
		if err != nil || kind != scan.KindScanner || of != prefix || len(actions) > len(scan.Actions) {
			return problem.New(problem.GrantInvalid, "The grant's scanners are malformed.")
		}
	}
	return nil
}
