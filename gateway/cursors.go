package gateway

import (
	"crypto/hkdf"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/problem"
)

// cursors seals the places where lists go on. The seal keeps clients from making
// their own, so that only this gateway's words ever reach a node as a cursor. It
// holds over restarts, until the gateway's key changes, and says for which list the
// cursor is.
type cursors struct{ identity *identity.Identity }

const (
	sealSize  = 16   // bytes: 128 bits of the HMAC
	maxCursor = 2048 // characters, from the API
)

func (c cursors) seal(list string, place any) (string, error) {
	body, err := json.Marshal(place)
	if err != nil {
		return "", fmt.Errorf("encoding a cursor: %w", err)
	}
	sum, err := c.sum(list, body)
	if err != nil {
		return "", err
	}
	return base64.RawURLEncoding.EncodeToString(append(sum, body...)), nil
}

func (c cursors) open(list, cursor string, place any) error {
	bad := problem.New(problem.BadRequest, "Take cursors from the member next, unchanged.").At("cursor")
	raw, err := base64.RawURLEncoding.Strict().DecodeString(cursor)
	if err != nil || len(raw) < sealSize {
		return bad
	}
	sum, err := c.sum(list, raw[sealSize:])
	if err != nil {
		return err
	}
	if !hmac.Equal(raw[:sealSize], sum) {
		return bad
	}
	if err := json.Unmarshal(raw[sealSize:], place); err != nil {
		return bad
	}
	return nil
}

func (c cursors) sum(list string, body []byte) ([]byte, error) {
	key, err := hkdf.Key(sha256.New, c.identity.Signer().Seed(), nil, "platen gateway cursors", sha256.Size)
	if err != nil {
		return nil, fmt.Errorf("making the key for cursors: %w", err)
	}
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte(list))
	mac.Write([]byte{0})
	mac.Write(body)
	return mac.Sum(nil)[:sealSize], nil
}
