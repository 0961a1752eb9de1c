package node

import (
	"context"
	"errors"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

// grantMemory is how long a session that has ended at the gateway is remembered: no grant
// of it is good for longer.
const grantMemory = 12 * time.Minute

// inForce is access.Config.DirectRoad.
func (r *roads) inForce(ctx context.Context) (access.RoadGrant, bool) {
	w := roadOf(ctx)
	if w == nil {
		return access.RoadGrant{}, false
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	return w.grant, w.opened && w.ctx.Err() == nil && time.Now().Before(w.until)
}

// open lets the road speak for whom a verified grant names, for as long as the grant is
// good, and answers the grant that is in force: a later one may have come first. The road
// that its session has used least of late makes room for one too many.
func (r *roads) open(w *road, g access.RoadGrant, left time.Duration) (inForce access.RoadGrant, err error) {
	var unused *road
	defer func() {
		if unused != nil && err == nil {
			r.end(unused, "another one of its session has come")
		}
	}()
	if o := w.session.Origin(); (o != "" || w.session.Kind() == relay.KindWebTransport) && !g.From(o) {
		return access.RoadGrant{}, problem.OriginNotAllowed.Error()
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	ended := r.ended[g.Session]
	switch {
	case w.ctx.Err() != nil:
		return access.RoadGrant{}, problem.RoadNotOpen.Error()
	case r.barred || g.Gateway != r.gateway || r.gateway == "":
		return access.RoadGrant{}, problem.New(problem.GrantInvalid, "The gateway does not speak for this node at present.")
	case !g.IssuedAt.After(ended.at) || !g.IssuedAt.After(r.floor):
		return access.RoadGrant{}, problem.New(problem.GrantInvalid, "The session has ended since the grant was given.")
	case w.opened && !g.Renews(w.grant):
		return access.RoadGrant{}, problem.New(problem.GrantInvalid, "The grant is for somebody else than the road.")
	case w.opened && g.IssuedAt.Before(w.grant.IssuedAt):
		return w.grant, nil
	}
	if !w.opened {
		var full bool
		if full, unused = r.fullLocked(g.Session); full && unused == nil {
			return access.RoadGrant{}, problem.New(problem.TooManyRequests, "%d direct roads are open at once.", maxRoadsOfSession)
		}
	}
	w.grant, w.until, w.opened = g, time.Now().Add(left), true
	select {
	case w.changed <- struct{}{}:
	default:
	}
	return g, nil
}

// fullLocked reports whether a session has all the roads that it may have, and which one
// it can do without: a phone that has moved cannot end those that it had, and the node
// learns of it late.
func (r *roads) fullLocked(session string) (full bool, unused *road) {
	n := 0
	for _, w := range r.roads {
		if !w.opened || w.grant.Session != session {
			continue
		}
		n++
		if time.Since(w.used) >= roadInUse && (unused == nil || w.used.Before(unused.used)) {
			unused = w
		}
	}
	if full = n >= maxRoadsOfSession; !full {
		unused = nil
	}
	return full, unused
}

// endSession ends the roads of a session that has ended at the gateway, at a time by its
// clock. What it granted before opens none any more.
func (r *roads) endSession(session string, at time.Time) {
	r.mu.Lock()
	now := time.Now()
	if len(r.ended) >= maxEnded {
		r.forgetEndedLocked(now)
	}
	if at.Before(r.ended[session].at) {
		at = r.ended[session].at
	}
	r.ended[session] = endedSession{at: at, forget: now.Add(grantMemory)}
	r.mu.Unlock()
	r.endThose("the session has ended", func(w *road) bool {
		return w.opened && w.grant.Session == session && !w.grant.IssuedAt.After(at)
	})
}

// forgetEndedLocked makes room. If all are still needed, whatever was granted before the
// last of them ended is void: the browsers ask for other grants.
func (r *roads) forgetEndedLocked(now time.Time) {
	for session, e := range r.ended {
		if now.After(e.forget) {
			delete(r.ended, session)
		}
	}
	if len(r.ended) < maxEnded {
		return
	}
	for _, e := range r.ended {
		if e.at.After(r.floor) {
			r.floor = e.at
		}
	}
	clear(r.ended)
}

// follow ends the roads of every gateway but the one with this first pin; "": of all.
func (r *roads) follow(first string) {
	r.mu.Lock()
	if r.gateway != first {
		r.gateway, r.barred, r.floor = first, false, time.Time{}
		clear(r.ended)
	}
	r.mu.Unlock()
	r.endThose("the node has left the gateway", func(w *road) bool { return w.opened && w.grant.Gateway != first })
}

// greeted takes in that the gateway wants the node: it has greeted it over a link.
func (r *roads) greeted() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.barred = false
}

// refused ends all roads if the gateway has cut the link, or refused it, because it does
// not want the node.
func (r *roads) refused(err error) {
	var p *problem.Error
	if !errors.As(err, &p) {
		return
	}
	switch p.Code {
	case problem.NodeRevoked, problem.NodeQuarantined, problem.NodeUnknown:
		r.mu.Lock()
		r.barred = true
		r.mu.Unlock()
		r.endAll("the gateway has refused the node")
	}
}

// judgeOrigins ends the roads of pages that are not allowed any more.
func (r *roads) judgeOrigins(origins *access.Origins) {
	r.mu.Lock()
	asked := map[string]bool{} // whether it is allowed
	for _, w := range r.roads {
		if w.opened && w.grant.Origin != "" {
			asked[w.grant.Origin] = false
		}
	}
	r.mu.Unlock()
	for text := range asked {
		o, err := access.ParseOrigin(text)
		asked[text] = err == nil && origins.Allows(context.Background(), o)
	}
	r.endThose("the page is not allowed any more", func(w *road) bool {
		allowed, known := asked[w.grant.Origin]
		return w.opened && known && !allowed
	})
}
