package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	triesKey = "tries.pairing"
	maxTries = 3 // wrong codes from anybody, then all codes on show are void
)

// redeem uses the pairing up that has the code or else the secret. Of two devices
// that come at once one wins, and the other is told that the code was used.
func (g *Guard) redeem(ctx context.Context, code, secret string) (pairing, error) {
	if code != "" {
		return g.redeemCode(ctx, code)
	}
	all, err := g.pairings(ctx)
	if err != nil {
		return pairing{}, err
	}
	sum := hash(secret)
	p, ok := find(all, func(p pairing) bool { return subtle.ConstantTimeCompare(p.Secret, sum) == 1 })
	if !ok {
		return pairing{}, problem.PairingWrong.Error() // not counted: nobody guesses 160 bits
	}
	return g.usePairing(ctx, p.ID)
}

// redeemCode pays for a try before it compares, and is paid back if the code was
// right: else many tries at once would all be compared before the first is counted.
func (g *Guard) redeemCode(ctx context.Context, code string) (pairing, error) {
	all, err := g.pairings(ctx)
	if err != nil {
		return pairing{}, err
	}
	guessable := len(openOnly(all, g.Now())) > 0
	spent := 0
	if guessable {
		if spent, err = g.payTry(ctx, 1); err != nil {
			return pairing{}, err
		}
		if spent > maxTries {
			return pairing{}, g.voidAll(ctx)
		}
	}
	p, ok := find(all, func(p pairing) bool { return subtle.ConstantTimeCompare(p.Code, p.codeHash(code)) == 1 })
	if !ok {
		if spent >= maxTries {
			return pairing{}, g.voidAll(ctx)
		}
		return pairing{}, problem.PairingWrong.Error()
	}
	if guessable {
		if _, err := g.payTry(ctx, -1); err != nil {
			return pairing{}, err
		}
	}
	return g.usePairing(ctx, p.ID)
}

// find looks at every pairing, so that the time it takes says nothing.
func find(all []pairing, is func(pairing) bool) (found pairing, ok bool) {
	for _, p := range all {
		if is(p) {
			found, ok = p, true
		}
	}
	return found, ok
}

func (g *Guard) usePairing(ctx context.Context, id string) (pairing, error) {
	return g.editPairing(ctx, id, func(p *pairing) {
		p.State = api.PairingStateUsed
		p.Check = CheckString([]byte(scan.RandomText(tokenLength)))
	})
}

// voidAll ends all codes on show and answers PairingTooMany.
func (g *Guard) voidAll(ctx context.Context) error {
	all, err := g.pairings(ctx)
	if err != nil {
		return err
	}
	for _, p := range openOnly(all, g.Now()) {
		_, err := g.editPairing(ctx, p.ID, func(p *pairing) { p.State, p.Guessed = api.PairingStateVoid, true })
		if err != nil && !isRefusal(err) { // a refusal: it was used, void or expired in the meantime
			return err
		}
	}
	g.Log.Warn("three wrong pairing codes: all codes on show are void")
	return problem.PairingTooMany.Error()
}

// tries counts wrong codes since a code was first on show.
type tries struct {
	Wrong int `json:"wrong"`
}

// payTry adds to the count and answers the new one.
func (g *Guard) payTry(ctx context.Context, n int) (spent int, err error) {
	err = withRetry(ctx, func() error {
		t, revision, err := GetRecord[tries](ctx, g.Records, triesKey)
		if err != nil && !errors.Is(err, ErrNoRecord) {
			return err
		}
		t.Wrong = max(t.Wrong+n, 0)
		spent = t.Wrong
		return PutRecord(ctx, g.Records, triesKey, t, g.Now().Add(24*time.Hour), revision)
	})
	return spent, err
}

func (g *Guard) forgetTries(ctx context.Context) error {
	if err := g.Records.Delete(ctx, triesKey); err != nil {
		return fmt.Errorf("deleting the count of tries: %w", err)
	}
	return nil
}
