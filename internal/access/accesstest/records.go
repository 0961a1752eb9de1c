// Package accesstest is for the tests of whoever builds on package access: Records in
// memory and their conformance suite, a walker that attacks every route of a table,
// and checks of handlers against the API document. It is never part of a program.
package accesstest

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

// Records are access.Records in memory.
type Records struct {
	mu       sync.Mutex
	records  map[string]record
	revision uint64
}

type record struct {
	value    []byte
	expires  time.Time
	revision uint64
}

// NewRecords makes empty Records.
func NewRecords() *Records { return &Records{records: map[string]record{}} }

var _ access.Records = (*Records)(nil)

// Get implements access.Records.
func (m *Records) Get(_ context.Context, key string) ([]byte, uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	r, ok := m.liveLocked(key)
	if !ok {
		return nil, 0, access.ErrNoRecord
	}
	return slices.Clone(r.value), r.revision, nil
}

func (m *Records) liveLocked(key string) (record, bool) {
	r, ok := m.records[key]
	return r, ok && (r.expires.IsZero() || time.Now().Before(r.expires))
}

// Create implements access.Records.
func (m *Records) Create(_ context.Context, key string, value []byte, expires time.Time) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, ok := m.liveLocked(key); ok {
		return 0, access.ErrConflict
	}
	return m.putLocked(key, value, expires), nil
}

func (m *Records) putLocked(key string, value []byte, expires time.Time) uint64 {
	m.revision++
	m.records[key] = record{slices.Clone(value), expires, m.revision}
	return m.revision
}

// Update implements access.Records.
func (m *Records) Update(_ context.Context, key string, value []byte, expires time.Time, revision uint64) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if r, ok := m.liveLocked(key); !ok || r.revision != revision {
		return 0, access.ErrConflict
	}
	return m.putLocked(key, value, expires), nil
}

// Delete implements access.Records.
func (m *Records) Delete(_ context.Context, key string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.records, key)
	return nil
}

// List implements access.Records. It calls yield without holding its lock.
func (m *Records) List(_ context.Context, prefix string, yield func(string, []byte) error) error {
	m.mu.Lock()
	type pair struct {
		key   string
		value []byte
	}
	var found []pair
	for key := range m.records {
		if r, ok := m.liveLocked(key); ok && strings.HasPrefix(key, prefix) {
			found = append(found, pair{key, slices.Clone(r.value)})
		}
	}
	m.mu.Unlock()
	slices.SortFunc(found, func(a, b pair) int { return strings.Compare(a.key, b.key) })
	for _, p := range found {
		if err := yield(p.key, p.value); err != nil {
			return err
		}
	}
	return nil
}

// Dump is all records as text, for comparing before and after.
func (m *Records) Dump() string {
	var b strings.Builder
	m.List(context.Background(), "", func(key string, value []byte) error {
		b.WriteString(key + " " + string(value) + "\n")
		return nil
	})
	return b.String()
}
