package license

import (
	"context"
	"time"

	"github.com/platen-scan/platen/proto/problem"
)

// Claim is what somebody wants to do.
type Claim struct {
	Origin string // of the foreign page that asks; "": Platen's own page, the command line or eSCL
	Client string // ClientHash of its browser; "": it named none
	Module Module // that is called; "": pages are to be scanned
}

// Free reports whether the claim needs no licence, whoever's are trusted: scanning by
// Platen's own means.
func (c Claim) Free() bool { return c.Origin == "" && c.Module == "" }

// Allowance is what a job or request goes under, once it is judged. The zero Allowance is
// that of what needs no licence.
type Allowance struct {
	Key     Key     // zero: none
	Project string  // handshake code
	Blocks  []Block // pages of this node; none: they are not counted
	Client  string
	Origin  string
}

// Judge checks permits where the paper is. It has no state: what was spent of a block is
// in the node's page store. Its methods are safe for concurrent use.
type Judge struct {
	// Vendors are the pins of those whose keys are taken; none: no licence is asked for.
	Vendors func() []string
	Node    string           // ID of this node
	Clock   func() time.Time // see Clock.Now
	End     string           // name of this end, for people
}

// Judge checks that a permit which came from the place covers the claim. now is the
// gateway's clock where that is known, else zero. Without vendors everything is allowed.
func (j *Judge) Judge(_ context.Context, claim Claim, from Place, permit string, now time.Time) (Allowance, error) {
	vendors := j.Vendors()
	if len(vendors) == 0 || claim.Free() {
		return Allowance{}, nil
	}
	if permit == "" {
		return Allowance{}, problem.New(problem.LicenseMissing, "Asked for by node %q.", j.End)
	}
	p, err := ParsePermit(permit)
	if err != nil {
		return Allowance{}, err
	}
	k, err := Parse(p.Key, vendors)
	if err != nil {
		return Allowance{}, err
	}
	if own := j.Clock(); own.After(now) {
		now = own
	}
	a, err := j.covers(k, p, claim, from, now)
	if err != nil {
		return Allowance{}, at(err, "node", j.End)
	}
	return a, nil
}

func (j *Judge) covers(k Key, p Permit, claim Claim, from Place, now time.Time) (Allowance, error) {
	a := Allowance{Key: k, Origin: claim.Origin, Client: claim.Client}
	if err := k.During(now); err != nil {
		return a, err
	}
	if err := k.For(claim.Origin); err != nil {
		return a, err
	}
	if err := k.Has(claim.Module); err != nil {
		return a, err
	}
	if err := k.at(from, j.Node); err != nil {
		return a, err
	}
	if k.seated(j.Node) {
		holder := claim.Client
		if k.Kind == PerNode {
			holder = j.Node
		}
		l, err := ParseLease(p.Lease)
		if err != nil {
			return a, err
		}
		origin := claim.Origin
		if k.Kind == PerNode {
			origin = ""
		}
		if err := k.covers(l, from, holder, origin, now); err != nil {
			return a, err
		}
		a.Project = l.Project
	}
	if k.Kind != Page {
		return a, nil
	}
	for _, text := range p.Blocks {
		b, err := ParseBlock(text, j.Node)
		if err != nil {
			return a, err
		}
		if err := k.holds(b, from, now); err != nil {
			return a, err
		}
		a.Project = b.Project
		a.Blocks = append(a.Blocks, b)
	}
	if len(a.Blocks) == 0 && claim.Module == "" {
		return a, k.problem(problem.LicensePages, "None are reserved for this node.")
	}
	return a, nil
}

// at judges the place from which a permit comes. What is counted is bound by the
// signatures of leases and blocks.
func (k Key) at(from Place, node string) error {
	if len(k.Gateways)+len(k.Nodes) == 0 || k.Bound(from.name(), "") || k.Bound("", node) || len(k.Gateways) > 0 && k.Kind.Tracked() {
		return nil
	}
	return k.problem(problem.LicenseElsewhere, "It is bound to others than this one.")
}

// seated reports whether the use of a key at a node needs a seat.
func (k Key) seated(node string) bool {
	return k.Kind == Browser || k.Kind == Concurrent || k.Kind == PerNode && !k.Bound("", node)
}

// at says at which end a problem was found.
func at(err error, what, name string) error {
	p := *problem.From(err)
	p.Detail += " Checked by the " + what + " \"" + name + "\"."
	return &p
}
