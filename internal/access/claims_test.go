package access

import (
	"context"
	"time"
)

// claims are Records that know Create and Get.
type claims map[string][]byte

func (c claims) Get(_ context.Context, key string) ([]byte, uint64, error) {
	if v, ok := c[key]; ok {
		return v, 1, nil
	}
	return nil, 0, ErrNoRecord
}

func (c claims) Create(_ context.Context, key string, value []byte, _ time.Time) (uint64, error) {
	if _, ok := c[key]; ok {
		return 0, ErrConflict
	}
	c[key] = value
	return 1, nil
}

func (claims) Update(context.Context, string, []byte, time.Time, uint64) (uint64, error) {
	return 0, ErrConflict
}

func (claims) Delete(context.Context, string) error { return nil }

func (claims) List(context.Context, string, func(string, []byte) error) error { return nil }
