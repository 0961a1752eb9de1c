package access

import (
	"context"
	"crypto/subtle"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Device grants sign programs in that have no browser, as RFC 8628 does: the program
// shows a code, a person who is signed in types it and allows, the program polls.

const (
	deviceKey          = "device."
	deviceLife         = 10 * time.Minute
	deviceSecretLength = 32              // base32 characters: 160 bits
	deviceInterval     = 5 * time.Second // between polls, and added for each that comes too soon
	maxOpenDevices     = 32
)

// deviceState is what became of a device grant.
type deviceState string

const (
	deviceOpen    deviceState = "open"
	deviceAllowed deviceState = "allowed"
	deviceDenied  deviceState = "denied"
	deviceUsed    deviceState = "used"
)

// device is the record of one device grant. The device code is "<id>.<secret>".
type device struct {
	ID       string        `json:"id"`
	Name     string        `json:"name"`    // what asks, in its own words
	Address  string        `json:"address"` // from where it asked
	State    deviceState   `json:"state"`
	Secret   []byte        `json:"secret"` // hash
	Code     []byte        `json:"code"`   // hash
	Expires  time.Time     `json:"expires"`
	Interval time.Duration `json:"interval"`
	Polled   time.Time     `json:"polled,omitzero"`
	User     string        `json:"user,omitempty"` // who allowed it
	Role     api.Role      `json:"role,omitempty"` // of who allowed it
}

func (d device) codeHash(code string) []byte { return hash(d.ID + " " + code) }

func (d device) waits(now time.Time) bool { return d.State == deviceOpen && now.Before(d.Expires) }

func (d device) describe(code string) api.DeviceGrant {
	return api.DeviceGrant{UserCode: code, Device: d.Name, Address: d.Address, Expires: scan.At(d.Expires)}
}

// newDevice keeps a grant that waits for somebody to allow it.
func (g *Guard) newDevice(ctx context.Context, name, address string) (api.DeviceGrant, error) {
	now := g.Now()
	open, err := g.waitingDevices(ctx)
	if err != nil {
		return api.DeviceGrant{}, err
	}
	if len(open) >= maxOpenDevices {
		return api.DeviceGrant{}, problem.New(problem.TooManyRequests, "%d programs wait to be allowed.", len(open)).After(time.Minute)
	}
	code := newCode()
	for slices.ContainsFunc(open, func(d device) bool { return slices.Equal(d.Code, d.codeHash(code)) }) {
		code = newCode()
	}
	secret := scan.RandomText(deviceSecretLength)
	d := device{ID: scan.RandomText(shortIDLength), Name: name, Address: address, State: deviceOpen,
		Secret: hash(secret), Expires: now.Add(deviceLife), Interval: deviceInterval}
	d.Code = d.codeHash(code)
	if err := PutRecord(ctx, g.Records, deviceKey+d.ID, d, d.Expires, 0); err != nil {
		return api.DeviceGrant{}, err
	}
	answer := d.describe(code)
	answer.DeviceCode, answer.Interval = d.ID+"."+secret, int(d.Interval.Seconds())
	return answer, nil
}

func (g *Guard) waitingDevices(ctx context.Context) ([]device, error) {
	now := g.Now()
	list, err := all[device](ctx, g.Records, deviceKey)
	return slices.DeleteFunc(list, func(d device) bool { return !d.waits(now) }), err
}

// deviceByCode finds the grant that waits with the code that a person typed.
func (g *Guard) deviceByCode(ctx context.Context, code string) (found device, err error) {
	open, err := g.waitingDevices(ctx)
	if err != nil {
		return device{}, err
	}
	for _, d := range open {
		if subtle.ConstantTimeCompare(d.Code, d.codeHash(code)) == 1 {
			found = d
		}
	}
	if found.ID == "" {
		return device{}, problem.GrantCodeWrong.Error()
	}
	return found, nil
}

// editDevice changes a grant; GrantDenied if there is none.
func (g *Guard) editDevice(ctx context.Context, id string, edit func(*device) error) error {
	return withRetry(ctx, func() error {
		d, revision, err := GetRecord[device](ctx, g.Records, deviceKey+id)
		if errors.Is(err, ErrNoRecord) {
			return problem.GrantDenied.Error()
		}
		if err == nil {
			err = edit(&d)
		}
		if err != nil {
			return err
		}
		return PutRecord(ctx, g.Records, deviceKey+id, d, d.Expires, revision)
	})
}

// decideDevice allows or denies a grant in the caller's name. Of two who decide at once
// the first one counts; the other finds no such code.
func (g *Guard) decideDevice(ctx context.Context, id string, state deviceState, c Caller) error {
	err := g.editDevice(ctx, id, func(d *device) error {
		if !d.waits(g.Now()) {
			return problem.GrantCodeWrong.Error()
		}
		d.State, d.User, d.Role = state, c.User, c.Role
		return nil
	})
	if errors.Is(err, problem.GrantDenied.Error()) { // its time ran out in between
		return problem.GrantCodeWrong.Error()
	}
	return err
}

// redeemDevice is a program's poll. Of several that come once the grant is allowed, one
// gets the session.
func (g *Guard) redeemDevice(ctx context.Context, deviceCode string) (session, error) {
	id, secret, ok := strings.Cut(deviceCode, ".")
	if !ok || !isText(id, shortIDLength) {
		return session{}, problem.GrantDenied.Error()
	}
	var d device
	var slow, pending bool
	err := g.editDevice(ctx, id, func(now *device) error {
		at := g.Now()
		if subtle.ConstantTimeCompare(now.Secret, hash(secret)) != 1 || !at.Before(now.Expires) {
			return problem.GrantDenied.Error()
		}
		slow, pending = at.Sub(now.Polled) < now.Interval, now.State == deviceOpen
		switch {
		case slow:
			now.Interval += deviceInterval
		case now.State == deviceAllowed:
			now.State = deviceUsed
		case !pending:
			return problem.GrantDenied.Error()
		}
		now.Polled = at
		d = *now
		return nil
	})
	switch {
	case err != nil:
		return session{}, err
	case slow:
		return session{}, problem.GrantSlowDown.Error().After(d.Interval)
	case pending:
		return session{}, problem.GrantPending.Error().After(d.Interval)
	}
	if d.User != "" {
		if _, err := g.unlocked(ctx, d.User); isNotFound(err) {
			return session{}, problem.GrantDenied.Error()
		} else if err != nil {
			return session{}, err
		}
	}
	return session{Kind: api.SessionKindDevice, User: d.User, Role: d.Role, Device: d.Name}, nil
}
