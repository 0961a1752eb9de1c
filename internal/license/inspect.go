package license

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"strings"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/api"
)

// Inspection is what a token of this package says, and who signed it. One of its parts is
// set. Whether the signer may sign such a thing is not judged.
type Inspection struct {
	Type    string       `json:"type"`   // key, lease, block, receipt, head or mark
	Signer  string       `json:"signer"` // pin
	Key     *Key         `json:"key,omitempty"`
	Lease   *Lease       `json:"lease,omitempty"`
	Block   *Block       `json:"block,omitempty"`
	Receipt *api.Receipt `json:"receipt,omitempty"`
	Head    *Head        `json:"head,omitempty"` // of head and mark
}

// Inspect reads any token of this package, whoever signed it. Heads and marks do not name
// their node; it is needed for them.
func Inspect(text, node string) (Inspection, error) {
	text = strings.TrimSpace(text)
	signer, err := token.SignerUpTo(token.Max, text)
	if err != nil {
		return Inspection{}, invalid("It is no whole token of Platen: copy all of it.")
	}
	pin := identity.PinOf(ed25519.PublicKey(signer))
	i := Inspection{Signer: pin}
	if k, err := Parse(text, []string{pin}); err == nil {
		i.Type, i.Key = "key", &k
		return i, nil
	}
	if l, err := ParseLease(text); err == nil {
		i.Type, i.Lease = "lease", &l
		return i, nil
	}
	named := reader(text)
	if b, err := ParseBlock(text, named); err == nil {
		i.Type, i.Block = "block", &b
		return i, nil
	}
	if r, err := ReceiptIn(text, pin, named); err == nil {
		i.Type, i.Receipt = "receipt", &r
		return i, nil
	}
	if h, err := HeadIn(text, pin, node); err == nil {
		i.Type, i.Head = "head", &h
		return i, nil
	}
	if h, err := MarkIn(text, pin, node); err == nil {
		i.Type, i.Head = "mark", &h
		return i, nil
	}
	return Inspection{}, invalid("It is a whole token of Platen and not of a licence, or damaged. Heads and marks of a meter need the node's ID.")
}

// reader is the node that a token names. It is not checked yet: the signature is over it.
func reader(text string) string {
	parts := strings.Split(text, ".")
	if len(parts) < 3 {
		return ""
	}
	raw, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil || len(raw) < ed25519.SignatureSize {
		return ""
	}
	var claims struct {
		Audience string `json:"aud"`
		Node     string `json:"node"`
	}
	if json.Unmarshal(raw[:len(raw)-ed25519.SignatureSize], &claims) != nil {
		return ""
	}
	if claims.Audience != "" {
		return claims.Audience
	}
	return claims.Node
}
