package license

import (
	"encoding/json"
	"slices"
	"sync"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// ownKeys are the keys of platen.ini, or of its handshake code, read once for each text.
type ownKeys struct {
	mu      sync.Mutex
	text    string
	vendors []string
	keys    []Key
	faults  []error
}

// Reload has Serve look at platen.ini as it is.
func (d *Desk) Reload() {
	select {
	case d.changed <- struct{}{}:
	default: // it is about to
	}
}

// ownKeys reads the keys, and tells the log of those that are no good.
func (d *Desk) ownKeys() (keys []Key, faults []error) {
	text, vendors, o := d.text(), d.cfg.Vendors(), &d.own
	if len(vendors) == 0 {
		return nil, nil
	}
	o.mu.Lock()
	known := o.text == text && slices.Equal(o.vendors, vendors)
	if !known {
		o.text, o.vendors = text, slices.Clone(vendors)
		o.keys, o.faults = parseAll(text, vendors)
	}
	keys, faults = o.keys, o.faults
	o.mu.Unlock()
	for _, err := range faults {
		if !known {
			d.cfg.Log.Warn("a licence that is set in platen.ini cannot be used", "error", err)
		}
	}
	return keys, faults
}

// Allows reports whether a key of platen.ini or its handshake code names the origin, so that its pages may ask
// (access.Origins.Licensed).
func (d *Desk) Allows(o access.Origin) bool {
	place, now := d.cfg.Place(), d.cfg.Clock()
	keys, _ := d.ownKeys()
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
	keys, faults := d.ownKeys()
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
	for _, err := range faults {
		l.Keys = append(l.Keys, api.LicenseKey{Problem: problemOf(err)})
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
