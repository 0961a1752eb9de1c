// Package audit is the append-only log of what was done: each record is chained to the
// one before by its hash, and the head of the chain is signed, so that nobody can take
// out or change a record unseen. It never holds content: no page, no file name, no text.
//
// Node and gateway open one Log each; internal/access appends to it, the setup page and
// the command line read it, and a gateway keeps the last Head of each node, so that it
// sees when a node's log became shorter. The log fails closed: it refuses to go on with
// a chain that is broken, and says that it is not ready while nothing can be written.
//
// The files are JSON lines. A record line is one object whose last member is hash: the
// SHA-256, in hexadecimal, of the hash before (64 characters; zeros before the first
// record) followed by the line's bytes without that member. A head line signs the hash
// of the record before it.
package audit

import (
	"strings"
	"time"
)

// Result is how an action ended.
type Result string

// The results.
const (
	OK      Result = "ok"
	Refused Result = "refused"
	Failed  Result = "failed"
)

// Entry is what a caller says of one action; the log adds number, time and hash.
type Entry struct {
	Action  string // as "session.create"
	Result  Result
	Who     string // user or session
	Role    string
	Road    string
	Origin  string
	Address string
	Target  string // ID of what it was done to
	Detail  string
	Request string    // ID of the request in the log
	Time    time.Time // zero: now
}

// Record is an entry as it is stored. Its members stand in this order in the file.
type Record struct {
	N       int64     `json:"n"` // counts from 1
	Time    time.Time `json:"time"`
	Action  string    `json:"action"`
	Result  Result    `json:"result"`
	Who     string    `json:"who,omitempty"`
	Role    string    `json:"role,omitempty"`
	Road    string    `json:"road,omitempty"`
	Origin  string    `json:"origin,omitempty"`
	Address string    `json:"address,omitempty"`
	Target  string    `json:"target,omitempty"`
	Detail  string    `json:"detail,omitempty"`
	Request string    `json:"request,omitempty"`
	Hash    string    `json:"hash,omitempty"` // hexadecimal; left out of what it is made of
}

// Longest texts of a record, in bytes: what callers say may come from a stranger.
const (
	maxText   = 300
	maxDetail = 2000
)

func (e Entry) record(n int64, now time.Time) Record {
	if e.Time.IsZero() {
		e.Time = now
	}
	return Record{
		N: n, Time: e.Time.UTC().Truncate(time.Millisecond), Action: shorten(e.Action, maxText), Result: e.Result,
		Who: shorten(e.Who, maxText), Role: shorten(e.Role, maxText), Road: shorten(e.Road, maxText),
		Origin: shorten(e.Origin, maxText), Address: shorten(e.Address, maxText), Target: shorten(e.Target, maxText),
		Detail: shorten(e.Detail, maxDetail), Request: shorten(e.Request, maxText),
	}
}

func shorten(s string, n int) string {
	if len(s) > n {
		s = s[:n]
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}
