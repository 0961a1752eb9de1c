package gateway

import (
	"fmt"
	"net/http"
	"strconv"
	"sync"
	"sync/atomic"
)

// Until a browser is found to be slow, a link's window fills for it. Many that come at once
// would hold as many windows: so only maxUnproven bodies at a time begin in one piece. The
// others begin with one slice, as for a slow browser, and go on as they are taken.
const maxUnproven = 4

// unproven counts the bodies whose browser has yet to show whether it reads.
type unproven struct{ count atomic.Int32 }

// enter counts one until leave is called, which may be called again. It is not ok where
// there are too many; then leave does nothing.
func (u *unproven) enter() (leave func(), ok bool) {
	if u.count.Add(1) <= maxUnproven {
		return sync.OnceFunc(func() { u.count.Add(-1) }), true
	}
	u.count.Add(-1)
	return func() {}, false
}

// beginningOf asks for the first slice of what r asks for. A page that grows comes as it
// would: it answers no list of ranges, which the comma makes of this one (RFC 9110 5.6.1).
func beginningOf(r *http.Request) *http.Request {
	first := r.Clone(r.Context())
	first.Header.Set("Range", fmt.Sprintf("bytes=0-%d,", leastSlice-1))
	return first
}

// carryOn makes the answer that brings the beginning of a file bring all of it.
func (a *asking) carryOn(r *http.Request, b opening, first file) *http.Response {
	c := a.carried(r, b, first)
	c.slice, c.slowAfter = leastSlice, slowAgain
	c.file.end = first.total
	b.answer.StatusCode, b.answer.Status = http.StatusOK, ""
	b.answer.ContentLength = first.total
	b.answer.Header.Set("Content-Length", strconv.FormatInt(first.total, 10))
	b.answer.Header.Del("Content-Range")
	return b.answer
}
