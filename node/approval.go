package node

import (
	"context"
	"errors"
	"fmt"
	"net/http"
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
)

// Ask asks the gateway at an address to let the node in. When it returns nil both ends
// show the same four symbols (Approval), for a person at the gateway to compare: a node
// that runs joins as soon as they say yes. Asking another gateway, joining and leaving
// end the wait.
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
	if at, err := access.ParseAuthority(address, 0); err != nil || at.Port == 0 {
		return problem.New(problem.BadRequest, "A gateway's address is like gateway.example:18603.").At("address")
	}
	pin, err := relay.Meet(ctx, address, u.identity)
	if err != nil {
		return err
	}
	t := relay.Target{Addr: address, Pin: pin, Identity: u.identity}
	nonce := access.JoinNonce()
	var wait api.JoinWait
	if _, err := u.askAt(ctx, t, askTime, http.MethodPost, "/node/join", u.joinRequest("", access.JoinCommit(nonce)), &wait); err != nil {
		return err
	}
	theirs := wait.Nonce
	if access.JoinCommit(theirs) == "" {
		return errors.New("the gateway did not answer with a nonce")
	}
	if _, err := u.askAt(ctx, t, askTime, http.MethodPost, "/node/join/reveal", api.JoinReveal{Nonce: nonce}, nil); err != nil {
		return err
	}
	a := &asked{
		target: t, check: access.JoinCheck(pin, u.identity.Pin(), theirs, nonce),
		until: time.Now().Add(approvalLife), done: make(chan struct{}),
	}
	u.mu.Lock()
	before := u.asked
	u.asked = a
	u.mu.Unlock()
	if before != nil {
		before.end(errAskedAnew)
	}
	u.wake()
	return nil
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
			continue
		case errors.As(err, &refused) && !refused.Code.Retryable():
			u.decided(a, err)
			return
		}
		u.log.Info("the gateway that was asked for approval does not answer", "error", err)
		select {
		case <-time.After(approvalAgain):
		case <-waiting.Done():
		}
	}
}

// decided ends the wait: with the gateway joined if err is nil.
func (u *uplink) decided(a *asked, err error) {
	if err == nil {
		err = u.remember(&joined{Addresses: []string{a.target.Addr}, Pin: a.target.Pin})
	}
	if err != nil {
		u.log.Warn("the gateway did not let the node in", "gateway", a.target.Addr, "error", err)
		u.mu.Lock()
		if u.asked == a {
			u.asked = nil
		}
		u.mu.Unlock()
	}
	a.end(err)
}
