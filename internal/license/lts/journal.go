package lts

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

// journalPrefix begins the keys of what the journal notes.
const journalPrefix = "lts.changed."

// Journal are the Records of a standby's tracking.Server: before a record that the main
// server has to hear of is changed for the first time, its value is noted.
type Journal struct{ access.Records }

// noted is what a record was before; nil: it was not there.
type noted struct {
	Before []byte `json:"before,omitempty"`
}

// Create implements access.Records.
func (j Journal) Create(ctx context.Context, key string, value []byte, expires time.Time) (uint64, error) {
	if err := j.note(ctx, key); err != nil {
		return 0, err
	}
	return j.Records.Create(ctx, key, value, expires)
}

// Update implements access.Records.
func (j Journal) Update(ctx context.Context, key string, value []byte, expires time.Time, revision uint64) (uint64, error) {
	if err := j.note(ctx, key); err != nil {
		return 0, err
	}
	return j.Records.Update(ctx, key, value, expires, revision)
}

func (j Journal) note(ctx context.Context, key string) error {
	if !begins(key, handedOut) {
		return nil
	}
	before, _, err := j.Records.Get(ctx, key)
	if err != nil && !errors.Is(err, access.ErrNoRecord) {
		return err
	}
	value, err := json.Marshal(noted{before})
	if err == nil {
		_, err = j.Records.Create(ctx, journalPrefix+key, value, time.Time{})
	}
	if errors.Is(err, access.ErrConflict) {
		return nil // it was changed before
	}
	return err
}

// changed calls yield for each record that was changed, with what it is and was.
func (j Journal) changed(ctx context.Context, yield func(key string, before, value []byte) error) error {
	var keys []string
	befores := map[string][]byte{}
	err := j.List(ctx, journalPrefix, func(key string, value []byte) error {
		var n noted
		if err := json.Unmarshal(value, &n); err != nil {
			return fmt.Errorf("reading what was changed: %w", err)
		}
		key = strings.TrimPrefix(key, journalPrefix)
		keys = append(keys, key)
		befores[key] = n.Before
		return nil
	})
	if err != nil {
		return err
	}
	for _, key := range keys {
		value, _, err := j.Get(ctx, key)
		if err != nil && !errors.Is(err, access.ErrNoRecord) {
			return err
		}
		if err := yield(key, befores[key], value); err != nil {
			return err
		}
	}
	return nil
}

// settle forgets that a record was changed.
func (j Journal) settle(ctx context.Context, key string) error {
	return j.Delete(ctx, journalPrefix+key)
}
