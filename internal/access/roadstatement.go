package access

import (
	"fmt"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/token"
)

const (
	statementPurpose  = "platen-roads/1"
	statementLife     = time.Hour
	maxStatementLife  = 24 * time.Hour
	maxStatementRoads = 32
)

// RoadStatement is where a node is reached directly and by which keys, in the node's own
// word: whoever passes it on cannot stand in the middle of a road.
type RoadStatement struct {
	Node         string    `json:"node"`                   // node ID
	WebTransport []string  `json:"webtransport,omitempty"` // URLs, as "https://192.168.1.5:18623/road"
	Hashes       []string  `json:"hashes,omitempty"`       // of the certificates there: SHA-256 of the DER, base64url without padding
	Fingerprint  string    `json:"fingerprint,omitempty"`  // the same of WebRTC's certificate
	IssuedAt     time.Time `json:"iat"`
	Expires      time.Time `json:"exp"`
}

// Sign makes the token, good for an hour from now. The statement is the signer's whatever
// Node and the times say.
func (s RoadStatement) Sign(node *identity.Identity, now time.Time) string {
	s.Node = node.NodeID()
	s.IssuedAt = now.UTC().Truncate(time.Second) // readers in browsers know no nanoseconds
	s.Expires = s.IssuedAt.Add(statementLife)
	if len(s.WebTransport) > maxStatementRoads {
		s.WebTransport = slices.Clone(s.WebTransport[:maxStatementRoads])
	}
	return token.Sign(node, statementPurpose, s.Node, s)
}

// RoadStatementIn reads a statement as a browser does, which knows nothing of the node but
// its ID: the key that signed must be the node's first one, or follow from it by the
// changes in chain.
func RoadStatementIn(text string, chain []string, node string, now time.Time) (RoadStatement, error) {
	key, err := token.SignerUpTo(token.Max, text)
	if err != nil {
		return RoadStatement{}, err
	}
	if id, err := identity.ParseChain(key, chain); err != nil || id != node {
		return RoadStatement{}, fmt.Errorf("%w: signed by a key that is not the node's", token.ErrInvalid)
	}
	var s RoadStatement
	if err := token.Open(text, identity.PinOf(key), statementPurpose, node, &s); err != nil {
		return RoadStatement{}, err
	}
	life := s.Expires.Sub(s.IssuedAt)
	switch {
	case s.Node != node:
		return RoadStatement{}, fmt.Errorf("%w: of another node", token.ErrInvalid)
	case life <= 0 || life > maxStatementLife || s.IssuedAt.After(now.Add(clockSkew)):
		return RoadStatement{}, fmt.Errorf("%w: its time is not possible", token.ErrInvalid)
	case !now.Before(s.Expires.Add(clockSkew)):
		return RoadStatement{}, fmt.Errorf("%w: it has run out", token.ErrInvalid)
	}
	return s, nil
}
