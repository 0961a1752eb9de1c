package gateway

import (
	"context"
	"time"
)

const (
	stallKept      = time.Minute     // a link that stalled is not chosen for so long where another one stands
	companionBad   = 2 * time.Minute // one that carried less is tried again after this
	companionTrial = time.Second     // no body leaves a companion sooner: its rate may still grow
)

// bodyLink is the node's better link for a body, but not the one that just failed the
// caller. It waits as linkTo does.
func (r *registry) bodyLink(ctx context.Context, n *node, failed *held) (*held, error) {
	return r.await(ctx, n, func() *held { return n.betterLocked(failed, time.Now()) })
}

// otherLink is a link of the node that takes requests beside one; nil: there is none.
func (r *registry) otherLink(n *node, beside *held) *held {
	r.mu.RLock()
	defer r.mu.RUnlock()
	return n.betterLocked(beside, time.Now())
}

// rivalOf is the link to which a body had better go from the one that has carried it
// for a while; nil: it had better stay.
func (r *registry) rivalOf(n *node, h *held, took time.Duration) *held {
	r.mu.RLock()
	defer r.mu.RUnlock()
	now := time.Now()
	better := n.betterLocked(nil, now)
	switch {
	case better == h:
		return nil
	case h != n.bulk || better == nil || h.ailing(now):
		return better
	case took < companionTrial:
		return nil
	}
	mine, _ := n.flows.of(h.Kind()).estimate()
	theirs, _ := n.flows.of(better.Kind()).estimate()
	if theirs.known(now) && theirs.rate < moveGain*mine.rate {
		return nil
	}
	return better
}

// betterLocked chooses between the node's link and its companion: the companion, which
// costs less, unless it has shown that it carries clearly less than the link can: this
// companion, not one before it, and not only at the beginning of a body. A link that is
// not measured is tried as soon as the other one is found to be the bottleneck.
func (n *node) betterLocked(without *held, now time.Time) *held {
	link, bulk := n.link, n.bulk
	if link != nil && (link == without || link.gone()) {
		link = nil
	}
	if bulk != nil && (bulk == without || bulk.gone()) {
		bulk = nil
	}
	switch {
	case bulk == nil:
		return link
	case link == nil:
		return bulk
	case bulk.ailing(now):
		return link
	case link.ailing(now):
		return bulk
	}
	ofBulk, bulkShifted := n.flows.of(bulk.Kind()).estimate()
	ofLink, linkShifted := n.flows.of(link.Kind()).estimate()
	ofBulk, ofLink = ofBulk.since(linkShifted), ofLink.since(bulkShifted)
	switch {
	case !ofBulk.known(now), !ofBulk.bound, ofBulk.rough:
		return bulk
	case !ofLink.known(now):
		return link
	case ofLink.rate > clearlyMore*ofBulk.rate && now.Sub(ofBulk.at) < companionBad && bulk.since.Before(ofBulk.at):
		return link
	}
	return bulk
}

// stall marks a link that gave nothing of a body while another link did.
func (h *held) stall(now time.Time) { h.stalled.Store(now.UnixNano()) }

func (h *held) ailing(now time.Time) bool {
	at := h.stalled.Load()
	return at != 0 && now.Sub(time.Unix(0, at)) < stallKept
}
