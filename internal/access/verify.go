package access

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const (
	clockSkew = 60 * time.Second
	// maxRemembered grants are kept apart at a time. More than that within their life
	// is no honest gateway's doing.
	maxRemembered = 1 << 18
)

// GrantVerifier judges grants at a node. It trusts one gateway, and tells time by
// that gateway's clock, carried on by this process's own monotonic one: a node's wall
// clock may be anything. It is safe for concurrent use.
type GrantVerifier struct {
	node    string
	origins *Origins

	mu      sync.Mutex
	gateway string    // pin; "": nobody is trusted
	first   string    // pin of the key that the gateway had at first: its users' name space
	clock   time.Time // the gateway's, when set
	set     time.Time // ours, with the monotonic reading
	floor   time.Time // the gateway's clock at its first hello to this process
	used    map[string]time.Time
	swept   time.Time
}

// NewGrantVerifier makes a verifier for the node with this ID. It trusts nobody yet.
// Foreign pages need the node's word too: a grant's origin is one of the origins.
func NewGrantVerifier(node string, origins *Origins) *GrantVerifier {
	return &GrantVerifier{node: node, origins: origins, used: map[string]time.Time{}}
}

// Trust takes grants of the gateway whose key has this pin and of no other from now
// on. "" takes none. The clock must be set anew when the gateway is another one.
func (v *GrantVerifier) Trust(pin string) { v.TrustSuccessor(pin, pin) }

// TrustSuccessor is Trust for a gateway that has changed its key since the node knew it
// by the first pin. Its users stay who they were.
func (v *GrantVerifier) TrustSuccessor(pin, first string) {
	v.mu.Lock()
	defer v.mu.Unlock()
	if pin == v.gateway {
		return
	}
	v.gateway, v.first = pin, first
	v.clock, v.set, v.floor = time.Time{}, time.Time{}, time.Time{}
	clear(v.used)
}

// SetClock takes the time from the hello over a new link.
func (v *GrantVerifier) SetClock(timeToken string) error {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	var c timeClaims
	if err := token.Open(timeToken, v.gateway, timePurpose, v.node, &c); err != nil {
		return problem.New(problem.GrantInvalid, "The gateway's time: %v.", err).At("time")
	}
	if c.Time.IsZero() {
		return problem.New(problem.GrantInvalid, "The gateway's time is missing.").At("time")
	}
	v.clock, v.set = c.Time, now
	if v.floor.IsZero() {
		v.floor = c.Time
	}
	return nil
}

// voucher is the gateway that gave a grant.
type voucher struct {
	key  string    // pin of its present key
	time time.Time // what time it is there
}

// verify judges the grant that came with a request for the escaped path. Errors are
// GrantInvalid, GrantExpired, OriginNotAllowed or Unavailable.
func (v *GrantVerifier) verify(ctx context.Context, text, method, path string) (Grant, voucher, error) {
	v.mu.Lock()
	gateway, first := v.gateway, v.first
	v.mu.Unlock()
	var g Grant
	if err := token.Open(text, gateway, grantPurpose, v.node, &g); err != nil {
		return Grant{}, voucher{}, problem.New(problem.GrantInvalid, "%v.", err)
	}
	if err := v.covers(g, gateway, method, path); err != nil {
		return Grant{}, voucher{}, err
	}
	if err := v.allows(ctx, g.Origin); err != nil {
		return Grant{}, voucher{}, err
	}
	there, err := v.spend(use{g.ID, g.IssuedAt, g.Expires}, gateway, maxGrantLife)
	if err != nil {
		return Grant{}, voucher{}, err
	}
	g.Gateway = first
	return g, voucher{gateway, there}, nil
}

// covers judges what the grant says, apart from time.
func (v *GrantVerifier) covers(g Grant, gateway, method, path string) error {
	invalid := func(why string) error { return problem.New(problem.GrantInvalid, "%s", why) }
	switch {
	case g.Gateway != gateway || g.Node != v.node:
		return invalid("The grant is of another gateway or for another node.")
	case g.Method != method || g.Path != path:
		return invalid("The grant is for another request.")
	case g.Job != jobOf(path):
		return invalid("The grant is for another job.")
	}
	return names(g.ID, g.Subject, g.Session, g.Name, g.Role)
}

// names judges who a grant says asks.
func names(id, subject, session, name string, role api.Role) error {
	switch {
	case rank(role) == 0 || subject == "" || session == "" || !isText(id, grantIDLength):
		return problem.New(problem.GrantInvalid, "The grant does not say who asks.")
	case strings.ContainsFunc(subject+session+name, func(c rune) bool { return c < ' ' || c == 0x7f }):
		return problem.New(problem.GrantInvalid, "The grant's names are malformed.")
	}
	return nil
}

// allows asks the node's own list: what the gateway allows is not enough.
func (v *GrantVerifier) allows(ctx context.Context, origin string) error {
	if origin == "" {
		return nil
	}
	o, err := ParseOrigin(origin)
	if err != nil || o.String() != origin || !v.origins.Allows(ctx, o) {
		return problem.OriginNotAllowed.Error()
	}
	return nil
}

// use is what of a grant matters for using it once, in its time.
type use struct {
	id           string
	from, before time.Time
}

// spend judges the time of a grant that may live so long and makes sure that it is used
// once. there is what time it is at the gateway.
func (v *GrantVerifier) spend(g use, gateway string, longest time.Duration) (there time.Time, err error) {
	now := time.Now()
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.clock.IsZero() || v.gateway != gateway {
		return there, problem.New(problem.GrantInvalid, "The gateway has not said its time over this link.")
	}
	there = v.clock.Add(now.Sub(v.set))
	life := g.before.Sub(g.from)
	switch {
	case life <= 0 || life > longest || g.from.After(there.Add(clockSkew)):
		return there, problem.New(problem.GrantInvalid, "The grant's time is not possible.")
	case !there.Before(g.before.Add(clockSkew)):
		return there, problem.GrantExpired.Error()
	case g.from.Before(v.floor):
		return there, problem.GrantExpired.Error() // from before this process: it may have been used then
	}
	if _, replayed := v.used[g.id]; replayed {
		return there, problem.New(problem.GrantInvalid, "The grant was used before.")
	}
	if len(v.used) >= maxRemembered || now.Sub(v.swept) > clockSkew {
		v.forgetLocked(there, now)
	}
	if len(v.used) >= maxRemembered {
		return there, problem.Unavailable.Error().After(clockSkew)
	}
	v.used[g.id] = g.before.Add(clockSkew)
	return there, nil
}

// forgetLocked drops grants that have run out.
func (v *GrantVerifier) forgetLocked(there, now time.Time) {
	if now.Sub(v.swept) < time.Second {
		return // it was just done
	}
	v.swept = now
	for id, until := range v.used {
		if there.After(until) {
			delete(v.used, id)
		}
	}
}
