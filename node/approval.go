package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/relay"
)

const (
	approvalLife  = time.Hour        // a person has so long
	approvalHold  = 40 * time.Second // the gateway answers after twenty at most
	approvalAgain = 5 * time.Second  // after an address that did not answer
)

// asked is a gateway that the node has asked to be let in. Nothing of it is stored.
type asked struct {
	target relay.Target // with the key that was met: a person compares it
	check  string
	until  time.Time
	from   *nearby   // as the node found it and asked it by itself; nil: a person chose it
	silent time.Time // since when it does not answer; zero: it does; uplink.mu guards it

	once sync.Once
	done chan struct{} // closed when err says how it ended
	err  error
}

func (a *asked) end(err error) {
	a.once.Do(func() {
		a.err = err
		close(a.done)
	})
}

// Ways for a wait to end without the gateway's word.
var (
	errNobody      = errors.New("nobody has approved the node within an hour")
	errAskedAnew   = errors.New("a gateway was asked anew")
	errGatewayLeft = errors.New("the node shall have no gateway")
	errSeveral     = errors.New("several gateways are nearby: choose one")
	errGone        = errors.New("the gateway is not there any more")
)

// maxUnwanted bounds the pins and addresses that a node does not ask by itself.
const maxUnwanted = 256

// Ask asks the gateway at an address to let the node in. When it returns nil both ends
// show the same four symbols (Approval), for a person at the gateway to compare: a node
// that runs joins as soon as they say yes. Asking another gateway, joining and leaving
// end the wait. The node asks no other by itself until then.
//
// The address alone says which gateway it is. Who stands between both ends cannot make
// the gateway let the node in without different symbols; but he can let it in himself,
// at his own gateway. A join token keeps that out too.
func (n *Node) Ask(ctx context.Context, address string) error {
	if err := n.uplink.askApproval(ctx, address); err != nil {
		return fmt.Errorf("asking the gateway for approval: %w", err)
	}
	return nil
}

func (u *uplink) askApproval(ctx context.Context, address string) error {
	if u.dir == "" {
		return errNoFolder
	}
	if !isGatewayAddress(address) {
		return problem.New(problem.BadRequest, "A gateway's address is like gateway.example:18603.").At("address")
	}
	pin, err := u.meet(ctx, address, u.identity)
	if err != nil {
		return err
	}
	_, err = u.askMet(ctx, relay.Target{Addr: address, Pin: pin, Identity: u.identity}, nil)
	return err
}

// isGatewayAddress reports whether text is host:port. A link-local address may have its
// zone: a gateway may be found at one.
func isGatewayAddress(text string) bool {
	if at, err := netip.ParseAddrPort(text); err == nil && at.Addr().IsLinkLocalUnicast() {
		return at.Port() != 0
	}
	at, err := access.ParseAuthority(text, 0)
	return err == nil && at.Port != 0
}

// askMet asks the gateway that has proven the target's key, and has serve wait for its
// word. from is the gateway that the node found; nil: a person chose this one, and the
// node by itself does not come between.
func (u *uplink) askMet(ctx context.Context, t relay.Target, from *nearby) (*asked, error) {
	check, err := u.commit(ctx, t)
	if err != nil {
		return nil, err
	}
	a := &asked{target: t, from: from, check: check, until: time.Now().Add(approvalLife), done: make(chan struct{})}
	u.storing.Lock()
	defer u.storing.Unlock()
	u.mu.Lock()
	before := u.asked
	if from != nil && (u.gateway != nil || before != nil && before.from == nil) {
		u.mu.Unlock()
		return nil, errAskedAnew
	}
	u.asked = a
	u.mu.Unlock()
	if before != nil {
		before.end(errAskedAnew)
	}
	u.wake()
	return a, nil
}

// commit exchanges nonces with the gateway and answers the symbols that both ends show.
func (u *uplink) commit(ctx context.Context, t relay.Target) (check string, err error) {
	nonce := access.JoinNonce()
	var wait api.JoinWait
	if _, err := u.askAt(ctx, t, askTime, http.MethodPost, "/node/join", u.joinRequest("", access.JoinCommit(nonce)), &wait); err != nil {
		return "", err
	}
	theirs := wait.Nonce
	if access.JoinCommit(theirs) == "" {
		return "", errors.New("the gateway did not answer with a nonce")
	}
	if _, err := u.askAt(ctx, t, askTime, http.MethodPost, "/node/join/reveal", api.JoinReveal{Nonce: nonce}, nil); err != nil {
		return "", err
	}
	return access.JoinCheck(t.Pin, u.identity.Pin(), theirs, nonce), nil
}

