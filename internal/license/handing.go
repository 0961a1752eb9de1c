package license

import (
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// MaxBlocks is how many blocks one permit holds.
const MaxBlocks = maxBlocks

// What a tracking server asks of a key before it hands something out: what the judges
// will ask of it.

// Permits judges what the key says by itself of a claim that comes from a place and is
// for a node. node is "" where it is not known yet.
func (k Key) Permits(c Claim, from Place, node string, now time.Time) error {
	return k.permits(c, from, node, now)
}

// Seat says whose seat a claim at a node needs: of a browser client at one origin, or of
// the node. needed is false where it needs none.
func (k Key) Seat(c Claim, node string) (holder, origin string, needed bool) {
	if !k.seated(c, node) {
		return "", "", false
	}
	holder, origin = k.seat(c, node)
	return holder, origin, true
}

// Over is by how much the quantity may be passed.
func (k Key) Over() int64 { return k.over() }

// Until is the last moment in which what ends then may be used, with the key's grace.
func (k Key) Until(end time.Time) time.Time { return k.until(end) }

// Problem is one of this licence, for people.
func (k Key) Problem(code problem.Code, format string, args ...any) *problem.Error {
	return k.problem(code, format, args...)
}

// Described is the key as the API describes it, with what is wrong with it.
func (k Key) Described(err error) api.LicenseKey {
	described := k.API()
	if err != nil {
		described.Problem = problemOf(err)
	}
	return described
}

// Progress is how far the checks of a key came before a problem: of several keys that do
// not cover a claim, the one that came nearest to it has the words that help.
func Progress(err error) int { return progress(err) }
