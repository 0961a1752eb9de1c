package access

import (
	"context"
	"errors"
	"time"
)

// Records is where an end keeps sessions, pairings and join tokens: a table of a
// node's SQLite file, a key-value bucket of a gateway's NATS. Keys are ASCII words
// joined with dots, as "session.<id>". Every write is durable when it returns.
type Records interface {
	// Get returns the value and its revision; ErrNoRecord if there is none or its time is up.
	Get(ctx context.Context, key string) (value []byte, revision uint64, err error)
	// Create fails with ErrConflict if the key has a record.
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
