package access

import (
	"fmt"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/token"
)

// What the hello of a link holds beside the time, each signed by the gateway for one node.
const (
	sequencePurpose = "platen-sequence/1"
	nextKeyPurpose  = "platen-next-key/1"
)

type sequenceClaims struct {
	Number int64 `json:"number"`
}

// SequenceToken is the number of a link. The node stores it and gives it back with its
// next link: of two machines with the same key one gives back an old number.
func SequenceToken(gateway *identity.Identity, node string, number int64) string {
	return token.Sign(gateway, sequencePurpose, node, sequenceClaims{number})
}

// SequenceIn reads a sequence token of the gateway with this pin for the node.
func SequenceIn(text, pin, node string) (number int64, err error) {
	var c sequenceClaims
	if err := token.Open(text, pin, sequencePurpose, node, &c); err != nil {
		return 0, err
	}
	if c.Number <= 0 {
		return 0, fmt.Errorf("%w: a number below one", token.ErrInvalid)
	}
	return c.Number, nil
}

// NextKey is the key that a gateway is going to change to.
type NextKey struct {
	Pin  string    `json:"pin"`
	From time.Time `json:"from"` // no sooner, by the gateway's clock
}

// NextKeyToken announces a gateway's next key to a node.
func NextKeyToken(gateway *identity.Identity, node string, next NextKey) string {
	next.From = next.From.UTC()
	return token.Sign(gateway, nextKeyPurpose, node, next)
}

// NextKeyIn reads an announcement of the gateway with this pin for the node.
func NextKeyIn(text, pin, node string) (NextKey, error) {
	var next NextKey
	if err := token.Open(text, pin, nextKeyPurpose, node, &next); err != nil {
		return NextKey{}, err
	}
	if next.From.IsZero() || !isPin(next.Pin) {
		return NextKey{}, fmt.Errorf("%w: no key, or no time", token.ErrInvalid)
	}
	return next, nil
}

// TimeIn is the gateway's clock in a time token, for what is not a grant.
func TimeIn(text, pin, node string) (time.Time, error) {
	var c timeClaims
	err := token.Open(text, pin, timePurpose, node, &c)
	return c.Time, err
}
