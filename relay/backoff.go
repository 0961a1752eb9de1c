package relay

import (
	"errors"
	"time"

	"github.com/platen-scan/platen/proto/problem"
)

// backoff decides when to dial again: full jitter, so that the nodes of a gateway
// that restarts do not come back at one time.
type backoff struct {
	random func() float64
	since  time.Time // when the link went away
	tries  int
}

// down begins an outage.
func (b *backoff) down(now time.Time) { b.since, b.tries = now, 0 }

// wait is how long to wait after err.
func (b *backoff) wait(now time.Time, err error) time.Duration {
	if final(err) {
		return backoffLate + time.Duration(b.random()*float64(backoffLate)/10)
	}
	limit := backoffCap
	if now.Sub(b.since) >= time.Minute {
		limit = backoffLate
	}
	ceiling := limit
	if b.tries < 16 {
		ceiling = min(limit, backoffBase<<b.tries)
	}
	b.tries++
	return time.Duration(b.random() * float64(ceiling))
}

// final reports whether trying soon again is useless: the gateway knows this node
// and said no, or is not the one that the node joined.
func final(err error) bool {
	var p *problem.Error
	return errors.As(err, &p) && !p.Code.Retryable()
}
