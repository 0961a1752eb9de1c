package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
)

// race dials with each dialer, stagger apart or as soon as the one before has failed. The
// first connection with proven keys wins, and the others are given up; what they still
// open is closed. So is all if the gateway says that it is busy: by another kind it would
// be asked for the same once more. Their goroutines belong to running.
func race(ctx context.Context, running *sync.WaitGroup, dialers []Dialer, t Target, stagger time.Duration) (Conn, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	type result struct {
		conn Conn
		err  error
	}
	results := make(chan result)
	start := func(d Dialer) {
		running.Go(func() {
			dialCtx, cancel := context.WithTimeout(ctx, HandshakeTimeout)
			defer cancel()
			conn, err := d.Dial(dialCtx, t)
			if err != nil {
				err = fmt.Errorf("over %s: %w", d.Kind(), err)
			}
			select {
			case results <- result{conn, err}:
			case <-ctx.Done():
				if conn != nil {
					conn.Close()
				}
			}
		})
	}
	timer := time.NewTimer(0)
	defer timer.Stop()
	var failures []error
	for started := 0; len(failures) < len(dialers); {
		select {
		case <-timer.C:
			if started < len(dialers) {
				start(dialers[started])
				started++
				timer.Reset(stagger)
			}
		case r := <-results:
			if r.err == nil {
				return r.conn, nil
			}
			failures = append(failures, r.err)
			if errors.Is(r.err, ErrBusy) {
				return nil, verdict(failures)
			}
			timer.Reset(0)
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	return nil, verdict(failures)
}

// verdict is the error of a lost race: what the gateway said comes first.
func verdict(failures []error) error {
	all := errors.Join(failures...)
	if errors.Is(all, identity.ErrWrongPeer) {
		return fmt.Errorf("%w: %w", problem.GatewayKeyChanged.Error(), all)
	}
	return all
}
