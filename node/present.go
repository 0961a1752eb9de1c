package node

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	maxPresents  = 64               // scanners of other nodes
	presentAgain = 30 * time.Second // whether it may still
	presentSoon  = 5 * time.Second  // while somebody is to allow it
	presentRetry = 5 * time.Second  // after a gateway that did not answer
)

// presence is which scanners of other nodes this node may present.
type presence struct {
	uplink  *uplink
	changed chan struct{} // another wish, or the uplink has changed

	mu      sync.Mutex
	wanted  []string
	allowed []string
	waiting []string
	news    chan struct{} // closed and made anew when allowed or waiting change

	// Of serve's goroutine.
	told  []string // what the gateway was told last; nil: nothing
	heard bool     // it has answered that
	link  int      // at which link it was told
	of    string   // pin of the gateway
	again time.Time
}

func newPresence(u *uplink) *presence {
	return &presence{uplink: u, changed: make(chan struct{}, 1), news: make(chan struct{})}
}

// Present makes these the scanners of other nodes that the node wants to present. The
// gateway hears of it while a link stands, and says which it may (FollowPresented). What is
// no scanner's ID, the node's own scanners, and more than 64 are left out.
func (n *Node) Present(scanners []string) {
	p := n.uplink.presence
	wanted := []string{}
	for _, id := range slices.Compact(slices.Sorted(slices.Values(scanners))) {
		_, kind, err := scan.ParseID(id)
		if err != nil || kind != scan.KindScanner || scan.Prefix(id) == scan.Prefix(n.id) || len(wanted) == maxPresents {
			n.log.Warn("this scanner cannot be presented", "scanner", id) // the gateway would refuse all of them
			continue
		}
		wanted = append(wanted, id)
	}
	p.mu.Lock()
	p.wanted = wanted
	allowed := p.allowed
	p.mu.Unlock()
	p.set(allowed)
	signal(p.changed)
}

// FollowPresented calls see with the scanners that the node wants to present and may, and
// with those that nobody has allowed yet, now and whenever that changes, until ctx ends.
// While the link is down it stays as it was; another gateway begins with none allowed.
func (n *Node) FollowPresented(ctx context.Context, see func(allowed, waiting []string)) {
	p := n.uplink.presence
	for ctx.Err() == nil {
		p.mu.Lock()
		allowed, waiting, news := slices.Clone(p.allowed), slices.Clone(p.waiting), p.news
		p.mu.Unlock()
		see(allowed, waiting)
		select {
		case <-news:
		case <-ctx.Done():
		}
	}
}

// set takes in what is allowed. What is wanted and not allowed waits; waits reports
// whether there is such.
func (p *presence) set(allowed []string) (waits bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var may, waiting []string
	for _, id := range p.wanted {
		if slices.Contains(allowed, id) {
			may = append(may, id)
		} else {
			waiting = append(waiting, id)
		}
	}
	if !slices.Equal(may, p.allowed) || !slices.Equal(waiting, p.waiting) {
		p.allowed, p.waiting = may, waiting
		close(p.news)
		p.news = make(chan struct{})
	}
	return len(waiting) > 0
}

// serve tells the gateway what is wanted, until ctx ends.
func (p *presence) serve(ctx context.Context) {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		if wait := p.step(ctx); wait > 0 {
			timer.Reset(wait)
		} else {
			timer.Stop()
		}
		select {
		case <-ctx.Done():
			return
		case <-p.changed:
		case <-timer.C:
		}
	}
}

// step tells the gateway if it is time, and answers when to look again; 0: once something
// has changed.
func (p *presence) step(ctx context.Context) time.Duration {
	u := p.uplink
	u.mu.Lock()
	of, up, link := "", u.up != "", u.links
	if u.gateway != nil {
		of = u.gateway.first()
	}
	u.mu.Unlock()
	if of != p.of {
		p.of, p.told = of, nil
		p.set(nil)
	}
	p.mu.Lock()
	wanted := p.wanted
	p.mu.Unlock()
	now := time.Now()
	known := p.told != nil && slices.Equal(p.told, wanted)
	switch {
	case of == "" || !up || p.told == nil && len(wanted) == 0:
		return 0
	case known && p.heard && len(wanted) == 0:
		return 0
	case known && p.link == link && now.Before(p.again):
		return p.again.Sub(now)
	}
	said, err := u.present(ctx, wanted)
	if ctx.Err() != nil {
		return 0
	}
	p.told, p.link, p.again = wanted, link, time.Now().Add(presentAgain)
	var refused *problem.Error
	p.heard = true
	switch {
	case err == nil:
		if p.set(said.Allowed) {
			p.again = time.Now().Add(presentSoon)
		}
	case errors.As(err, &refused) && !refused.Code.Retryable():
		u.log.Warn("the gateway lets this node present nothing", "error", err)
		p.set(nil)
	default:
		u.log.Info("the gateway was not asked what may be presented", "error", err)
		p.heard, p.again = false, time.Now().Add(presentRetry)
	}
	return time.Until(p.again)
}
