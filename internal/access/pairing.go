package access

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	pairingKey          = "pairing."
	pairingLife         = 2 * time.Minute
	pairingKept         = 10 * time.Minute // after its life, so that a late device is told the cause
	pairingSecretLength = 32               // base32 characters: 160 bits
	maxOpenPairings     = 16

	codeLength = 8                                  // symbols: 40 bits
	symbols    = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ" // 32, none that looks or sounds like another
)

// pairing is the record of one code. Code and secret are kept as hashes; the code's
// could be searched, but only by who reads our files, and for two minutes.
type pairing struct {
	ID      string           `json:"id"`
	Role    api.Role         `json:"role"`
	User    string           `json:"user,omitempty"` // whom the device is signed in as; "": nobody
	By      string           `json:"by,omitempty"`   // subject of who made it; "": a start command
	Label   string           `json:"label,omitempty"`
	State   api.PairingState `json:"state"` // never expired: that is told by the time
	Guessed bool             `json:"guessed,omitempty"`
	Code    []byte           `json:"code"`
	Secret  []byte           `json:"secret"`
	Check   string           `json:"check,omitempty"`
	Expires time.Time        `json:"expires"`
}

func (p pairing) state(now time.Time) api.PairingState {
	if p.State == api.PairingStateOpen && !now.Before(p.Expires) {
		return api.PairingStateExpired
	}
	return p.State
}

// refusal is why a pairing that is not open cannot be redeemed.
func (p pairing) refusal(now time.Time) error {
	switch p.state(now) {
	case api.PairingStateOpen:
		return nil
	case api.PairingStateUsed:
		return problem.PairingUsed.Error()
	case api.PairingStateVoid:
		if p.Guessed {
			return problem.PairingTooMany.Error()
		}
	}
	return problem.PairingExpired.Error()
}

func (p pairing) codeHash(code string) []byte { return hash(p.ID + " " + code) }

func (p pairing) describe(now time.Time) api.Pairing {
	return api.Pairing{Id: p.ID, Role: p.Role, User: p.User, Label: p.Label, State: p.state(now), Check: p.Check, Expires: scan.At(p.Expires)}
}

// pairingURL is what a QR code holds. All that is secret stands in the fragment, which
// browsers do not send. base is as "https://192.168.1.5:18623"; caPin may be "".
func pairingURL(base, secret, caPin string) string {
	url := base + "/#pair=" + secret
	if caPin != "" {
		url += "&ca=" + caPin
	}
	return url
}

// CheckString is four symbols that people compare on two screens. They mean that
// both ends know the same material, not that it is secret.
func CheckString(material []byte) string {
	sum := sha256.Sum256(material)
	check := make([]byte, 4)
	for i := range check {
		check[i] = symbols[int(sum[i])%len(symbols)]
	}
	return string(check)
}

// NewPairing makes a code that signs one device in with the role, once, within two
// minutes. The answer is the only one that ever holds code, secret and URL. It is what
// POST /pairings does, for a caller in this process.
func (g *Guard) NewPairing(ctx context.Context, role api.Role, label string) (api.Pairing, error) {
	base := ""
	if g.PairingBase != nil {
		base = g.PairingBase()
	}
	return g.newPairing(ctx, pairing{Role: role, Label: label}, base)
}

// newPairing completes and keeps p.
func (g *Guard) newPairing(ctx context.Context, p pairing, base string) (api.Pairing, error) {
	now := g.Now()
	all, err := g.pairings(ctx)
	if err != nil {
		return api.Pairing{}, err
	}
	open := openOnly(all, now)
	if len(open) >= maxOpenPairings {
		return api.Pairing{}, problem.New(problem.TooManyRequests, "%d codes are on show.", len(open)).After(pairingLife)
	}
	if len(open) == 0 {
		if err := g.forgetTries(ctx); err != nil {
			return api.Pairing{}, err
		}
	}
	code := freshCode(open)
	secret := scan.RandomText(pairingSecretLength)
	p.ID, p.State, p.Expires = scan.RandomText(shortIDLength), api.PairingStateOpen, now.Add(pairingLife)
	p.Secret = hash(secret)
	p.Code = p.codeHash(code)
	if err := PutRecord(ctx, g.Records, pairingKey+p.ID, p, p.Expires.Add(pairingKept), 0); err != nil {
		return api.Pairing{}, err
	}
	answer := p.describe(now)
	answer.Code, answer.Secret = code, secret
	if base != "" {
		answer.Url = pairingURL(base, secret, g.CAPin)
	}
	return answer, nil
}

// freshCode draws a code that no open pairing has.
func freshCode(open []pairing) string {
	for {
		code := newCode()
		if !slices.ContainsFunc(open, func(p pairing) bool { return slices.Equal(p.Code, p.codeHash(code)) }) {
			return code
		}
	}
}

// newCode draws a code for people to type.
func newCode() string {
	code := make([]byte, codeLength)
	rand.Read(code) // never fails: crypto/rand
	for i, b := range code {
		code[i] = symbols[int(b)%len(symbols)]
	}
	return string(code)
}

func isCode(s string) bool { return len(s) == codeLength && strings.Trim(s, symbols) == "" }

// pairings are all that are still remembered, in order of their IDs.
func (g *Guard) pairings(ctx context.Context) ([]pairing, error) {
	if g.Records == nil {
		return nil, problem.New(problem.Unavailable, "Nobody can sign in here.")
	}
	return all[pairing](ctx, g.Records, pairingKey)
}

func openOnly(all []pairing, now time.Time) []pairing {
	return slices.DeleteFunc(slices.Clone(all), func(p pairing) bool { return p.state(now) != api.PairingStateOpen })
}

func (g *Guard) readPairing(ctx context.Context, id string) (pairing, uint64, error) {
	p, revision, err := GetRecord[pairing](ctx, g.Records, pairingKey+id)
	if errors.Is(err, ErrNoRecord) {
		err = problem.NotFound.Error()
	}
	return p, revision, err
}

// editPairing changes a pairing if it is still open, else it answers why not.
func (g *Guard) editPairing(ctx context.Context, id string, edit func(*pairing)) (pairing, error) {
	var p pairing
	err := withRetry(ctx, func() error {
		var revision uint64
		var err error
		if p, revision, err = g.readPairing(ctx, id); err != nil {
			return err
		}
		if err := p.refusal(g.Now()); err != nil {
			return err
		}
		edit(&p)
		return PutRecord(ctx, g.Records, pairingKey+id, p, p.Expires.Add(pairingKept), revision)
	})
	return p, err
}

// withRetry repeats a read-modify-write that lost against another.
func withRetry(ctx context.Context, try func() error) error {
	const most = 50
	for range most {
		if err := try(); !errors.Is(err, ErrConflict) || ctx.Err() != nil {
			return err
		}
	}
	return problem.Unavailable.Error().After(time.Second)
}
