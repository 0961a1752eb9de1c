package access

import (
	"net/http"

	"github.com/platen-scan/platen/proto/api"
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
	Handle  Handler
}

// Policy says who may use a route. Its zero value allows nobody and is refused when
// the guard is built: every route must name its policy.
type Policy struct {
	kind policyKind
	min  api.Role
}

type policyKind int

const (
	policyMissing   policyKind = iota
	policyAnonymous            // anybody whose Host and Origin pass
	policyProbe                // anonymous and, by design, readable by every origin
	policyRole                 // a session (or grant, or loopback trust) with at least a role
	policyLink                 // the gateway itself, over the link, without a user
	policyNode                 // a node by its TLS key
)

// Anonymous lets anybody in whose Host and Origin pass.
func Anonymous() Policy { return Policy{kind: policyAnonymous} }

// Probe is Anonymous for the one resource that every origin may read; see GET /service.
func Probe() Policy { return Policy{kind: policyProbe} }

// AtLeast asks for a caller whose role is min or more.
func AtLeast(min api.Role) Policy { return Policy{kind: policyRole, min: min} }

// LinkOnly asks for the gateway itself, over the link.
func LinkOnly() Policy { return Policy{kind: policyLink} }

// NodeOnly asks for a node by its TLS key.
func NodeOnly() Policy { return Policy{kind: policyNode} }

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
