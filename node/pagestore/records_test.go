package pagestore

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
)

func TestRecords(t *testing.T) {
	s, c := newStore(t)
	ctx, r := t.Context(), s.Records()
	soon := c.now().Add(time.Hour)
	get := func(key, want string, rev uint64) {
		t.Helper()
		v, got, err := r.Get(ctx, key)
		if err != nil || string(v) != want || got != rev {
			t.Errorf("Get(%s) = %q, %d, %v, want %q, %d", key, v, got, err, want, rev)
		}
	}
	none := func(key string) {
		t.Helper()
		if v, rev, err := r.Get(ctx, key); err != access.ErrNoRecord || v != nil || rev != 0 {
			t.Errorf("Get(%s) = %q, %d, %v, want ErrNoRecord", key, v, rev, err)
		}
	}
	none("a.1")
	one, err := r.Create(ctx, "a.1", []byte("x"), soon)
	if err != nil || one == 0 {
		t.Fatalf("Create = %d, %v", one, err)
	}
	get("a.1", "x", one)
	if rev, err := r.Create(ctx, "a.1", []byte("y"), soon); !errors.Is(err, access.ErrConflict) || rev != 0 {
		t.Errorf("Create again = %d, %v, want ErrConflict", rev, err)
	}
	if rev, err := r.Update(ctx, "a.1", []byte("y"), soon, one+1); !errors.Is(err, access.ErrConflict) || rev != 0 {
		t.Errorf("Update of another revision = %d, %v, want ErrConflict", rev, err)
	}
	two, err := r.Update(ctx, "a.1", []byte("y"), soon, one)
	if err != nil || two <= one {
		t.Fatalf("Update = %d, %v, want more than %d", two, err, one)
	}
	get("a.1", "y", two)
	if err := r.Delete(ctx, "a.1"); err != nil {
		t.Fatal(err)
	}
	none("a.1")
	if err := r.Delete(ctx, "a.1"); err != nil {
		t.Errorf("Delete where there is nothing = %v", err)
	}
	three, err := r.Create(ctx, "a.1", nil, time.Time{})
	if err != nil || three <= two {
		t.Fatalf("Create after Delete = %d, %v, want a revision that never was", three, err)
	}
	get("a.1", "", three)
	if _, err := r.Update(ctx, "a.1", nil, soon, two); !errors.Is(err, access.ErrConflict) {
		t.Errorf("Update with a deleted record's revision = %v, want ErrConflict", err)
	}

	brief, err := r.Create(ctx, "a.2", []byte("z"), soon)
	if err != nil {
		t.Fatal(err)
	}
	c.add(time.Hour)
	none("a.2")
	if _, err := r.Update(ctx, "a.2", nil, time.Time{}, brief); !errors.Is(err, access.ErrConflict) {
		t.Errorf("Update of a record whose time is up = %v, want ErrConflict", err)
	}
	again, err := r.Create(ctx, "a.2", []byte("new"), time.Time{})
	if err != nil {
		t.Fatalf("Create over a record whose time is up = %v", err)
	}
	get("a.2", "new", again)
	if err := s.Health(); err != nil {
		t.Errorf("conflicts put the disk in doubt: %v", err)
	}
}

func TestRecordsList(t *testing.T) {
	s, c := newStore(t)
	ctx, r := t.Context(), s.Records()
	var want []string
	for i := range listBatch*2 + 3 {
		key := fmt.Sprintf("session.%04d", i)
		expires := time.Time{}
		if i%10 == 9 {
			expires = c.now().Add(time.Second)
		} else {
			want = append(want, key)
		}
		if _, err := r.Create(ctx, key, []byte{byte(i)}, expires); err != nil {
			t.Fatal(err)
		}
	}
	for _, key := range []string{"sessio", "session", "session/", "sessions.1", "session_1", "pairing.1"} {
		if _, err := r.Create(ctx, key, nil, time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	c.add(time.Second)
	var got []string
	err := r.List(ctx, "session.", func(key string, value []byte) error {
		got = append(got, key)
		return r.Delete(ctx, key) // a callback may write
	})
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("List = %v, %v, want %v", got, err, want)
	}
	stop := errors.New("stop")
	n := 0
	if err := r.List(ctx, "", func(string, []byte) error { n++; return stop }); err != stop || n != 1 {
		t.Errorf("List that is stopped = %v after %d", err, n)
	}
}

// A pairing is redeemed once, however many try.
func TestRecordsCompareAndSwap(t *testing.T) {
	s, _ := newStore(t)
	ctx, r := context.Background(), s.Records()
	rev, err := r.Create(ctx, "pairing.1", []byte("open"), time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	var won, made atomic.Int32
	var wg sync.WaitGroup
	for range 20 {
		wg.Go(func() {
			switch _, err := r.Update(ctx, "pairing.1", []byte("used"), time.Time{}, rev); {
			case err == nil:
				won.Add(1)
			case !errors.Is(err, access.ErrConflict):
				t.Errorf("Update = %v", err)
			}
			if _, err := r.Create(ctx, "session.1", nil, time.Time{}); err == nil {
				made.Add(1)
			}
		})
	}
	wg.Wait()
	if won.Load() != 1 || made.Load() != 1 {
		t.Errorf("%d updates and %d creations succeeded, want one each", won.Load(), made.Load())
	}
}
