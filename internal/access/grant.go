package access

import (
	"net/http"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	grantPurpose  = "platen-grant/1"
	grantLife     = 30 * time.Second
	maxGrantLife  = 60 * time.Second
	grantIDLength = 26 // base32 characters: 130 bits
)

// Grant is a gateway's signed permission for one request over a link: who asks, with
// what role, for which method and path, at which node. The node checks all of it
// again (GrantVerifier). It works once.
type Grant struct {
	ID      string   `json:"jti"`
	Gateway string   `json:"iss"` // pin of the gateway's key; Sign fills it in
	Node    string   `json:"aud"` // node ID
	Subject string   `json:"sub"` // as in Caller, in the gateway's name space
	Session string   `json:"session"`
	Name    string   `json:"name,omitempty"` // of the user, for people
	Role    api.Role `json:"role"`
	Origin  string   `json:"origin,omitempty"` // foreign web origin; "" for the gateway's own page and for programs
	Client  string   `json:"client,omitempty"` // what licences call its browser; "": it has not named itself
	Permit  string   `json:"permit,omitempty"` // digest of the licence's permit beside the grant; "": there is none
	Method  string   `json:"method"`
	Path    string   `json:"path"`          // escaped, without query
	Job     string   `json:"job,omitempty"` // the job that the path is of; "" if of none
	// Actions are what the user may do with the scanner of the path; nil: the gateway did not say.
	Actions  []scan.Action `json:"actions,omitzero"`
	IssuedAt time.Time     `json:"iat"`
	Expires  time.Time     `json:"exp"` // at most 60 s later
}

// NewGrant is the grant for a request that goes out to the node for the caller, who may
// do the actions with the scanner of its path. Without a scanner there are none to give.
func NewGrant(c Caller, node string, out *http.Request, now time.Time, actions ...scan.Action) Grant {
	path := out.URL.EscapedPath()
	return Grant{
		ID: scan.RandomText(grantIDLength), Node: node,
		Subject: c.Subject, Session: c.Session, Name: c.Name, Role: c.Role, Origin: c.Origin,
		Method: out.Method, Path: path, Job: jobOf(path), Actions: actions,
		IssuedAt: now.UTC(), Expires: now.Add(grantLife).UTC(),
	}
}

// Sign makes the value of HeaderGrant. The grant is the signer's whatever Gateway says.
func (g Grant) Sign(gateway *identity.Identity) string {
	g.Gateway = gateway.Pin()
	return token.Sign(gateway, grantPurpose, g.Node, g)
}

// caller is who the node takes the request to be from. A gateway's subjects have a
// name space of their own, so that none can be taken for a user of the node itself.
func (g Grant) caller(max api.Role) Caller {
	c := gatewaysCaller(g.Gateway, g.Subject, g.Session)
	c.Name, c.Role, c.Origin, c.Road, c.Actions = g.Name, lower(g.Role, max), g.Origin, RoadLink, g.Actions
	c.Client, c.Permit = g.Client, g.Permit
	return c
}

// gatewaysCaller is whom the gateway with this first pin knows by the subject and session,
// the same over its links and on direct roads.
func gatewaysCaller(pin, subject, session string) Caller {
	const enough = 12 // characters of the pin: 72 bits
	return Caller{Session: "gw-" + session, Subject: "gw-" + cut(pin, enough) + ":" + subject, Gateway: pin}
}

// jobOf is the job ID in the path of a job or of something that belongs to one.
func jobOf(path string) string {
	rest, ok := strings.CutPrefix(path, "/api/v1/jobs/")
	if !ok {
		return ""
	}
	id, _, _ := strings.Cut(rest, "/")
	return id
}

// timeClaims is the content of a time token.
type timeClaims struct {
	Time time.Time `json:"time"`
}

const timePurpose = "platen-time/1"

// TimeToken is the gateway's clock, signed for one node: the member time of the hello
// that begins a link. The node judges grants by it (GrantVerifier.SetClock).
func TimeToken(gateway *identity.Identity, node string, now time.Time) string {
	return token.Sign(gateway, timePurpose, node, timeClaims{now.UTC()})
}
