package gateway

import (
	"context"
	"net/http"
	"time"
)

// opening is the beginning of an answer over one link, or why there is none.
type opening struct {
	n      int // of the two
	link   *held
	answer *http.Response
	err    error
	cancel context.CancelFunc // ends the request
}

// begin asks for a file over a link. One that gives no answer may be dead, and take its
// time to find out: after stallAfter another link, if there is one, is asked as well,
// and the first answer counts.
func (a *asking) begin(link *held, r *http.Request) (*http.Response, error) {
	results := make(chan opening, 2)
	var ends []context.CancelFunc
	start := func(link *held) {
		ctx, cancel := context.WithCancel(a.ctx)
		own, n := r.Clone(ctx), len(ends)
		ends = append(ends, cancel)
		a.working.Go(func() {
			answer, err := a.send(ctx, link, own)
			results <- opening{n, link, answer, err, cancel}
		})
	}
	start(link)
	slow := time.NewTimer(stallAfter)
	defer slow.Stop()
	for failed := 0; ; {
		select {
		case b := <-results:
			if b.err != nil {
				b.cancel()
				if failed++; failed == len(ends) {
					return nil, b.err
				}
				continue
			}
			if failed+1 < len(ends) {
				ends[1-b.n]()
				a.working.Go(func() { (<-results).drop() })
			}
			a.carry(r, b.answer, b.link, b.cancel)
			return b.answer, nil
		case <-slow.C:
			if other := a.g.registry.otherLink(a.node, link); other != nil {
				start(other)
			} else {
				slow.Reset(stallAgain)
			}
		}
	}
}

// drop gives up what was begun in vain.
func (b opening) drop() {
	b.cancel()
	if b.err == nil {
		b.answer.Body.Close()
	}
}
