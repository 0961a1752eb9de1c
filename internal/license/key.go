package license

import (
	"crypto/ed25519"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Kind is what a key sells.
type Kind string

// The kinds. Tracked ones count something, and need a server that hands it out.
const (
	Browser    Kind = "browser"    // browser clients, each of which holds a seat
	Page       Kind = "page"       // pages
	Server     Kind = "server"     // all browsers of the origins
	Concurrent Kind = "concurrent" // browser clients at the same time
	PerNode    Kind = "node"       // nodes
	Trial      Kind = "trial"      // as Server, for a short time
)

// Kinds are all kinds.
var Kinds = []Kind{Browser, Page, Server, Concurrent, PerNode, Trial}

// Tracked reports whether something of the kind is handed out by a server.
func (k Kind) Tracked() bool { return k == Browser || k == Page || k == Concurrent || k == PerNode }

// Module is something beyond scanning.
type Module string

// The modules.
const (
	PDFRasterizer Module = "pdf-rasterizer"
	Barcode       Module = "barcode"
	OCR           Module = "ocr"
)

// Modules are all modules.
var Modules = []Module{PDFRasterizer, Barcode, OCR}

// Period is the time in which a quantity of pages may be used.
type Period string

// The periods, of the calendar in UTC.
const (
	Whole Period = "" // the key's whole time
	Day   Period = "day"
	Month Period = "month"
	Year  Period = "year"
)

const (
	keyPurpose = "platen-license/1"
	idLength   = 20 // base32 characters: 100 bits

	maxOrigins = 50
	maxBound   = 100
	maxText    = 200 // characters
	maxGrace   = 366 * 24 * time.Hour
	maxWindow  = 100 * 366 * 24 * 60 * 60 // seconds
	maxYear    = 9999                     // that can be written as a date
	maxOverUse = 100                      // per cent
	maxTrial   = 92 * 24 * time.Hour      // how long a trial may be
	maxPages   = int64(1_000_000_000_000) // of a quantity
)

// Key is a licence as its vendor signed it. Its times are to the second, in UTC.
type Key struct {
	Version      int      `json:"v"` // 1
	ID           string   `json:"id"`
	Revision     int      `json:"rev"` // a higher one takes the place of the same ID
	Kind         Kind     `json:"kind"`
	Organisation string   `json:"org"`
	Customer     string   `json:"customer,omitempty"` // for people
	Quantity     int64    `json:"quantity,omitempty"` // of what the kind counts; 0: as many as like
	Period       Period   `json:"period,omitempty"`   // of pages
	Origins      []string `json:"origins,omitempty"`  // see OriginMatches; none: those that the end allows
	Modules      []Module `json:"modules,omitempty"`
	// Gateways are pins of the gateways and tracking servers to which the key is bound, Nodes
	// the IDs of nodes. Both empty: it is good everywhere.
	Gateways  []string  `json:"gateways,omitempty"`
	Nodes     []string  `json:"nodes,omitempty"`
	NotBefore time.Time `json:"nbf"`
	Expires   time.Time `json:"exp"`
	Grace     int64     `json:"grace,omitempty"`  // seconds that leases and blocks are good beyond their time while their server cannot be reached
	OverUse   int       `json:"over,omitempty"`   // per cent by which the quantity may be passed
	Window    int64     `json:"window,omitempty"` // seconds that a browser client holds its seat after it was last used; 0: 365 days

	// Vendor is the pin of the key that signed it; Parse fills it in.
	Vendor string `json:"-"`
	// Text is the token itself; Parse fills it in.
	Text string `json:"-"`
}

// NewID is a name for a licence.
func NewID() string { return scan.RandomText(idLength) }

// Issue signs the key as the vendor.
func Issue(vendor *identity.Identity, k Key) (string, error) {
	k.Version = 1
	k.NotBefore, k.Expires = k.NotBefore.UTC().Truncate(time.Second), k.Expires.UTC().Truncate(time.Second)
	if err := k.check(); err != nil {
		return "", err
	}
	text := token.Sign(vendor, keyPurpose, "", k)
	if len(text) > token.Max {
		return "", fmt.Errorf("the key has %d characters, more than %d: name fewer origins, gateways or nodes", len(text), token.Max)
	}
	return text, nil
}

// Parse reads one key of a vendor who is one of those with these pins. Errors are
// LicenseInvalid. Its time, origin and place are not judged here.
func Parse(text string, vendors []string) (Key, error) {
	text = strings.TrimSpace(text)
	signer, err := token.SignerUpTo(token.Max, text)
	if err != nil {
		return Key{}, invalid("The key is damaged: copy all of it.")
	}
	pin := identity.PinOf(ed25519.PublicKey(signer))
	if !slices.Contains(vendors, pin) {
		return Key{}, invalid("The key is signed by a vendor who is not trusted here, %s.", pin)
	}
	var k Key
	if err := token.Open(text, pin, keyPurpose, "", &k); err != nil {
		return Key{}, invalid("The key is damaged: copy all of it.")
	}
	if err := k.check(); err != nil {
		return Key{}, invalid("The key cannot be used: %v.", err)
	}
	k.Vendor, k.Text = pin, text
	return k, nil
}

// parseAll reads keys that are joined with semicolons. Each that is no good is a fault, which
// says which one it is, and the others count.
func parseAll(text string, vendors []string) (keys []Key, faults []error) {
	parts := slices.DeleteFunc(strings.Split(text, ";"), func(part string) bool { return strings.TrimSpace(part) == "" })
	for i, part := range parts {
		k, err := Parse(part, vendors)
		switch {
		case err == nil:
			keys = append(keys, k)
		case len(parts) > 1:
			faults = append(faults, invalid("Key %d of %d cannot be used. %s", i+1, len(parts), problem.From(err).Detail))
		default:
			faults = append(faults, err)
		}
	}
	return keys, faults
}

// check judges what the key says by itself.
func (k Key) check() error {
	bad := func(ok bool, why string) error {
		if ok {
			return nil
		}
		return errors.New(why)
	}
	origins := func() error {
		for _, o := range k.Origins {
			if _, err := ParsePattern(o); err != nil {
				return err
			}
		}
		return nil
	}
	return errors.Join(
		bad(k.Version == 1, "its version is not 1: a newer Platen is needed"),
		bad(isID(k.ID), "its ID is not one"),
		bad(k.Revision >= 1, "its revision is below 1"),
		bad(slices.Contains(Kinds, k.Kind), "its kind is not known"),
		bad(isOrganisation(k.Organisation), "its organisation is not 1 to 32 letters and digits"),
		bad(len([]rune(k.Customer)) <= maxText, "its customer is too long"),
		bad(strings.IndexFunc(k.Customer, unicode.IsControl) < 0, "its customer has characters that cannot be printed"),
		bad(k.Quantity >= 0 && k.Quantity <= maxPages, "its quantity is not possible"),
		bad(k.Quantity > 0 || !k.Kind.Tracked() || k.Kind == PerNode && len(k.Nodes) > 0, "it needs a quantity"),
		bad(k.Period == Whole || k.Kind == Page && slices.Contains([]Period{Day, Month, Year}, k.Period), "only pages have a period: day, month or year"),
		bad(len(k.Origins) <= maxOrigins && len(k.Gateways)+len(k.Nodes) <= maxBound, "it names too many origins, gateways or nodes"),
		bad(!slices.ContainsFunc(k.Modules, func(m Module) bool { return !slices.Contains(Modules, m) }), "it names a module that is not known"),
		bad(!k.Kind.Tracked() || len(k.Gateways)+len(k.Nodes) > 0, "what is counted must be bound to the gateway, tracking server or node that counts"),
		bad(k.Kind != Server || len(k.Origins) > 0, "a server's key names its origins"),
		bad(k.Expires.After(k.NotBefore), "it ends before it begins"),
		bad(k.NotBefore.Year() >= 1 && k.Expires.Year() <= maxYear, "it is not within the years 1 to 9999"),
		bad(k.Kind != Trial || k.Expires.Sub(k.NotBefore) <= maxTrial, "a trial is for 92 days at most"),
		bad(k.Grace >= 0 && time.Duration(k.Grace)*time.Second <= maxGrace, "its grace is not from 0 to 366 days"),
		bad(k.OverUse >= 0 && k.OverUse <= maxOverUse, "its over-use is not from 0 to 100 per cent"),
		bad(k.Window >= 0 && k.Window <= maxWindow, "its window is not from 0 to 100 years"),
		origins(),
	)
}

func isID(s string) bool {
	return len(s) == idLength && strings.Trim(s, "abcdefghijklmnopqrstuvwxyz234567") == ""
}

const letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789"

func isOrganisation(s string) bool { return s != "" && len(s) <= 32 && strings.Trim(s, letters) == "" }

// ParseHandshake reads a handshake code: organisation, hyphen, code.
func ParseHandshake(text string) (organisation, code string, err error) {
	organisation, code, ok := strings.Cut(strings.TrimSpace(text), "-")
	if !ok || !isOrganisation(organisation) || code == "" || len(code) > 64 || strings.Trim(code, letters+"_") != "" {
		return "", "", problem.New(problem.HandshakeUnknown, "A handshake code is the organisation, a hyphen and a code.")
	}
	return organisation, code, nil
}

// During judges the key's time.
func (k Key) During(now time.Time) error {
	switch {
	case now.Before(k.NotBefore):
		return k.problem(problem.LicenseNotYetValid, "It begins on %s.", day(k.NotBefore))
	case !now.Before(k.Expires):
		return k.problem(problem.LicenseExpired, "It ended on %s.", day(k.Expires))
	}
	return nil
}

// For judges whether pages of the origin may use the key. "" is Platen's own page.
func (k Key) For(origin string) error {
	if origin == "" || len(k.Origins) == 0 || slices.ContainsFunc(k.Origins, func(p string) bool { return OriginMatches(p, origin) }) {
		return nil
	}
	return k.problem(problem.LicenseOrigin, "It is for %s, not for %s.", strings.Join(k.Origins, ", "), origin)
}

// Has judges whether the key includes a module. "" is scanning.
func (k Key) Has(m Module) error {
	if m == "" || slices.Contains(k.Modules, m) {
		return nil
	}
	return k.problem(problem.LicenseModule, "It does not include %s.", m)
}

// Bound reports whether the key is bound to the gateway or tracking server with this pin
// or to the node with this ID. A key that is bound to nothing is not.
func (k Key) Bound(pin, node string) bool {
	return pin != "" && slices.Contains(k.Gateways, pin) || node != "" && slices.Contains(k.Nodes, node)
}

// problem is one of this licence, for people.
func (k Key) problem(code problem.Code, format string, args ...any) *problem.Error {
	name := k.Organisation
	if k.Customer != "" {
		name = k.Customer
	}
	return problem.New(code, "Licence %s of %s. %s", k.ID, name, fmt.Sprintf(format, args...))
}

func invalid(format string, args ...any) error {
	return problem.New(problem.LicenseInvalid, format, args...)
}

func day(t time.Time) string { return t.UTC().Format(time.DateOnly) }
