package license

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
)

const (
	codedEvery = 5 * time.Minute  // at which the keys of the handshake code are asked for again
	codedAgain = 15 * time.Second // if nobody answered
	codedKey   = "license.coded"
)

// coded are the keys for which the handshake code of platen.ini stands, as its tracking
// server told them last. What they name may ask, as what the keys of platen.ini name.
type coded struct {
	Code string   `json:"code"`
	Keys []string `json:"keys"`
}

// Serve keeps up with the keys of platen.ini, or of the handshake code there, until ctx ends.
func (d *Desk) Serve(ctx context.Context) error {
	if err := d.recall(ctx); err != nil {
		d.cfg.Log.Warn("cannot read the licences of the handshake code", "error", err)
	}
	failed := ""
	for {
		wait := codedEvery
		if err := d.look(ctx); err != nil && ctx.Err() == nil {
			if wait = codedAgain; failed != err.Error() {
				failed = err.Error()
				d.cfg.Log.Warn("the licences of the handshake code are not known", "error", err)
			}
		} else {
			failed = ""
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		case <-d.changed:
		}
	}
}

// look asks for the keys of the handshake code. What the server refuses is known no more.
func (d *Desk) look(ctx context.Context) error {
	d.ownKeys()
	own := d.cfg.Own()
	if own.HandshakeCode == "" || d.cfg.Server == nil || len(d.cfg.Vendors()) == 0 {
		return nil
	}
	asking, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	got, err := d.cfg.Server.Lease(asking, d.cfg.Place(), api.LeaseRequest{HandshakeCode: own.HandshakeCode})
	if err != nil && unreachable(err) {
		return err
	}
	said := coded{Code: own.HandshakeCode, Keys: got.Keys}
	d.mu.Lock()
	same := d.coded.Code == said.Code && slices.Equal(d.coded.Keys, said.Keys)
	d.coded = said
	d.mu.Unlock()
	if d.cfg.Records != nil && !same {
		value, _ := json.Marshal(said) // texts
		err = errors.Join(err, access.Overwrite(ctx, d.cfg.Records, codedKey, value, time.Time{}))
	}
	return err
}

// recall reads what was told before the start.
func (d *Desk) recall(ctx context.Context) error {
	if d.cfg.Records == nil {
		return nil
	}
	value, _, err := d.cfg.Records.Get(ctx, codedKey)
	if errors.Is(err, access.ErrNoRecord) {
		return nil
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if err == nil {
		err = json.Unmarshal(value, &d.coded)
	}
	return err
}

// text is the keys that count at this end: of platen.ini, or of the handshake code there.
func (d *Desk) text() string {
	own := d.cfg.Own()
	if own.HandshakeCode == "" {
		return own.ProductKey
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.coded.Code != own.HandshakeCode {
		return ""
	}
	return strings.Join(d.coded.Keys, ";")
}
