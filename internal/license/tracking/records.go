package tracking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

const (
	itemPrefix    = "license.item."
	projectPrefix = "license.project."
	seatPrefix    = "license.seat."
	poolPrefix    = "license.pool."
	pagesPrefix   = "license.pages."
)

// tries is how often a change begins again because another server was quicker. Each time
// somebody got on.
const tries = 100

var errContended = errors.New("other servers change the record all the time")

// gone is an end that makes a record vanish: unlike Delete, at one revision only.
var gone = time.Unix(1, 0)

// get decodes a record; revision 0 and the zero value if there is none.
func get[T any](ctx context.Context, r access.Records, key string) (v T, revision uint64, err error) {
	v, revision, err = access.GetRecord[T](ctx, r, key)
	if errors.Is(err, access.ErrNoRecord) {
		err = nil
	}
	return v, revision, err
}

// change reads a record, lets f change it, and stores it until it succeeds. f says whether
// there is something to store, and is called again whenever somebody was quicker.
func change[T any](ctx context.Context, r access.Records, key string, expires time.Time, f func(v *T, there bool) (store bool, err error)) error {
	for range tries {
		v, revision, err := get[T](ctx, r, key)
		if err != nil {
			return err
		}
		store, err := f(&v, revision != 0)
		if err != nil || !store {
			return err
		}
		if err = access.PutRecord(ctx, r, key, v, expires, revision); !errors.Is(err, access.ErrConflict) {
			return err
		}
	}
	return fmt.Errorf("storing a record of %s: %w", area(key), errContended)
}

// list decodes the records whose keys begin with prefix, in key order.
func list[T any](ctx context.Context, r access.Records, prefix string, yield func(key string, v T) error) error {
	err := r.List(ctx, prefix, func(key string, value []byte) error {
		var v T
		if err := json.Unmarshal(value, &v); err != nil {
			return err
		}
		return yield(strings.TrimPrefix(key, prefix), v)
	})
	if err != nil {
		return fmt.Errorf("listing records of %s: %w", area(prefix), err)
	}
	return nil
}

// area is the part of a key that may stand in an error.
func area(key string) string {
	parts := strings.SplitN(key, ".", 3)
	return strings.Join(parts[:min(2, len(parts))], ".")
}
