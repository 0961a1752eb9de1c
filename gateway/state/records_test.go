package state

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
)

// clock is a time that a test moves.
type clock struct{ nanos atomic.Int64 }

func (c *clock) Now() time.Time          { return time.Unix(0, c.nanos.Load()) }
func (c *clock) Advance(d time.Duration) { c.nanos.Add(int64(d)) }

func newClock() *clock {
	c := &clock{}
	c.nanos.Store(time.Now().UnixNano())
	return c
}

func openState(t *testing.T, dir string, now func() time.Time) *State {
	t.Helper()
	s, err := Open(t.Context(), Config{Dir: dir, Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

func TestRecords(t *testing.T) {
	ctx := t.Context()
	r := openState(t, t.TempDir(), nil).Records()

	if _, _, err := r.Get(ctx, "session.none"); !errors.Is(err, access.ErrNoRecord) {
		t.Errorf("Get of nothing = %v, want ErrNoRecord", err)
	}
	rev, err := r.Create(ctx, "session.a", []byte("one"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.Create(ctx, "session.a", []byte("two"), time.Time{}); !errors.Is(err, access.ErrConflict) {
		t.Errorf("second Create = %v, want ErrConflict", err)
	}
	value, got, err := r.Get(ctx, "session.a")
	if err != nil || string(value) != "one" || got != rev {
		t.Errorf("Get = %q, %d, %v, want one, %d", value, got, err, rev)
	}
	next, err := r.Update(ctx, "session.a", []byte("three"), time.Time{}, rev)
	if err != nil || next <= rev {
		t.Fatalf("Update = %d, %v, want a revision beyond %d", next, err, rev)
	}
	if _, err := r.Update(ctx, "session.a", []byte("four"), time.Time{}, rev); !errors.Is(err, access.ErrConflict) {
		t.Errorf("Update of an old revision = %v, want ErrConflict", err)
	}
	if _, err := r.Update(ctx, "session.none", []byte("x"), time.Time{}, 1); !errors.Is(err, access.ErrConflict) {
		t.Errorf("Update of nothing = %v, want ErrConflict", err)
	}
	for range 2 {
		if err := r.Delete(ctx, "session.a"); err != nil {
			t.Errorf("Delete = %v, want nil", err)
		}
	}
	if _, _, err := r.Get(ctx, "session.a"); !errors.Is(err, access.ErrNoRecord) {
		t.Errorf("Get of what was deleted = %v, want ErrNoRecord", err)
	}
	if _, err := r.Create(ctx, "session.a", []byte("again"), time.Time{}); err != nil {
		t.Errorf("Create after Delete = %v", err)
	}
}

func TestRecordsConform(t *testing.T) {
	accesstest.TestRecords(t, func(t *testing.T) access.Records { return openState(t, t.TempDir(), nil).Records() })
}

func TestRecordsEmptyValue(t *testing.T) {
	r := openState(t, t.TempDir(), nil).Records()
	if _, err := r.Create(t.Context(), "mark.a", nil, time.Time{}); err != nil {
		t.Fatal(err)
	}
	value, _, err := r.Get(t.Context(), "mark.a")
	if err != nil || len(value) != 0 {
		t.Errorf("Get = %q, %v, want an empty value", value, err)
	}
}

func TestRecordsExpire(t *testing.T) {
	ctx, now := t.Context(), newClock()
	r := openState(t, t.TempDir(), now.Now).Records()
	rev, err := r.Create(ctx, "pairing.a", []byte("old"), now.Now().Add(3*time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	now.Advance(3*time.Minute - 1)
	if _, _, err := r.Get(ctx, "pairing.a"); err != nil {
		t.Errorf("Get a nanosecond before its time = %v, want the record", err)
	}
	now.Advance(1)
	if _, _, err := r.Get(ctx, "pairing.a"); !errors.Is(err, access.ErrNoRecord) {
		t.Errorf("Get at its time = %v, want ErrNoRecord", err)
	}
	if keys := listKeys(t, r, "pairing."); len(keys) != 0 {
		t.Errorf("List = %v, want nothing that has expired", keys)
	}
	again, err := r.Create(ctx, "pairing.a", []byte("new"), now.Now().Add(time.Minute))
	if err != nil || again <= rev {
		t.Errorf("Create over an expired record = %d, %v, want a revision beyond %d", again, err, rev)
	}
}

func TestRecordsList(t *testing.T) {
	ctx := t.Context()
	r := openState(t, t.TempDir(), nil).Records()
	for _, key := range []string{"token.b", "token.a", "session.x", "token.c.d", "tokens"} {
		if _, err := r.Create(ctx, key, []byte(key), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	for prefix, want := range map[string][]string{
		"token.":  {"token.a", "token.b", "token.c.d"},
		"token":   {"token.a", "token.b", "token.c.d", "tokens"},
		"token.c": {"token.c.d"},
		"none.":   nil,
		"":        {"session.x", "token.a", "token.b", "token.c.d", "tokens"},
	} {
		if got := listKeys(t, r, prefix); !slices.Equal(got, want) {
			t.Errorf("List(%q) = %v, want %v", prefix, got, want)
		}
	}
	stop := errors.New("enough")
	if err := r.List(ctx, "", func(string, []byte) error { return stop }); !errors.Is(err, stop) {
		t.Errorf("List with a yield that fails = %v, want its error", err)
	}
}

func listKeys(t *testing.T, r *Records, prefix string) (keys []string) {
	t.Helper()
	err := r.List(t.Context(), prefix, func(key string, value []byte) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// One of many that create, or update from one revision, must win and no other.
func TestRecordsOneWinner(t *testing.T) {
	ctx, now := t.Context(), newClock()
	r := openState(t, t.TempDir(), now.Now).Records()
	if _, err := r.Create(ctx, "code.dead", nil, now.Now().Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	rev, err := r.Create(ctx, "code.live", nil, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	now.Advance(time.Hour)

	for name, write := range map[string]func(i int) error{
		"create":             func(i int) error { _, err := r.Create(ctx, "code.new", []byte{byte(i)}, time.Time{}); return err },
		"create over a dead": func(i int) error { _, err := r.Create(ctx, "code.dead", []byte{byte(i)}, time.Time{}); return err },
		"update":             func(i int) error { _, err := r.Update(ctx, "code.live", []byte{byte(i)}, time.Time{}, rev); return err },
	} {
		var won atomic.Int32
		var wg sync.WaitGroup
		for i := range 16 {
			wg.Go(func() {
				switch err := write(i); {
				case err == nil:
					won.Add(1)
				case !errors.Is(err, access.ErrConflict):
					t.Errorf("%s = %v, want ErrConflict", name, err)
				}
			})
		}
		wg.Wait()
		if n := won.Load(); n != 1 {
			t.Errorf("%s: %d of 16 won, want 1", name, n)
		}
	}
}

func TestBucketTTL(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	s := openState(t, t.TempDir(), nil)
	b, err := s.Bucket(ctx, BucketConfig{Name: "short", MaxValue: 100, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	first, err := b.Create(ctx, "created", []byte("x"), time.Second)
	if err != nil {
		t.Fatal(err)
	}
	lasting, err := b.Create(ctx, "updated", []byte("x"), 0)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Update(ctx, "updated", []byte("y"), time.Second, lasting); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, "stays", []byte("x"), 0); err != nil {
		t.Fatal(err)
	}
	gone := map[string]bool{}
	enough := errors.New("enough")
	err = b.Watch(ctx, func(e Entry) error {
		if e.Deleted {
			gone[e.Key] = true
			if e.Revision <= first {
				t.Errorf("the end of %s has revision %d, want one beyond its value's", e.Key, e.Revision)
			}
		}
		if len(gone) == 2 {
			return enough
		}
		return nil
	})
	if !errors.Is(err, enough) || gone["stays"] {
		t.Errorf("keys that ended by themselves: %v (%v), want created and updated", gone, err)
	}
}

func TestBucketLimits(t *testing.T) {
	ctx := t.Context()
	s := openState(t, t.TempDir(), nil)
	b, err := s.Bucket(ctx, BucketConfig{Name: "small", MaxValue: 1000, MaxBytes: 8 << 10})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Create(ctx, "big", bytes.Repeat([]byte{1}, 2000), 0); err == nil {
		t.Error("Create of a value beyond MaxValue succeeded")
	}
	for i := range 100 {
		if _, err = b.Create(ctx, fmt.Sprintf("key%d", i), bytes.Repeat([]byte{1}, 500), 0); err != nil {
			break
		}
	}
	if err == nil {
		t.Error("a bucket took more than MaxBytes")
	}
	if _, err := b.Get(ctx, "key0"); err != nil {
		t.Errorf("a full bucket lost its oldest key: %v", err)
	}
}
