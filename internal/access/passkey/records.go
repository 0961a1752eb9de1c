package passkey

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	prefix   = "passkey." // "passkey.<user>.<id>": what goes with a user begins alike
	idLength = 20
	alphabet = "abcdefghijklmnopqrstuvwxyz234567"
	// kept is for ever, which not all Records know.
	kept = 100 * 365 * 24 * time.Hour
)

// record is one passkey.
type record struct {
	ID         string              `json:"id"`
	Label      string              `json:"label"`
	Created    time.Time           `json:"created"`
	Used       time.Time           `json:"used,omitzero"`
	Credential webauthn.Credential `json:"credential"`
}

func (r record) describe() api.Passkey {
	p := api.Passkey{Id: r.ID, Label: r.Label, Created: scan.At(r.Created)}
	if !r.Used.IsZero() {
		p.Used = scan.At(r.Used)
	}
	return p
}

var encoding = base32.NewEncoding(alphabet).WithPadding(base32.NoPadding)

// idOf makes our ID of the authenticator's. So a passkey that signs in is found without
// an index, and one that is added twice is noticed.
func idOf(credential []byte) string {
	sum := sha256.Sum256(credential)
	return encoding.EncodeToString(sum[:])[:idLength]
}

// isID reports whether s can be the ID of a user, and so part of a key.
func isID(s string) bool { return len(s) == idLength && strings.Trim(s, alphabet) == "" }

func key(user, id string) string { return prefix + user + "." + id }

// of lists a user's passkeys.
func of(ctx context.Context, records access.Records, user string) ([]record, error) {
	var all []record
	err := records.List(ctx, key(user, ""), func(_ string, value []byte) error {
		var r record
		if err := json.Unmarshal(value, &r); err != nil {
			return err
		}
		all = append(all, r)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing passkeys: %w", err)
	}
	return all, nil
}

// read answers NotFound if the user has no such passkey.
func read(ctx context.Context, records access.Records, user, id string) (r record, revision uint64, err error) {
	value, revision, err := records.Get(ctx, key(user, id))
	if errors.Is(err, access.ErrNoRecord) {
		return record{}, 0, problem.NotFound.Error()
	}
	if err != nil {
		return record{}, 0, fmt.Errorf("reading a passkey: %w", err)
	}
	if err := json.Unmarshal(value, &r); err != nil {
		return record{}, 0, fmt.Errorf("decoding a passkey: %w", err)
	}
	return r, revision, nil
}
