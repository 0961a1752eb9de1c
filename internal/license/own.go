package license

import (
	"encoding/json"
	"slices"
	"strings"
	"sync"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// ownKeys are the keys of platen.ini, read once for each text.
type ownKeys struct {
	mu      sync.Mutex
	text    string
	vendors []string
	keys    []Key
	faults  []fault
}

// fault is a key that cannot be used.
type fault struct{ err error }

// get reads the keys; each that is no good is a fault, and the others count.
func (o *ownKeys) get(text string, vendors []string) ([]Key, []fault) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.text == text && slices.Equal(o.vendors, vendors) {
		return o.keys, o.faults
	}
	o.text, o.vendors, o.keys, o.faults = text, slices.Clone(vendors), nil, nil
	for part := range strings.SplitSeq(text, ";") {
		if strings.TrimSpace(part) == "" {
			continue
		}
		if k, err := Parse(part, vendors); err != nil {
			o.faults = append(o.faults, fault{err})
		} else {
			o.keys = append(o.keys, k)
		}
	}
	return o.keys, o.faults
}

// Allows reports whether a key of platen.ini names the origin, so that its pages may ask
// (access.Origins.Licensed).
func (d *Desk) Allows(o access.Origin) bool {
	vendors := d.cfg.Vendors()
	if len(vendors) == 0 {
		return false
	}
	place, now := d.cfg.Place(), d.cfg.Clock()
	keys, _ := d.own.get(d.cfg.Own().ProductKey, vendors)
	return slices.ContainsFunc(keys, func(k Key) bool {
		return len(k.Origins) > 0 && k.permits(Claim{Origin: o.String()}, place, place.Node, now) == nil
	})
}

// License says what this end is licensed for: all of api.License that the desk knows.
func (d *Desk) License() api.License {
	own, place, now := d.cfg.Own(), d.cfg.Place(), d.cfg.Clock()
	l := api.License{Mode: api.LicenseModeOpen, Vendors: d.cfg.Vendors(), Pin: place.Pin, Keys: []api.LicenseKey{}, Clock: api.LicenseClockGood}
	if l.Vendors == nil {
		l.Vendors = []string{}
	}
	if d.cfg.Suspect() {
		l.Clock = api.LicenseClockSuspect
	}
	d.mu.Lock()
	l.Reached = scan.At(d.reached)
	d.mu.Unlock()
	if len(l.Vendors) == 0 {
		return l
	}
	if l.Mode = api.LicenseModeFree; own != (access.Terms{}) {
		l.Mode = api.LicenseModeLicensed
	}
	l.HandshakeCode = own.HandshakeCode
	keys, faults := d.own.get(own.ProductKey, l.Vendors)
	for _, k := range keys {
		described := k.API()
		err := k.at(place, place.Node)
		if err == nil {
			err = k.During(now)
		}
		if err != nil {
			described.Problem = problemOf(err)
		}
		l.Keys = append(l.Keys, described)
	}
	for _, f := range faults {
		l.Keys = append(l.Keys, api.LicenseKey{Problem: problemOf(f.err)})
	}
	return l
}

// API is the key as the API describes it.
func (k Key) API() api.LicenseKey {
	return api.LicenseKey{
		Id: k.ID, Revision: k.Revision, Kind: string(k.Kind), Organisation: k.Organisation, Customer: k.Customer, Vendor: k.Vendor,
		Quantity: k.Quantity, Period: api.LicenseKeyPeriod(k.Period), Origins: k.Origins, Modules: k.apiModules(),
		Gateways: k.Gateways, Nodes: k.Nodes, NotBefore: scan.At(k.NotBefore), Expires: scan.At(k.Expires), GraceSeconds: k.Grace, OverUsePercent: k.OverUse,
	}
}

// problemOf is a problem as a member of an answer.
func problemOf(err error) (p api.Problem) {
	body, _ := json.Marshal(problem.From(err)) // strings and numbers only
	_ = json.Unmarshal(body, &p)               // what was written so
	return p
}
