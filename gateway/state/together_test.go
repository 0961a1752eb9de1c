package state

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/platen-scan/platen/internal/access"
)

// Updates that come together get the revisions that they would have had one by one, and
// one that is refused refuses no other.
func TestUpdatesTogether(t *testing.T) {
	ctx := t.Context()
	s := openState(t, t.TempDir(), nil)
	b, err := s.Bucket(ctx, BucketConfig{Name: "together", MaxValue: 1 << 10, MaxBytes: 1 << 20})
	if err != nil {
		t.Fatal(err)
	}
	const count = 3 * mostTogether
	revisions := make([]uint64, count)
	for i := range count {
		if revisions[i], err = b.Create(ctx, fmt.Sprint(i), []byte("old"), 0); err != nil {
			t.Fatal(err)
		}
	}
	for _, round := range []struct {
		name  string
		stale func(i int) bool // this one is refused: it names an old revision
		value string
	}{
		{"all good", func(int) bool { return false }, "good"},
		{"some stale", func(i int) bool { return i%100 == 7 }, "mixed"},
	} {
		b.updates.turn <- struct{}{} // so that they gather
		got, failed := make([]uint64, count), make([]error, count)
		var writing sync.WaitGroup
		for i := range count {
			asked := revisions[i]
			if round.stale(i) {
				asked--
			}
			writing.Go(func() { got[i], failed[i] = b.Update(ctx, fmt.Sprint(i), []byte(round.value), 0, asked) })
		}
		<-b.updates.turn
		writing.Wait()
		for i := range count {
			if round.stale(i) {
				if !errors.Is(failed[i], access.ErrConflict) {
					t.Errorf("%s: Update %d of an old revision = %v, want ErrConflict", round.name, i, failed[i])
				}
				continue
			}
			if failed[i] != nil {
				t.Fatalf("%s: Update %d: %v", round.name, i, failed[i])
			}
			e, err := b.Get(ctx, fmt.Sprint(i))
			if err != nil || string(e.Value) != round.value || e.Revision != got[i] || got[i] <= revisions[i] {
				t.Fatalf("%s: Get %d = %+v, %v, want %q with revision %d", round.name, i, e, err, round.value, got[i])
			}
			revisions[i] = got[i]
		}
	}
}

func BenchmarkUpdatesAtOnce(b *testing.B) {
	s, err := Open(b.Context(), Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	const count = 1000
	nodes := s.Nodes()
	revisions := make([]uint64, count)
	for i := range count {
		if revisions[i], err = nodes.bucket.Create(b.Context(), fmt.Sprint(i), make([]byte, 400), 0); err != nil {
			b.Fatal(err)
		}
	}
	for b.Loop() {
		var writing sync.WaitGroup
		for i := range count {
			writing.Go(func() {
				var err error
				if revisions[i], err = nodes.bucket.Update(b.Context(), fmt.Sprint(i), make([]byte, 400), 0, revisions[i]); err != nil {
					b.Error(err)
				}
			})
		}
		writing.Wait()
	}
}