// Approval is the gateway whose approval the node waits for, and the four symbols that
// must be the same there.
func (n *Node) Approval() (address, check string, waiting bool) {
	n.uplink.mu.Lock()
	defer n.uplink.mu.Unlock()
	a := n.uplink.asked
	if a == nil {
		return "", "", false
	}
	return a.target.Addr, a.check, true
}

// AwaitApproval waits until the gateway that was asked has decided: nil if the node has
// joined it, also where it waits for none; node-revoked if it was refused.
func (n *Node) AwaitApproval(ctx context.Context) error {
	n.uplink.mu.Lock()
	a := n.uplink.asked
	n.uplink.mu.Unlock()
	if a == nil {
		return nil
	}
	select {
	case <-a.done:
		return a.err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// await asks the gateway again and again whether a person has decided. If ctx ends
// before, nothing is.
func (u *uplink) await(ctx context.Context, a *asked) {
	waiting, cancel := context.WithDeadline(ctx, a.until)
	defer cancel()
	for {
		status, err := u.askAt(waiting, a.target, approvalHold, http.MethodGet, "/node/join/state", nil, nil)
		var refused *problem.Error
		switch {
		case ctx.Err() != nil:
			return
		case waiting.Err() != nil:
			u.decided(a, errNobody)
			return
		case err == nil && status == http.StatusOK:
			u.decided(a, nil)
			return
		case err == nil:
			u.heard(a, time.Time{})
			continue
		case errors.As(err, &refused) && !refused.Code.Retryable():
			u.decided(a, err)
			return
		}
		u.log.Info("the gateway that was asked for approval does not answer", "error", err)
		u.heard(a, time.Now())
		select {
		case <-time.After(approvalAgain):
		case <-waiting.Done():
		}
	}
}

// heard notes since when a gateway that was asked is silent; the zero time: it is not.
func (u *uplink) heard(a *asked, silent time.Time) {
	u.mu.Lock()
	defer u.mu.Unlock()
	if a.silent.IsZero() || silent.IsZero() {
		a.silent = silent
	}
}

// decided ends the wait, if it is still the one: with the gateway joined if err is nil.
func (u *uplink) decided(a *asked, err error) {
	u.storing.Lock()
	defer u.storing.Unlock()
	u.mu.Lock()
	gone := u.asked != a
	u.mu.Unlock()
	if gone {
		return
	}
	if err == nil {
		err = u.rememberStoring(&joined{Addresses: []string{a.target.Addr}, Pin: a.target.Pin})
	}
	if err != nil {
		u.log.Warn("the gateway did not let the node in", "gateway", a.target.Addr, "error", err)
		u.dropStoring(a, err)
	}
}

// withdraw ends a wait without the gateway's word.
func (u *uplink) withdraw(a *asked, why error) {
	u.storing.Lock()
	defer u.storing.Unlock()
	u.dropStoring(a, why)
}

// dropStoring needs storing.
func (u *uplink) dropStoring(a *asked, why error) {
	u.mu.Lock()
	if u.asked == a {
		u.asked = nil
	}
	if refuses(why) {
		u.rejectLocked(a.target.Pin, a.target.Addr)
	}
	u.mu.Unlock()
	a.end(why)
	u.wake()
}

// refuses reports whether a gateway's answer is a no, and not only that it has forgotten
// the node or has no time for it.
func refuses(err error) bool {
	var p *problem.Error
	return errors.As(err, &p) && !p.Code.Retryable() && p.Code != problem.NodeUnknown
}

// rejectLocked has the node not ask a gateway by itself any more.
func (u *uplink) rejectLocked(pin string, addresses ...string) {
	for _, name := range append([]string{pin}, addresses...) {
		if len(u.unwanted) < maxUnwanted {
			u.unwanted[name] = true
		}
	}
}
