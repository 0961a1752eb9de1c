package node

import (
	"bytes"
	"crypto/ed25519"
	"encoding/json"
	"fmt"
	"net/http"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

const (
	beatEvery  = 2 * time.Second
	beatLength = 64              // bytes: less tells middle boxes nothing
	beatStall  = 5 * time.Second // a heartbeat that is not taken: the link may be dead
	maxDrain   = time.Hour
)

// beat is the heartbeat line of the events that go to the gateway.
var beat = append(bytes.Repeat([]byte(" "), beatLength), '\n')

// hello takes the gateway's versions and its time, by which grants are judged.
func (u *uplink) hello(w http.ResponseWriter, r *http.Request) error {
	var h api.LinkHello
	if err := access.ReadPeerJSON(r, &h); err != nil {
		return err
	}
	if h.Api != apiVersion || h.Link != linkVersion {
		return problem.New(problem.VersionNotSpoken, "The gateway speaks API %.20q and link %d, this node %s and %d.", h.Api, h.Link, apiVersion, linkVersion)
	}
	before, err := u.greeted(h, relay.PeerKeyOf(r.Context()))
	if err != nil {
		return err
	}
	welcome := api.LinkWelcome{
		Api: apiVersion, Link: linkVersion, Name: u.node.name, Version: u.node.version, Sequence: before.Sequence,
		Bulk: relay.Bulk(r.Context()),
	}
	if u.node.auditHead != nil {
		welcome.Audit = u.node.auditHead()
	}
	if g := u.current(); g != nil && g.Next != nil {
		welcome.NextKey = g.Next.Pin
	}
	return access.WriteJSON(w, http.StatusOK, welcome)
}

// greeted takes in what the gateway that has proven the key says, and answers what was
// known before. All of it is on disk when it returns.
func (u *uplink) greeted(h api.LinkHello, key ed25519.PublicKey) (before joined, err error) {
	u.storing.Lock()
	defer u.storing.Unlock()
	known := u.current()
	if known == nil {
		return joined{}, problem.Unavailable.Error() // it was left in this moment
	}
	now := time.Now()
	g, pin := *known, identity.PinOf(key)
	if pin != g.Pin {
		if pin != g.next(now) {
			return joined{}, problem.GatewayKeyChanged.Error()
		}
		g.Pin, g.First, g.Next = pin, g.first(), nil
	}
	there, err := access.TimeIn(h.Time, pin, u.node.id)
	if err != nil || there.IsZero() {
		return joined{}, problem.New(problem.GrantInvalid, "The gateway's time is missing, or not signed by the gateway for this node.").At("time")
	}
	u.node.licences.told(there)
	g.Ahead = there.Sub(now).Round(time.Second)
	if h.Sequence != "" {
		number, err := access.SequenceIn(h.Sequence, pin, u.node.id)
		if err != nil {
			return joined{}, problem.New(problem.GrantInvalid, "The number of the link: %v.", err).At("sequence")
		}
		g.Sequence = max(g.Sequence, number) // hellos of two links may change places
	}
	if _, g.Earlier, err = identity.ParseEarlier(key, h.Chain); err != nil {
		return joined{}, problem.New(problem.GrantInvalid, "How the gateway's key follows from its first one is not shown as it must be.").At("chain")
	}
	g.Next = nil
	if h.NextKey != "" {
		next, err := access.NextKeyIn(h.NextKey, pin, u.node.id)
		if err != nil {
			return joined{}, problem.New(problem.GrantInvalid, "The gateway's next key: %v.", err).At("nextKey")
		}
		g.Next = &next
	}
	if err := g.write(u.dir); err != nil {
		return joined{}, err
	}
	u.mu.Lock()
	u.gateway = &g
	u.mu.Unlock()
	u.node.grants.TrustSuccessor(g.Pin, g.first())
	u.node.roads.greeted()
	return *known, u.node.grants.SetClock(h.Time)
}

// drain makes the next link before the gateway closes this one.
func (u *uplink) drain(w http.ResponseWriter, r *http.Request) error {
	var d api.LinkDrain
	if err := access.ReadPeerJSON(r, &d); err != nil {
		return err
	}
	after := time.Duration(d.AfterMs) * time.Millisecond
	if d.AfterMs < 0 || after > maxDrain {
		return problem.New(problem.BadRequest, "It is from 0 to %d.", maxDrain.Milliseconds()).At("afterMs")
	}
	k := u.link()
	if k == nil {
		return problem.Unavailable.Error()
	}
	k.Redial(after)
	w.WriteHeader(http.StatusAccepted)
	return nil
}

// events tells the gateway of scanners for as long as the link stands: all of them
// first, then a heartbeat, which says that those were all, then what changes.
func (u *uplink) events(w http.ResponseWriter, r *http.Request) error {
	h := w.Header()
	h.Set("Content-Type", "application/x-ndjson")
	if r.Method == http.MethodHead {
		return nil
	}
	s := &linkStream{w: w, control: http.NewResponseController(w)}
	seq, _ := u.node.hub.head()
	for _, l := range u.node.scanners() {
		if err := s.add(scan.Event{Type: scan.EventDeviceState, Scanner: &l.scanner}); err != nil {
			return err
		}
	}
	s.buf.Write(beat)
	tick := time.NewTicker(beatEvery)
	defer tick.Stop()
	for {
		if err := u.send(s); err != nil {
			return err
		}
		notices, more, err := u.node.hub.after(seq)
		if err != nil {
			return err
		}
		for _, n := range notices {
			seq = n.seq
			if n.event.Scanner == nil {
				continue
			}
			if err := s.add(*n.event); err != nil {
				return err
			}
		}
		if s.buf.Len() > 0 {
			continue
		}
		select {
		case <-more:
		case <-tick.C:
			s.buf.Write(beat)
		case <-relay.Draining(r.Context()):
			return nil
		case <-r.Context().Done():
			return nil
		case <-u.node.ctx.Done():
			return nil
		}
	}
}

// send writes what was added. A link that does not take it in time is suspect: the
// node looks for another way without waiting for the transport to give it up.
func (u *uplink) send(s *linkStream) error {
	if s.buf.Len() == 0 {
		return nil
	}
	stalled := time.AfterFunc(beatStall, func() {
		if k := u.link(); k != nil {
			k.Suspect()
		}
	})
	defer stalled.Stop()
	defer s.buf.Reset()
	if _, err := s.w.Write(s.buf.Bytes()); err != nil {
		return fmt.Errorf("sending events to the gateway: %w", err)
	}
	if err := s.control.Flush(); err != nil {
		return fmt.Errorf("sending events to the gateway: %w", err)
	}
	return nil
}

// linkStream gathers lines.
type linkStream struct {
	w       http.ResponseWriter
	control *http.ResponseController
	buf     bytes.Buffer
}

// add adds a line. Which job a scanner works for is told to its owner only, who asks
// through the gateway.
func (s *linkStream) add(e scan.Event) error {
	scanner := *e.Scanner
	scanner.Status.Job = ""
	e.Scanner = &scanner
	line, err := json.Marshal(e)
	if err != nil {
		return fmt.Errorf("encoding an event: %w", err)
	}
	s.buf.Write(append(line, '\n'))
	return nil
}
