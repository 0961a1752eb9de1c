package access

import (
	"context"
	"crypto/ed25519"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// Road is the way by which a request reached this end. The listener that took the
// connection says it (Guard.Handler); nothing in the request can.
type Road string

// The roads.
const (
	RoadLoopback Road = "loopback" // a listener bound to a loopback address
	RoadLAN      Road = "lan"      // HTTPS or, where allowed, HTTP from other devices
	RoadLink     Road = "link"     // a gateway's request over the link: needs a grant
	RoadPublic   Road = "public"   // a gateway's browser side
	RoadNode     Road = "node"     // a gateway's node side: mutual TLS, enrolled or joining nodes
	RoadSetup    Road = "setup"    // the setup page's own ports: nobody is trusted there without a sign-in
	RoadDirect   Road = "direct"   // a browser that reaches a node without the gateway between them: the session's grant says who asks
	RoadESCL     Road = "escl"     // programs of the local network without a sign-in; only this process's own eSCL server speaks on it
)

// Sessions that are no records.
const (
	SessionLoopback = "loopback" // the machine's own user, by loopback trust or admin token
	SubjectLocal    = "local"    // owns what SessionLoopback makes
)

// Caller is who a request speaks for once every check has passed.
type Caller struct {
	Session string          // session ID; SessionLoopback on the machine itself
	Kind    api.SessionKind // how the session came to be
	Subject string          // owns jobs and documents: the user, else the session; SubjectLocal on loopback
	User    string          // user ID; "" for a device that was paired for nobody
	Name    string          // of the user, for people; "" without one
	Groups  []string        // of the user
	Role    api.Role        // never more than the road allows
	Origin  string          // of a foreign web page, checked; "" for this end's own page and for programs
	Terms   Terms           // licence that the session of a foreign page goes by
	Client  string          // what its browser calls itself; over a link what the gateway calls it (license.ClientHash)
	Permit  string          // on RoadLink: digest of the licence's permit beside the grant; "": there is none
	Road    Road
	Address string // of the peer, without its port; "" over a link
	Gateway string // pin of the gateway that vouches for the caller, as the node knew it first; "" without one
	// On RoadLink: pin of that gateway's present key, and its clock.
	GatewayKey  string
	GatewayTime time.Time
	Actions     []scan.Action // on RoadLink: what the gateway permits on the scanner of the path
	// Scanners are what the gateway permits, by scanner ID, on RoadDirect. With others: nothing.
	Scanners map[string][]scan.Action
	Key      ed25519.PublicKey // of the node that calls, on RoadNode
	Node     string            // ID of the node that calls, on RoadNode, where it is enrolled; see Policy.Nodes
}

// May reports whether the caller's role is at least min.
func (c Caller) May(min api.Role) bool { return rank(c.Role) > 0 && rank(c.Role) >= rank(min) }

// Sees reports whether the caller may see what belongs to owner.
func (c Caller) Sees(owner string) bool {
	return c.May(api.RoleOperator) || c.Subject != "" && c.Subject == owner
}

type callerKey struct{}

// WithCaller attaches the caller of a request.
func WithCaller(ctx context.Context, c Caller) context.Context {
	return context.WithValue(ctx, callerKey{}, c)
}

// CallerOf is the caller of the request that ctx belongs to; one without a role, who
// may nothing, for an anonymous one.
func CallerOf(ctx context.Context) Caller {
	c, _ := ctx.Value(callerKey{}).(Caller)
	return c
}

// internal reports whether there is no page to judge on the road and none to serve: only
// our own programs speak there, or a script that writes its requests itself, so that no
// browser's word stands in them.
func (r Road) internal() bool {
	return r == RoadLink || r == RoadDirect || r == RoadNode || r == RoadESCL
}

// granted reports whether it is a gateway's grant that says who asks.
func (r Road) granted() bool { return r == RoadLink || r == RoadDirect }
