package discovery

import (
	"net/netip"
	"time"
)

// Answer is what one packet said.
type Answer struct {
	Interface string     // where it arrived
	From      netip.Addr // who sent it
	Entries   []Entry
}

// Kind is the DNS type of an Entry.
type Kind int

const (
	PTR Kind = iota + 1
	SRV
	TXT
	A
	AAAA
)

// Entry is one resource record of a packet. Names in it are as they came, unescaped and
// without their domain.
type Entry struct {
	Kind Kind
	Type string     // of PTR, SRV and TXT: as TypeNode
	Name string     // of PTR, SRV and TXT: the instance
	Host string     // of SRV, A and AAAA: as "platen-k7x2.local"
	Port uint16     // of SRV
	Text []string   // of TXT
	Addr netip.Addr // of A and AAAA
	TTL  time.Duration
	// Flush says that this and what else the packet says is all that there is of the kind
	// and the name (RFC 6762, section 10.2).
	Flush bool
}

// same reports whether two entries of one kind and name say the same.
func (e *Entry) same(other *Entry) bool {
	if e.Kind != other.Kind {
		return false
	}
	switch e.Kind {
	case PTR:
		return true
	case SRV:
		return e.Port == other.Port && fold(e.Host) == fold(other.Host)
	case TXT:
		if len(e.Text) != len(other.Text) {
			return false
		}
		for i := range e.Text {
			if e.Text[i] != other.Text[i] {
				return false
			}
		}
		return true
	case A, AAAA:
		return e.Addr == other.Addr
	}
	return false
}

// Question is what a Table wants to know.
type Question struct {
	Interface string
	Kind      Kind
	Type      string // of PTR, SRV and TXT
	Name      string // of SRV and TXT
	Host      string // of A and AAAA
}
