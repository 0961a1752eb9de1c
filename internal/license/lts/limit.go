package lts

import (
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/platen-scan/platen/proto/problem"
)

const (
	perSecond  = 50 // requests of one key: a gateway asks for each job of its nodes
	burst      = 500
	failures   = 30 // of strangers at one address in a minute: handshake codes are not to be guessed
	maxCounted = 8192
)

// limits bound how often gateways and nodes may ask, and be refused.
type limits struct {
	mu      sync.Mutex
	keys    map[string]*rate.Limiter // by pin
	refused map[string]*rate.Limiter // by address
}

func newLimits() *limits {
	return &limits{keys: map[string]*rate.Limiter{}, refused: map[string]*rate.Limiter{}}
}

// enter counts one request, or says after how long there is room for it. Who is known is
// not held up by what strangers at its address have tried.
func (l *limits) enter(pin, address string, known bool, now time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if f := l.refused[address]; !known && f != nil && f.TokensAt(now) < 1 {
		return problem.New(problem.TooManyRequests, "From this address too much was asked for that is not to be had.").After(time.Minute)
	}
	k := limiterOf(l.keys, pin, now, perSecond, burst)
	if !k.AllowN(now, 1) {
		return problem.New(problem.TooManyRequests, "One end may ask %d times a second.", perSecond).After(time.Second)
	}
	return nil
}

// fail counts a refusal.
func (l *limits) fail(address string, now time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	limiterOf(l.refused, address, now, rate.Limit(failures)/60, failures).AllowN(now, 1)
}

// limiterOf finds or makes one. Where too many are counted, those that are full again are
// forgotten; if all are in use, counting each has lost its point.
func limiterOf(of map[string]*rate.Limiter, key string, now time.Time, often rate.Limit, burst int) *rate.Limiter {
	if l := of[key]; l != nil {
		return l
	}
	if len(of) >= maxCounted {
		for k, l := range of {
			if l.TokensAt(now) >= float64(l.Burst()) {
				delete(of, k)
			}
		}
		if len(of) >= maxCounted {
			clear(of)
		}
	}
	l := rate.NewLimiter(often, burst)
	of[key] = l
	return l
}
