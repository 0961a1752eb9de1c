package h3link

import (
	"crypto/rand"

	"github.com/quic-go/quic-go"

	"github.com/platen-scan/platen/relay"
)

// markedIDs are a node's connection IDs. They begin with relay.LinkMark: so the
// gateway, which must choose a connection's windows at the first packet, before TLS
// says whose it is, gives this one a link's. The mark proves nothing and is no
// secret.
type markedIDs struct{}

const randomBytes = 8 // of a connection ID, behind the mark

func (markedIDs) ConnectionIDLen() int { return len(relay.LinkMark) + randomBytes }

func (m markedIDs) GenerateConnectionID() (quic.ConnectionID, error) {
	id := make([]byte, m.ConnectionIDLen())
	rand.Read(id[copy(id, relay.LinkMark):])
	return quic.ConnectionIDFromBytes(id), nil
}

// ids is nil for quic-go's own.
func (d *Dialer) ids() quic.ConnectionIDGenerator {
	if d.plainIDs {
		return nil
	}
	return markedIDs{}
}
