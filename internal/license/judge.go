package license

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"strings"
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
	Suspect func() bool      // see Clock.Suspect; nil: it never is
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
	var k Key
	if err == nil {
		k, err = Parse(p.Key, vendors)
	}
	if err != nil {
		return Allowance{}, at(err, "node", j.End)
	}
	suspect := now.IsZero() && j.Suspect != nil && j.Suspect()
	if own := j.Clock(); own.After(now) {
		now = own
	}
	err = k.permits(claim, from, j.Node, now)
	if err == nil && suspect && !k.handed(claim, j.Node) {
		err = k.problem(problem.LicenseClock, "Its time cannot be told.")
	}
	var a Allowance
	if err == nil {
		a, err = k.covers(p, claim, from, j.Node, now)
	}
	if err != nil {
		return Allowance{}, at(err, "node", j.End)
	}
	return a, nil
}

// permits judges what a key says by itself of a claim that comes from a place and is for
// a node. node is "" where it is not known yet which one it will be.
func (k Key) permits(claim Claim, from Place, node string, now time.Time) error {
	return cmp.Or(k.For(claim.Origin), k.Has(claim.Module), k.at(from, node), k.During(now))
}

// handed reports whether what covers the claim was handed out for a time of its own, in
// which a clock that went back does no harm.
func (k Key) handed(claim Claim, node string) bool {
	return k.seated(claim, node) || k.Kind == Page && claim.Module == ""
}

// covers judges what was handed out for a claim that the key permits: the seat that it
// needs, and the blocks.
func (k Key) covers(p Permit, claim Claim, from Place, node string, now time.Time) (Allowance, error) {
	a := Allowance{Key: k, Origin: claim.Origin, Client: claim.Client}
	if k.seated(claim, node) {
		holder, origin := k.seat(claim, node)
		l, err := ParseLease(p.Lease)
		if err == nil {
			err = k.covered(l, from, holder, origin, now)
		}
		if err != nil {
			return a, err
		}
		a.Project = l.Project
	}
	if k.Kind != Page {
		return a, nil
	}
	var over error
	for _, text := range p.Blocks {
		b, err := ParseBlock(text, node)
		if err == nil {
			err = k.holds(b, from, now)
		}
		if problem.From(err).Code == problem.TrackingOffline {
			over = err // its time is over; another one may do
			continue
		}
		if err != nil {
			return a, err
		}
		a.Project = b.Project
		a.Blocks = append(a.Blocks, b)
	}
	if len(a.Blocks) > 0 || claim.Module != "" {
		return a, nil
	}
	if over != nil {
		return a, over
	}
	return a, k.problem(problem.LicensePages, "None are reserved for this node.")
}

// at judges the place from which a permit comes. What is counted is bound by the
// signatures of leases and blocks.
func (k Key) at(from Place, node string) error {
	switch {
	case len(k.Gateways)+len(k.Nodes) == 0 || k.BoundAt(from) || k.Bound("", node):
	case len(k.Gateways) > 0 && k.Kind.Tracked():
	case len(k.Nodes) > 0 && node == "":
	default:
		return k.problem(problem.LicenseElsewhere, "It is bound to others than this one.")
	}
	return nil
}

// seated reports whether the key's use at a node needs a seat. Platen's own pages, whose
// browsers have no names, need none for modules.
func (k Key) seated(claim Claim, node string) bool {
	switch k.Kind {
	case Browser, Concurrent:
		return claim.Origin != ""
	case PerNode:
		return node != "" && !k.Bound("", node)
	default:
		return false
	}
}

// seat says whose seat it is: the browser client's at one origin, or the node's.
func (k Key) seat(claim Claim, node string) (holder, origin string) {
	if k.Kind == PerNode {
		return node, ""
	}
	return claim.Client, claim.Origin
}

// at says at which end a problem was found.
func at(err error, what, name string) error {
	var found *problem.Error
	if !errors.As(err, &found) {
		return err
	}
	p := *found
	p.Detail = strings.TrimSpace(fmt.Sprintf("%s Checked by the %s %q.", p.Detail, what, name))
	return &p
}
