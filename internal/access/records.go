package access

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Records is where an end keeps sessions, pairings and join tokens: a table of a
// node's SQLite file, a key-value bucket of a gateway's NATS. Keys are ASCII words
// joined with dots, as "session.<id>". Every write is durable when it returns.
type Records interface {
	// Get returns the value and its revision; ErrNoRecord if there is none or its time is up.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Create fails with ErrConflict if the key has a record. A zero expires means never.
	Create(ctx context.Context, key string, value []byte, expires time.Time) (revision uint64, err error)
	// Update replaces the record if it still has the revision, else ErrConflict.
	Update(ctx context.Context, key string, value []byte, expires time.Time, revision uint64) (uint64, error)
	// Delete is silent where there is nothing.
	Delete(ctx context.Context, key string) error
	// List calls yield for each live record whose key begins with prefix, in key order.
	List(ctx context.Context, prefix string, yield func(key string, value []byte) error) error
}

// Errors of Records.
var (
	ErrNoRecord = errors.New("no such record")
	ErrConflict = errors.New("record was changed or exists")
)

// Overwrite stores a record in place of whatever the key has.
func Overwrite(ctx context.Context, r Records, key string, value []byte, expires time.Time) error {
	for {
		_, revision, err := r.Get(ctx, key)
		switch {
		case errors.Is(err, ErrNoRecord):
			_, err = r.Create(ctx, key, value, expires)
		case err == nil:
			_, err = r.Update(ctx, key, value, expires, revision)
		}
		if !errors.Is(err, ErrConflict) {
			return err
		}
	}
}

// GetRecord decodes the record of a key; ErrNoRecord if there is none.
func GetRecord[T any](ctx context.Context, r Records, key string) (v T, revision uint64, err error) {
	value, revision, err := r.Get(ctx, key)
	if err == nil {
		err = json.Unmarshal(value, &v)
	}
	if err != nil {
		return v, 0, fmt.Errorf("reading a record of %s: %w", area(key), err)
	}
	return v, revision, nil
}

// PutRecord stores v as JSON in place of the record with that revision; 0: there is none.
func PutRecord(ctx context.Context, r Records, key string, v any, expires time.Time, revision uint64) error {
	value, err := json.Marshal(v)
	if err == nil && revision == 0 {
		_, err = r.Create(ctx, key, value, expires)
	} else if err == nil {
		_, err = r.Update(ctx, key, value, expires, revision)
	}
	if err != nil {
		return fmt.Errorf("storing a record of %s: %w", area(key), err)
	}
	return nil
}

// all decodes the live records whose keys begin with prefix, in key order.
func all[T any](ctx context.Context, r Records, prefix string) ([]T, error) {
	var list []T
	err := r.List(ctx, prefix, func(_ string, value []byte) error {
		var v T
		if err := json.Unmarshal(value, &v); err != nil {
			return err
		}
		list = append(list, v)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing records of %s: %w", area(prefix), err)
	}
	return list, nil
}

// area is the part of a key that may stand in a log: the rest can be a hashed secret.
func area(key string) string {
	word, _, _ := strings.Cut(key, ".")
	return word
}
