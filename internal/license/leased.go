package license

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const (
	// askFor is how long a tracking server is waited for.
	askFor = 10 * time.Second
	// restFor is how long a server that did not answer is left alone where there is
	// something that goes on without it.
	restFor = 15 * time.Second
)

// leased is what the server handed out for the wish: of the key, or without one of what it
// finds by the handshake code. What was handed out before is used for a third of its
// time, and until its end and the key's grace if the server cannot be reached. Pages are
// asked for each time, because only the server knows how many are left.
func (d *Desk) leased(ctx context.Context, w wish, k *Key, vendors []string) (Key, Permit, error) {
	if w.Client == "" && k != nil && (k.Kind == Browser || k.Kind == Concurrent) {
		return *k, Permit{}, d.nameless(*k)
	}
	held, kept, why := d.kept(ctx, w, k, vendors)
	have := why == nil
	if have && held.fresh(d.cfg.Clock()) && (kept.Kind != Page || w.pages == 0) && !d.cfg.Suspect() {
		return kept, held.Permit(), nil
	}
	if d.cfg.Server == nil {
		if k == nil {
			return Key{}, Permit{}, problem.New(problem.TrackingOffline, "%s: no licence tracking server is set.", called(w, k))
		}
		return *k, Permit{}, k.problem(problem.LicenseElsewhere, "Nothing counts for it here, and no licence tracking server is set.")
	}
	if have && d.resting() {
		return kept, held.Permit(), nil
	}
	got, err := d.ask(ctx, w, k)
	switch {
	case err != nil && ctx.Err() != nil:
		return Key{}, Permit{}, ctx.Err()
	case err != nil && unreachable(err) && have:
		return kept, held.Permit(), nil
	case err != nil && unreachable(err):
		return Key{}, Permit{}, why
	case err != nil:
		d.cache.drop(ctx, w, k)
		return Key{}, Permit{}, err
	}
	if d.cfg.Suspect() {
		if have {
			return kept, held.Permit(), nil
		}
		return Key{}, Permit{}, problem.New(problem.LicenseClock, "%s: its time cannot be told.", called(w, k))
	}
	return d.take(ctx, w, k, got, vendors)
}

// kept is what was handed out before and still covers the wish, or why that cannot be
// used if the server does not answer.
func (d *Desk) kept(ctx context.Context, w wish, k *Key, vendors []string) (entry, Key, error) {
	var why error = problem.New(problem.TrackingOffline, "%s: nothing that was leased before covers this.", called(w, k))
	for _, e := range d.cache.find(ctx, w, k) {
		key, p, err := d.judge(e, w, vendors)
		switch {
		case k != nil && (key.ID != k.ID || key.Revision < k.Revision):
		case err == nil:
			e.Lease, e.Blocks = p.Lease, p.Blocks
			return e, key, nil
		case problem.From(err).Code == problem.TrackingOffline:
			why = err // it says until when
		}
	}
	return entry{}, Key{}, why
}

// judge checks all of an entry as the node will do it.
func (d *Desk) judge(e entry, w wish, vendors []string) (Key, Permit, error) {
	place, now := d.cfg.Place(), d.cfg.Clock()
	k, err := Parse(e.Key, vendors)
	if err == nil {
		err = k.permits(w.Claim, place, w.node, now)
	}
	if err != nil {
		return k, Permit{}, err
	}
	if !d.needs(k, w) {
		if !now.Before(k.until(e.Until)) {
			return k, Permit{}, k.problem(problem.TrackingOffline, "It was good without its server until %s.", k.until(e.Until).UTC().Format(time.DateTime))
		}
		return k, Permit{Key: e.Key}, nil
	}
	if w.Client == "" && k.seated(w.Claim, w.node) && k.Kind != PerNode {
		return k, Permit{}, d.nameless(k)
	}
	a, err := k.covers(e.Permit(), w.Claim, place, w.node, now)
	if err != nil {
		return k, Permit{}, err
	}
	p := Permit{Key: e.Key, Lease: e.Lease}
	for _, b := range a.Blocks[:min(len(a.Blocks), maxBlocks)] {
		p.Blocks = append(p.Blocks, b.Text)
	}
	return k, p, nil
}

// nameless is the problem of a browser that has not named itself to a licence that counts them.
func (d *Desk) nameless(k Key) error {
	return problem.From(k.problem(problem.BadRequest, "It counts browsers, and this one has not named itself: the page sets client.")).At("client")
}

// take keeps what the server handed out.
func (d *Desk) take(ctx context.Context, w wish, asked *Key, got api.LeaseAnswer, vendors []string) (Key, Permit, error) {
	now := d.cfg.Clock()
	e := entry{Key: got.Key, Lease: got.Lease, Blocks: got.Blocks, Asked: now, Until: now.Add(LeaseTime)}
	if l, err := ParseLease(got.Lease); got.Lease != "" && err == nil {
		e.Until = l.Until
	}
	k, p, err := d.judge(e, w, vendors)
	if err == nil && asked != nil && k.ID != asked.ID {
		err = k.problem(problem.LicenseInvalid, "The licence tracking server answered for another one.")
	}
	if err != nil {
		return k, Permit{}, err
	}
	e.Blocks = p.Blocks
	d.cache.put(ctx, w, asked, k, e)
	return k, p, nil
}

// ask asks the server. What it says of the time counts unless it is this end itself.
func (d *Desk) ask(ctx context.Context, w wish, k *Key) (api.LeaseAnswer, error) {
	place := d.cfg.Place()
	request := api.LeaseRequest{Client: w.Client, Origin: w.Origin, Node: w.node, Module: api.Module(w.Module), Pages: w.pages}
	if k != nil {
		request.Key = k.Text
	} else {
		request.HandshakeCode = w.terms.HandshakeCode
	}
	limited, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	got, err := d.cfg.Server.Lease(limited, place, request)
	now := time.Now()
	d.mu.Lock()
	if err != nil && unreachable(err) && ctx.Err() == nil {
		d.down = now.Add(restFor)
	} else if err == nil {
		d.down, d.reached = time.Time{}, now
	}
	d.mu.Unlock()
	if pin := d.cfg.Server.Pin(); err == nil && got.Time != "" && pin != place.Pin && d.cfg.Signed != nil {
		if t, err := access.TimeIn(got.Time, pin, place.Name()); err == nil {
			d.cfg.Signed(t)
		}
	}
	return got, err
}

// resting reports whether the server was found unreachable a moment ago.
func (d *Desk) resting() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return time.Now().Before(d.down)
}

// unreachable reports whether the server said nothing of the licence: it was not there,
// or had a fault of its own.
func unreachable(err error) bool {
	var p *problem.Error
	return !errors.As(err, &p) || p.Code.Status() >= http.StatusInternalServerError || p.Code == problem.TooManyRequests
}
