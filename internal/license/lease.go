package license

import (
	"cmp"
	"crypto/ed25519"
	"slices"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/problem"
)

const (
	leasePurpose = "platen-lease/1"
	blockPurpose = "platen-block/1"
)

// How long a tracking server lets what it hands out be used before it is asked again. A
// key's grace comes on top while the server cannot be reached.
const (
	LeaseTime  = 24 * time.Hour  // of a seat
	SliceTime  = 3 * time.Minute // of a client at the same time as others
	BlockTime  = 24 * time.Hour  // of pages
	RenewAfter = 3               // a lease is renewed when a third of its time is over
)

// Lease is a tracking server's word that a seat of an item is somebody's for a time.
type Lease struct {
	ID       string    `json:"jti"`
	Item     string    `json:"item"` // Key.ID
	Revision int       `json:"rev"`  // Key.Revision
	Project  string    `json:"project,omitempty"`
	For      string    `json:"for"`  // pin of the gateway that may use it, or ID of the node without one
	Holder   string    `json:"sub"`  // see ClientHash; of kind node the node's ID
	Seat     int64     `json:"seat"` // from 1 to the quantity, and what over-use permits
	Origin   string    `json:"origin,omitempty"`
	From     time.Time `json:"nbf"`
	Until    time.Time `json:"exp"`

	Signer string `json:"-"` // pin of the server; parse fills it in
	Text   string `json:"-"`
}

// Sign makes the token.
func (l Lease) Sign(server *identity.Identity) string { return token.Sign(server, leasePurpose, "", l) }

// Block is a tracking server's word that a node may commit so many pages of an item. Its
// ID is used once: what a node has spent of it stays spent.
type Block struct {
	ID       string    `json:"jti"`
	Item     string    `json:"item"`
	Revision int       `json:"rev"`
	Project  string    `json:"project,omitempty"`
	For      string    `json:"for"` // as in Lease
	Node     string    `json:"aud"`
	Pages    int64     `json:"pages"`
	Over     int64     `json:"over,omitempty"` // pages beyond these that a job under way may commit still
	From     time.Time `json:"nbf"`
	Until    time.Time `json:"exp"`

	Signer string `json:"-"`
	Text   string `json:"-"`
}

// Sign makes the token.
func (b Block) Sign(server *identity.Identity) string {
	return token.Sign(server, blockPurpose, b.Node, b)
}

// ParseLease reads a lease and says who signed it; whether that one may is judged with its key.
func ParseLease(text string) (Lease, error) {
	var l Lease
	pin, err := open(text, leasePurpose, "", &l)
	l.Signer, l.Text = pin, text
	if err == nil && (l.ID == "" || l.Item == "" || l.For == "" || l.Holder == "" || l.Seat < 1 || !l.Until.After(l.From)) {
		err = invalid("The lease of the licence says nothing.")
	}
	return l, err
}

// ParseBlock is ParseLease for pages of a node.
func ParseBlock(text, node string) (Block, error) {
	var b Block
	pin, err := open(text, blockPurpose, node, &b)
	b.Signer, b.Text = pin, text
	if err == nil && (b.ID == "" || b.Item == "" || b.For == "" || b.Node != node || b.Pages < 1 || b.Over < 0 || b.Over > b.Pages || !b.Until.After(b.From)) {
		err = invalid("The pages of the licence are not those of this node.")
	}
	return b, err
}

// open reads a token by the key that it names itself.
func open(text, purpose, audience string, claims any) (pin string, err error) {
	signer, err := token.SignerUpTo(token.Max, text)
	if err == nil {
		pin = identity.PinOf(ed25519.PublicKey(signer))
		err = token.Open(text, pin, purpose, audience, claims)
	}
	if err != nil {
		return "", invalid("What the tracking server signed is damaged or for somebody else.")
	}
	return pin, nil
}

// Place is an end that uses licences. A gateway may have changed its key since licences
// were bound to it, or something was leased to it.
type Place struct {
	Node    string   // ID of the node; "": it is a gateway
	Pin     string   // of its present key
	Earlier []string // pins of the keys that it had before
	// Gateway are the pins of all keys of the gateway that counts for a node.
	Gateway []string
}

// Name is what leases and blocks for the place say in For: of a gateway the present key,
// which all of its nodes know.
func (p Place) Name() string { return cmp.Or(p.Node, p.Pin) }

// is reports whether the name is the place's. What was leased before a gateway changed its
// key says the one before, and what a gateway got for its node says the gateway.
func (p Place) is(name string) bool {
	if p.Node != "" {
		return name == p.Node || slices.Contains(p.Gateway, name)
	}
	return p.has(name)
}

// has reports whether a key of the place has the pin, or had it.
func (p Place) has(pin string) bool {
	return pin != "" && (pin == p.Pin || slices.Contains(p.Earlier, pin))
}

// BoundAt reports whether a key is bound to the place.
func (k Key) BoundAt(p Place) bool {
	return k.Bound("", p.Node) || slices.ContainsFunc(k.Gateways, p.has)
}

// signs reports whether what this pin signed may count for a key: it is bound to the
// signer, under whichever of the signer's keys.
func (k Key) signs(pin string, place Place) bool {
	return k.Bound(pin, "") || place.has(pin) && k.BoundAt(place) ||
		slices.Contains(place.Gateway, pin) && k.BoundAt(Place{Earlier: place.Gateway})
}

// Until is the last moment of a lease's or block's use, with the key's grace.
func (k Key) until(end time.Time) time.Time { return end.Add(time.Duration(k.Grace) * time.Second) }

// covered judges a lease of a seat.
func (k Key) covered(l Lease, place Place, holder, origin string, now time.Time) error {
	switch {
	case l.Item != k.ID || l.Revision != k.Revision || !place.is(l.For):
		return k.problem(problem.LicenseInvalid, "The seat is of another licence or place.")
	case !k.signs(l.Signer, place):
		return k.problem(problem.LicenseElsewhere, "The seat was given by a server to which it is not bound.")
	case l.Seat > k.Quantity+k.over():
		return k.problem(problem.LicenseSeats, "It has %d, and this would be number %d.", k.Quantity, l.Seat)
	case l.Holder != holder || l.Origin != origin:
		return k.problem(problem.LicenseInvalid, "The seat is somebody else's.")
	case now.Before(l.From.Add(-skew)) || !now.Before(k.until(l.Until)):
		return k.problem(problem.TrackingOffline, "The seat was good until %s.", k.until(l.Until).UTC().Format(time.DateTime))
	}
	return nil
}

// holds judges a block of pages.
func (k Key) holds(b Block, place Place, now time.Time) error {
	switch {
	case b.Item != k.ID || b.Revision != k.Revision || !place.is(b.For):
		return k.problem(problem.LicenseInvalid, "The pages are of another licence or place.")
	case !k.signs(b.Signer, place):
		return k.problem(problem.LicenseElsewhere, "The pages were given by a server to which it is not bound.")
	case b.Pages > k.Quantity+k.over() || b.Over > k.over():
		return k.problem(problem.LicensePages, "It has %d, and these would be %d.", k.Quantity, b.Pages)
	case now.Before(b.From.Add(-skew)) || !now.Before(k.until(b.Until)):
		return k.problem(problem.TrackingOffline, "The pages were good until %s.", k.until(b.Until).UTC().Format(time.DateTime))
	}
	return nil
}

// over is by how much the quantity may be passed.
func (k Key) over() int64 { return k.Quantity * int64(k.OverUse) / 100 }

// skew is by how much clocks may differ.
const skew = 5 * time.Minute
