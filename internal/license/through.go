package license

import (
	"context"
	"crypto/ed25519"
	"errors"
	"fmt"
	"sync"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Through is the licence tracking server as a joined node reaches it: its gateway, or the
// one that the gateway asks. Its methods are safe for concurrent use.
type Through struct {
	api     func() *api.Client
	gateway func() string

	mu     sync.Mutex
	asked  string // pin of the gateway whose server signed last
	signer string // pin of that server
}

var _ Tracking = (*Through)(nil)

// NewThrough makes a Through, of the gateway's HTTP API with the node's key in place of a
// session and the pin of the gateway's key.
func NewThrough(client func() *api.Client, gateway func() string) *Through {
	return &Through{api: client, gateway: gateway}
}

// Lease implements Tracking.
func (t *Through) Lease(ctx context.Context, _ Place, wish api.LeaseRequest) (api.LeaseAnswer, error) {
	ctx, cancel := context.WithTimeout(ctx, 2*remoteLease) // the gateway may ask two servers itself
	defer cancel()
	answer, err := api.Decode[api.LeaseAnswer](t.api().LeaseLicense(ctx, wish, repeatable))
	if err == nil {
		t.signed(answer.Time)
	}
	return answer, offline(err)
}

// Report implements Tracking.
func (t *Through) Report(ctx context.Context, _ Place, _ string, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	ctx, cancel := context.WithTimeout(ctx, remoteReport)
	defer cancel()
	mark, err := api.Decode[api.ReceiptMark](t.api().ReportPages(ctx, batch, repeatable))
	if err == nil {
		t.signed(mark.Mark)
	}
	return mark, offline(err)
}

// Pin implements Tracking: it is that of the server which signed the last answer, the
// gateway's before there was one.
func (t *Through) Pin() string {
	gateway := t.gateway()
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.signer == "" || t.asked != gateway {
		return gateway
	}
	return t.signer
}

// signed notes who has signed an answer of the gateway, on whose word that is the server.
func (t *Through) signed(text string) {
	key, err := token.SignerUpTo(token.Max, text)
	if err != nil {
		return
	}
	gateway := t.gateway()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked, t.signer = gateway, identity.PinOf(ed25519.PublicKey(key))
}

// offline says what it means for a licence that the gateway does not answer. What it
// refuses is refused.
func offline(err error) error {
	var p *problem.Error
	if err == nil || errors.As(err, &p) && p.Code != problem.NodeOffline || errors.Is(err, context.Canceled) {
		return err
	}
	return fmt.Errorf("%w: %w", problem.New(problem.TrackingOffline, "The gateway of this computer does not answer."), err)
}
