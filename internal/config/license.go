package config

import (
	"errors"
	"fmt"
	"net/mail"
	"slices"
	"strings"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/token"
)

// Server is a licence tracking server as people write it: host:port#pin.
type Server struct {
	Address string // host:port
	Pin     string // of its key
}

func (s Server) String() string { return s.Address + "#" + s.Pin }

// parseServer reads host:port#pin.
func parseServer(text string) (Server, error) {
	address, pin, ok := strings.Cut(text, "#")
	if a, err := access.ParseAuthority(address, 0); !ok || err != nil || a.Port == 0 {
		return Server{}, fmt.Errorf("%q is not host:port#pin: where the licence tracking server is, and its key", text)
	}
	if !license.IsPin(pin) {
		return Server{}, fmt.Errorf("%q ends with no pin: 43 letters, digits, hyphens and underscores", text)
	}
	return Server{address, pin}, nil
}

// Trusted are the pins of the vendors whose licences are taken; none: no licence is asked for.
func (l License) Trusted() []string {
	if v := builtInVendor(); v != "" {
		return []string{v}
	}
	return l.Vendors
}

// builtInVendor is a variable for tests.
var builtInVendor = license.BuiltInVendor

// Tracking are the licence tracking server and those that stand in for it.
func (l License) Tracking() []Server {
	var list []Server
	for _, text := range l.Servers {
		if s, err := parseServer(text); err == nil { // Load has judged it
			list = append(list, s)
		}
	}
	return list
}

// Terms are what sessions go by that bring none of their own.
func (l License) Terms() access.Terms {
	return access.Terms{ProductKey: l.ProductKey, HandshakeCode: l.HandshakeCode}
}

// StandsInFor is the server of Main; zero for the main one itself.
func (t Tracking) StandsInFor() Server {
	s, _ := parseServer(t.Main) // Load has judged it
	return s
}

// The ways in which the connection to a mail server is encrypted.
const (
	SecuritySTARTTLS = "starttls"
	SecurityTLS      = "tls"
	SecurityNone     = "none"

	securities = "starttls, tls or none" // the unit
)

// The units of licences.
const (
	unitPins      = "pins"
	unitPin       = "a pin"
	unitKeys      = "keys with ;"
	unitHandshake = "ORG-CODE"
	unitServer    = "host:port#pin"
	unitMail      = "an address"
)

// parseLicense judges the shape of a text with one of the units; whether a key is good is
// said where it is used.
func parseLicense(text, unit string) error {
	switch unit {
	case unitPin, unitPins:
		if !license.IsPin(text) {
			return fmt.Errorf("%q is no pin: 43 letters, digits, hyphens and underscores", text)
		}
	case unitServer:
		_, err := parseServer(text)
		return err
	case unitHandshake:
		if _, _, err := license.ParseHandshake(text); err != nil {
			return fmt.Errorf("%q is no handshake code: organisation, hyphen and code", text)
		}
	case unitKeys:
		return parseKeys(text)
	case securities:
		if !slices.Contains([]string{SecuritySTARTTLS, SecurityTLS, SecurityNone}, text) {
			return fmt.Errorf("%q is none of %s", text, securities)
		}
	case unitMail:
		if a, err := mail.ParseAddress(text); err != nil || a.Address != text {
			return fmt.Errorf("%q is no mail address", text)
		}
	}
	return nil
}

func parseKeys(text string) error {
	n := 0
	for part := range strings.SplitSeq(text, ";") {
		if part = strings.TrimSpace(part); part == "" {
			continue
		}
		n++
		if _, err := token.SignerUpTo(token.Max, part); err != nil {
			return fmt.Errorf("key %d is not a whole licence of Platen: copy all of it, and put a semicolon between keys", n)
		}
	}
	if n == 0 {
		return errors.New("there is no key in it")
	}
	return nil
}

// license judges values of [license] and [alerts] together.
func (l *loader) license() {
	c := l.config.License
	if c.ProductKey != "" && c.HandshakeCode != "" {
		l.fault(l.at("[license] HandshakeCode", "[license] ProductKey"), "[license] HandshakeCode", "it cannot be used together with ProductKey: remove one of them")
	}
	if len(c.Vendors) > 0 && builtInVendor() != "" {
		l.fault(l.at("[license] Vendors"), "[license] Vendors", "this program takes only licences of the vendor who is built in: remove it")
	}
	if a := l.config.Alerts; a.Password != "" && a.User == "" {
		l.needed("[alerts] User", "it is needed with Password", "[alerts] Password")
	}
	if t := l.config.Tracking; t.Main != "" && t.Standby != "" {
		l.needed("[tracking] Standby", "a server that stands in for Main has none itself: remove one of them", "[tracking] Main")
	}
}
