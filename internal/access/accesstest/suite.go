package accesstest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

// TestRecords is what every implementation of access.Records passes. open gives
// empty Records.
func TestRecords(t *testing.T, open func(t *testing.T) access.Records) {
	later := time.Now().Add(time.Hour)
	past := time.Now().Add(-time.Second)
	t.Run("CreateGet", func(t *testing.T) {
		r, ctx := open(t), t.Context()
		if _, _, err := r.Get(ctx, "session.a"); !errors.Is(err, access.ErrNoRecord) {
			t.Fatalf("Get of nothing: %v, want ErrNoRecord", err)
		}
		rev := mustCreate(t, r, "session.a", "one", later)
		if v, got, err := r.Get(ctx, "session.a"); err != nil || string(v) != "one" || got != rev {
			t.Fatalf("Get = %q, revision %d, %v; want one, revision %d", v, got, err, rev)
		}
		if _, err := r.Create(ctx, "session.a", []byte("two"), later); !errors.Is(err, access.ErrConflict) {
			t.Fatalf("second Create: %v, want ErrConflict", err)
		}
	})
	t.Run("Update", func(t *testing.T) {
		r, ctx := open(t), t.Context()
		rev := mustCreate(t, r, "session.a", "one", later)
		next, err := r.Update(ctx, "session.a", []byte("two"), later, rev)
		if err != nil || next == rev {
			t.Fatalf("Update = revision %d, %v; want a new one", next, err)
		}
		if _, err := r.Update(ctx, "session.a", []byte("three"), later, rev); !errors.Is(err, access.ErrConflict) {
			t.Fatalf("Update with an old revision: %v, want ErrConflict", err)
		}
		if _, err := r.Update(ctx, "session.b", []byte("x"), later, 1); !errors.Is(err, access.ErrConflict) {
			t.Fatalf("Update of nothing: %v, want ErrConflict", err)
		}
		if v, _, err := r.Get(ctx, "session.a"); err != nil || string(v) != "two" {
			t.Fatalf("Get = %q, %v; want two", v, err)
		}
	})
	t.Run("Delete", func(t *testing.T) {
		r, ctx := open(t), t.Context()
		rev := mustCreate(t, r, "session.a", "one", later)
		for range 2 {
			if err := r.Delete(ctx, "session.a"); err != nil {
				t.Fatal(err)
			}
		}
		if _, _, err := r.Get(ctx, "session.a"); !errors.Is(err, access.ErrNoRecord) {
			t.Fatalf("Get after Delete: %v, want ErrNoRecord", err)
		}
		if _, err := r.Update(ctx, "session.a", []byte("two"), later, rev); !errors.Is(err, access.ErrConflict) {
			t.Fatalf("Update after Delete: %v, want ErrConflict", err)
		}
		mustCreate(t, r, "session.a", "again", later)
	})
	t.Run("Expiry", func(t *testing.T) {
		r, ctx := open(t), t.Context()
		rev := mustCreate(t, r, "session.a", "one", past)
		if _, _, err := r.Get(ctx, "session.a"); !errors.Is(err, access.ErrNoRecord) {
			t.Fatalf("Get after its time: %v, want ErrNoRecord", err)
		}
		if _, err := r.Update(ctx, "session.a", []byte("two"), later, rev); !errors.Is(err, access.ErrConflict) {
			t.Fatalf("Update after its time: %v, want ErrConflict", err)
		}
		if got := keys(t, r, ""); len(got) != 0 {
			t.Fatalf("List after its time = %q, want none", got)
		}
		rev = mustCreate(t, r, "session.a", "three", later)
		if _, err := r.Update(ctx, "session.a", []byte("four"), past, rev); err != nil {
			t.Fatal(err)
		}
		if _, _, err := r.Get(ctx, "session.a"); !errors.Is(err, access.ErrNoRecord) {
			t.Fatalf("Get after an Update that ended it: %v, want ErrNoRecord", err)
		}
	})
	t.Run("List", func(t *testing.T) {
		r := open(t)
		for _, key := range []string{"session.b", "pairing.x", "session.a", "sessions.z"} {
			mustCreate(t, r, key, "v", later)
		}
		if got, want := keys(t, r, "session."), []string{"session.a", "session.b"}; !slices.Equal(got, want) {
			t.Errorf("List(session.) = %q, want %q", got, want)
		}
		if got := keys(t, r, ""); len(got) != 4 {
			t.Errorf("List of everything = %q, want four", got)
		}
		stop := errors.New("stop")
		calls := 0
		err := r.List(t.Context(), "session.", func(string, []byte) error { calls++; return stop })
		if !errors.Is(err, stop) || calls != 1 {
			t.Errorf("List = %v after %d calls, want the error of the first", err, calls)
		}
	})
	t.Run("OneWins", func(t *testing.T) {
		r, ctx := open(t), t.Context()
		rev := mustCreate(t, r, "pairing.a", "open", later)
		if got := winners(func(i int) error {
			_, err := r.Update(ctx, "pairing.a", fmt.Appendf(nil, "used by %d", i), later, rev)
			return err
		}); got != 1 {
			t.Errorf("%d of 16 updates of one revision won, want 1", got)
		}
		if got := winners(func(i int) error {
			_, err := r.Create(ctx, "pairing.b", fmt.Appendf(nil, "made by %d", i), later)
			return err
		}); got != 1 {
			t.Errorf("%d of 16 creations of one key won, want 1", got)
		}
	})
}

func mustCreate(t *testing.T, r access.Records, key, value string, expires time.Time) uint64 {
	t.Helper()
	rev, err := r.Create(t.Context(), key, []byte(value), expires)
	if err != nil {
		t.Fatalf("Create(%s): %v", key, err)
	}
	return rev
}

func keys(t *testing.T, r access.Records, prefix string) []string {
	t.Helper()
	var keys []string
	err := r.List(context.Background(), prefix, func(key string, _ []byte) error {
		keys = append(keys, key)
		return nil
	})
	if err != nil {
		t.Fatalf("List(%s): %v", prefix, err)
	}
	return keys
}

// winners counts who of sixteen at once has no error.
func winners(try func(i int) error) int {
	var wg sync.WaitGroup
	results := make([]error, 16)
	for i := range results {
		wg.Go(func() { results[i] = try(i) })
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		if err == nil {
			won++
		}
	}
	return won
}
