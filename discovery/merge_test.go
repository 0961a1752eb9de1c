package discovery

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
)

// script is a Browser that shows what a test sends it, and ends with an error where the
// test closes it.
type script struct {
	lists chan []Record
	err   error
}

func (s script) Browse(ctx context.Context, _ []string, see func([]Record)) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case list, open := <-s.lists:
			if !open {
				return s.err
			}
			see(list)
		}
	}
}

func TestMerge(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		broken := errors.New("broken")
		a, b := script{make(chan []Record), nil}, script{make(chan []Record), broken}
		ctx, cancel := context.WithCancel(t.Context())
		var seen []string
		done := make(chan error)
		go func() {
			done <- Merge(a, b).Browse(ctx, []string{TypeNode}, func(list []Record) {
				var s []string
				for _, r := range list {
					s = append(s, r.Name+r.Host)
				}
				seen = append(seen, strings.Join(s, ","))
			})
		}()
		step := func(s script, want int, last string, list ...Record) {
			t.Helper()
			s.lists <- list
			synctest.Wait()
			if len(seen) != want || want > 0 && seen[want-1] != last {
				t.Fatalf("seen %q, want %d lists, the last one %q", seen, want, last)
			}
		}
		step(a, 0, "") // the other has not yet said anything
		step(b, 1, "")
		step(b, 2, "two", Record{Type: TypeNode, Name: "two"})
		step(a, 3, "one,two", Record{Type: TypeNode, Name: "one"})
		step(b, 3, "one,two", Record{Type: TypeNode, Name: "two"})
		step(a, 4, "TWO@a", Record{Type: TypeNode, Name: "TWO", Host: "@a"})
		step(b, 5, "TWO@a,two@b", Record{Type: TypeNode, Name: "two", Host: "@b", Interface: "eth0"})
		close(b.lists)
		synctest.Wait()
		if len(seen) != 6 || seen[5] != "TWO@a" {
			t.Errorf("after one has ended: seen %q, want the other's only", seen)
		}
		step(a, 7, "")
		cancel()
		if err := <-done; !errors.Is(err, broken) {
			t.Errorf("Browse = %v, want the error of the broken one", err)
		}
	})
}

func TestMergeEnds(t *testing.T) {
	for _, browsers := range [][]Browser{{script{}}, nil} {
		synctest.Test(t, func(t *testing.T) {
			ctx, cancel := context.WithCancel(t.Context())
			ended := make(chan error, 1)
			go func() { ended <- Merge(browsers...).Browse(ctx, nil, func([]Record) {}) }()
			synctest.Wait()
			if len(ended) > 0 {
				t.Errorf("%d browsers: ended before its context", len(browsers))
			}
			cancel()
			if err := <-ended; err != nil {
				t.Errorf("Browse = %v, want nil", err)
			}
		})
	}
}
