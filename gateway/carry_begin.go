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

// begin asks for a file over a link, and for its first slice only while too many browsers
// have yet to show that they read.
func (a *asking) begin(link *held, r *http.Request) (*http.Response, error) {
	proven, ok := a.g.unproven.enter()
	if !ok && r.Method == http.MethodGet && r.Header.Get("Range") == "" {
		b, err := a.race(link, beginningOf(r))
		if err != nil {
			return nil, err
		}
		if b.answer.StatusCode != http.StatusPartialContent {
			return a.carry(r, b, proven), nil
		}
		if f, ok := fileOf(r, b.answer); ok && f.from == 0 {
			return a.carryOn(r, b, f), nil
		}
		b.drop() // of no use: what it is a part of is not known
	}
	b, err := a.race(link, r)
	if err != nil {
		proven()
		return nil, err
	}
	return a.carry(r, b, proven), nil
}

// race asks over a link. One that gives no answer may be dead, and take its time to find
// out: after stallAfter another link, if there is one, is asked as well, and the first
// answer counts.
func (a *asking) race(link *held, r *http.Request) (opening, error) {
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
					return opening{}, b.err
				}
				continue
			}
			if failed+1 < len(ends) {
				ends[1-b.n]()
				a.working.Go(func() { (<-results).drop() })
			}
			return b, nil
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
