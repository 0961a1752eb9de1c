package state

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

// Records implements access.Records on a bucket. A value is stored behind its
// expiry, eight bytes of Unix nanoseconds (0: never), which every read honours to
// the instant; the server deletes the record some time after.
type Records struct {
	bucket *Bucket
	now    func() time.Time
}

var _ access.Records = (*Records)(nil)

const stampSize = 8

// Get returns a live record.
func (r *Records) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	e, err := r.bucket.Get(ctx, key)
	if err != nil {
		return nil, 0, err
	}
	value, live := r.open(e)
	if !live {
		return nil, 0, fmt.Errorf("reading %s: %w", area(key), access.ErrNoRecord)
	}
	return value, e.Revision, nil
}

// Create writes a record where there is no live one.
func (r *Records) Create(ctx context.Context, key string, value []byte, expires time.Time) (uint64, error) {
	revision, err := r.bucket.Create(ctx, key, stamp(value, expires), r.ttl(expires))
	if !errors.Is(err, access.ErrConflict) {
		return revision, err
	}
	// What is in the way may be dead already. Replacing exactly that revision
	// keeps a race for the key to one winner.
	e, getErr := r.bucket.Get(ctx, key)
	if getErr != nil {
		return 0, err
	}
	if _, live := r.open(e); live {
		return 0, err
	}
	return r.bucket.Update(ctx, key, stamp(value, expires), r.ttl(expires), e.Revision)
}

// Update replaces a live record that still has the revision.
func (r *Records) Update(ctx context.Context, key string, value []byte, expires time.Time, revision uint64) (uint64, error) {
	e, err := r.bucket.Get(ctx, key)
	if err != nil && !errors.Is(err, access.ErrNoRecord) {
		return 0, err
	}
	if _, live := r.open(e); !live || e.Revision != revision {
		return 0, fmt.Errorf("updating %s: %w", area(key), access.ErrConflict)
	}
	return r.bucket.Update(ctx, key, stamp(value, expires), r.ttl(expires), revision)
}

// Delete forgets a record.
func (r *Records) Delete(ctx context.Context, key string) error { return r.bucket.Delete(ctx, key) }

// List yields the live records whose keys begin with prefix, in key order.
func (r *Records) List(ctx context.Context, prefix string, yield func(key string, value []byte) error) error {
	entries, err := r.bucket.List(ctx, prefix)
	if err != nil {
		return err
	}
	for _, e := range entries {
		value, live := r.open(e)
		if !live {
			continue
		}
		if err := yield(e.Key, value); err != nil {
			return err
		}
	}
	return nil
}

func stamp(value []byte, expires time.Time) []byte {
	var nanos uint64
	if !expires.IsZero() {
		nanos = uint64(expires.UnixNano())
	}
	return append(binary.BigEndian.AppendUint64(make([]byte, 0, stampSize+len(value)), nanos), value...)
}

func (r *Records) open(e Entry) (value []byte, live bool) {
	if len(e.Value) < stampSize {
		return nil, false
	}
	nanos := int64(binary.BigEndian.Uint64(e.Value))
	return e.Value[stampSize:], nanos == 0 || r.now().UnixNano() < nanos
}

// ttl is when the server may delete a record: a minute late, so that the stamp
// alone decides even where the clocks differ.
func (r *Records) ttl(expires time.Time) time.Duration {
	if expires.IsZero() {
		return 0
	}
	return max(expires.Sub(r.now()), 0) + time.Minute
}
