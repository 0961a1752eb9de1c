package access

import (
	"net/http"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// Handler answers a request that passed the guard. The error it returns is written
// as a problem document, unless the answer has begun: then the stream is reset.
type Handler func(w http.ResponseWriter, r *http.Request) error

// Route is one row of an end's route table. Methods, Allow, preflight answers,
// policy and the check against the API document all come from the table.
type Route struct {
	Method  string
	Path    string // as in http.ServeMux, with the /api/v1 prefix: "/api/v1/jobs/{job}"
	Policy  Policy
	MaxBody int64 // bytes; 0: no body is read
	// Audit is the action that the audit log calls this, as "session.create"; "" if it
	// keeps no record. Where the log cannot be written the request is refused.
	Audit  string
	Handle Handler
}

// Policy says who may use a route. Its zero value allows nobody and is refused when
// the guard is built: every route must name its policy.
type Policy struct {
	kind     policyKind
	min      api.Role
	often    quota
	parallel int
	direct   bool
	ownPages bool
	tickets  bool
	nodes    bool
	needs    scan.Action
}

type policyKind int

const (
	policyMissing   policyKind = iota
	policyAnonymous            // anybody whose Host and Origin pass
	policyProbe                // anonymous and, by design, readable by every origin
	policyRole                 // a session (or grant, or loopback trust) with at least a role
	policyLink                 // the gateway itself, over the link, without a user
	policyNode                 // a node by its TLS key
	policySetup                // an administrator, on RoadSetup
	policyRoad                 // whoever opens a direct road, by what the body says
)

// quota is so many requests in a period; the zero quota has no bound.
type quota struct {
	n   int
	per time.Duration
}

// Anonymous lets anybody in whose Host and Origin pass. Over a link or a direct road it still takes a grant.
func Anonymous() Policy { return Policy{kind: policyAnonymous} }

// Probe is Anonymous for the one resource that every origin may read; see GET /service.
func Probe() Policy { return Policy{kind: policyProbe} }

// AtLeast asks for a caller whose role is min or more.
func AtLeast(min api.Role) Policy { return Policy{kind: policyRole, min: min} }

// LinkOnly asks for the gateway itself, over the link. On other roads there is no such route.
func LinkOnly() Policy { return Policy{kind: policyLink} }

// NodeOnly asks for a node by its TLS key, which may be anybody's. On other roads than
// RoadNode there is no such route.
func NodeOnly() Policy { return Policy{kind: policyNode} }

// RoadOnly is for what opens a direct road: nobody is known there yet. On other roads
// there is no such route.
func RoadOnly() Policy { return Policy{kind: policyRoad} }

// Setup asks for an administrator on the ports of the setup page. Elsewhere there is no
// such route.
func Setup() Policy { return Policy{kind: policySetup, min: api.RoleAdmin} }

// Needs asks for a permission too, on the scanner that the path value "scanner" names.
// Who may not even see it is told that there is no such scanner.
func (p Policy) Needs(a scan.Action) Policy {
	p.needs = a
	return p
}

// Limit bounds how often one session may use the route: n requests in any period,
// then too-many-requests.
func (p Policy) Limit(n int, per time.Duration) Policy {
	p.often = quota{n, per}
	return p
}

// Parallel bounds how many answers of the route one session may be receiving at
// once. One more waits for up to ten seconds, then it is too-many-requests.
func (p Policy) Parallel(n int) Policy {
	p.parallel = n
	return p
}

// Direct takes the route off links: a gateway cannot use it for anybody.
func (p Policy) Direct() Policy {
	p.direct = true
	return p
}

// OwnPages keeps web pages of others out, allowed origins too. Programs may use the route.
func (p Policy) OwnPages() Policy {
	p.ownPages = true
	return p
}

// Nodes opens an AtLeast(kiosk) route to enrolled nodes too, on RoadNode, by their TLS
// key in place of a session. What they may there is Config.NodeMay's to say: Needs does
// that for a scanner of the path, and for what belongs to a scanner the handler.
func (p Policy) Nodes() Policy {
	p.nodes = true
	return p
}

// Tickets lets a link of POST /tickets take the place of a session. For GET routes of
// page images and the content of documents.
func (p Policy) Tickets() Policy {
	p.tickets = true
	return p
}

// On reports whether the route exists on the road. On a direct one nothing is changed: that
// goes through the gateway, whose limits and audit log see it.
func (r Route) On(road Road) bool {
	reads := r.Method == http.MethodGet && r.Audit == ""
	return r.Policy.On(road) && (road != RoadDirect || reads || r.Policy.kind == policyRoad)
}

// On reports whether a route with this policy may exist on the road; see Route.On.
func (p Policy) On(road Road) bool {
	switch p.kind {
	case policyLink:
		return road == RoadLink
	case policyNode:
		return road == RoadNode
	case policySetup:
		return road == RoadSetup
	case policyRoad:
		return road == RoadDirect
	case policyAnonymous, policyProbe, policyRole:
		switch road {
		case RoadLink:
			return !p.direct
		case RoadNode:
			return p.nodes && p.forKiosks()
		case RoadESCL:
			return p.forKiosks()
		case RoadDirect: // the SDK asks for the probe to see whether the road still goes
			return p.forKiosks() || p.kind == policyProbe
		}
		return true
	}
	return false
}

// forKiosks reports whether the route is about scanners and what is made with them, and
// not about sign-in, users or this end itself: those routes ask for more than the least
// role, or are Direct or OwnPages.
func (p Policy) forKiosks() bool {
	return p.kind == policyRole && p.min == api.RoleKiosk && !p.direct && !p.ownPages
}

// Role is the least role that the policy asks for; "" if it asks for none.
func (p Policy) Role() api.Role { return p.min }

// ForForeignPages reports whether pages of allowed origins may use the route on the road.
func (p Policy) ForForeignPages(road Road) bool { return !p.ownPages && road != RoadSetup }

// TakesTickets reports whether a link of POST /tickets may take the place of a session.
func (p Policy) TakesTickets() bool { return p.tickets }

// Probes reports whether every origin may read the anonymous answer.
func (p Policy) Probes() bool { return p.kind == policyProbe }

// rank orders the roles: kiosk < user < operator < admin. An unknown role is below all.
func rank(r api.Role) int {
	switch r {
	case api.RoleKiosk:
		return 1
	case api.RoleUser:
		return 2
	case api.RoleOperator:
		return 3
	case api.RoleAdmin:
		return 4
	}
	return 0
}

// lower is the lesser of two roles.
func lower(a, b api.Role) api.Role {
	if rank(a) < rank(b) {
		return a
	}
	return b
}
