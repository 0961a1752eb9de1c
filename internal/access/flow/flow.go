// Package flow remembers, between the two requests of a sign-in, what the second must
// fit to: a provider's nonce, a passkey's challenge. The page that began a flow holds
// its secret; the record is kept under the secret's hash, lives for minutes and is
// taken by exactly one request.
//
// The sign-in providers call it. It never judges what it keeps.
package flow

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Flows are the flows of one kind.
type Flows struct {
	Prefix string // of the records' keys, as "oidc."
	Life   time.Duration
	Now    func() time.Time
}

// secretLength is in base32 characters: 260 bits, so that nobody guesses one.
const secretLength = 52

// record is one flow. Once it is used it holds nothing any more.
type record struct {
	Expires time.Time       `json:"expires"`
	Used    bool            `json:"used,omitempty"`
	Value   json.RawMessage `json:"value,omitempty"`
}

// Begin keeps value and returns the secret that gives it back.
func (f Flows) Begin(ctx context.Context, records access.Records, value any) (secret string, err error) {
	if records == nil {
		return "", problem.New(problem.Unavailable, "Nobody can sign in here.")
	}
	inner, err := json.Marshal(value)
	if err != nil {
		return "", fmt.Errorf("encoding a flow: %w", err)
	}
	r := record{Expires: f.Now().Add(f.Life), Value: inner}
	encoded, err := json.Marshal(r)
	if err != nil {
		return "", fmt.Errorf("encoding a flow: %w", err)
	}
	secret = scan.RandomText(secretLength)
	if _, err := records.Create(ctx, f.key(secret), encoded, r.Expires); err != nil {
		return "", fmt.Errorf("storing a flow: %w", err)
	}
	return secret, nil
}

// Take fills in what was kept, for one caller only. For all others, when its time is
// up and for an unknown secret it is FlowExpired.
func (f Flows) Take(ctx context.Context, records access.Records, secret string, value any) error {
	if records == nil || !isSecret(secret) {
		return problem.FlowExpired.Error()
	}
	encoded, revision, err := records.Get(ctx, f.key(secret))
	if errors.Is(err, access.ErrNoRecord) {
		return problem.FlowExpired.Error()
	}
	if err != nil {
		return fmt.Errorf("reading a flow: %w", err)
	}
	var r record
	if err := json.Unmarshal(encoded, &r); err != nil {
		return fmt.Errorf("decoding a flow: %w", err)
	}
	if r.Used || !f.Now().Before(r.Expires) {
		return problem.FlowExpired.Error()
	}
	used, err := json.Marshal(record{Expires: r.Expires, Used: true})
	if err != nil {
		return fmt.Errorf("encoding a flow: %w", err)
	}
	_, err = records.Update(ctx, f.key(secret), used, r.Expires, revision)
	if errors.Is(err, access.ErrConflict) {
		return problem.FlowExpired.Error() // another request was first
	}
	if err != nil {
		return fmt.Errorf("using a flow up: %w", err)
	}
	if err := json.Unmarshal(r.Value, value); err != nil {
		return fmt.Errorf("decoding a flow: %w", err)
	}
	return nil
}

const alphabet = "abcdefghijklmnopqrstuvwxyz234567"

var encoding = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

func (f Flows) key(secret string) string {
	sum := sha256.Sum256([]byte(secret))
	return f.Prefix + encoding.EncodeToString(sum[:])
}

func isSecret(s string) bool { return len(s) == secretLength && strings.Trim(s, alphabet) == "" }
