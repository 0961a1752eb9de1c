package audit

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/identity"
)

func newSigner(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

func open(t testing.TB, c Config) *Log {
	t.Helper()
	l, err := Open(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func fill(t testing.TB, l *Log, n int) {
	t.Helper()
	for i := range n {
		if err := l.Append(t.Context(), Entry{Action: "session.create", Result: OK, Who: "Ann", Target: fmt.Sprint(i), Detail: `"<&>"`}); err != nil {
			t.Fatal(err)
		}
	}
}

func export(t testing.TB, l *Log) string {
	t.Helper()
	var b bytes.Buffer
	if err := l.Export(&b); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func TestAppendIsDurableAndVerifies(t *testing.T) {
	c := Config{Dir: filepath.Join(t.TempDir(), "audit"), Signer: newSigner(t)}
	total := 0
	for _, n := range []int{0, 1, 250, 3} {
		l := open(t, c)
		fill(t, l, n)
		total += n
		if n, err := Verify(strings.NewReader(export(t, l)), c.Signer.Pin(), l.Head()); err != nil || n != int64(total) {
			t.Errorf("Verify = %d, %v, want %d", n, err, total)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		if err := l.Append(t.Context(), Entry{}); err == nil || l.Ready() == nil {
			t.Errorf("after Close: Append = %v, Ready = %v", err, l.Ready())
		}
	}
}

func TestRotation(t *testing.T) {
	c := Config{Dir: t.TempDir(), Signer: newSigner(t)}
	l := open(t, c)
	l.segment = 4 << 10
	fill(t, l, 100)
	names, err := segments(c.Dir)
	if err != nil || len(names) < 4 {
		t.Fatalf("segments = %v, %v, want some", names, err)
	}
	l.Close()
	l = open(t, c)
	fill(t, l, 1)
	if n, err := Verify(strings.NewReader(export(t, l)), c.Signer.Pin()); err != nil || n != 101 {
		t.Errorf("Verify = %d, %v", n, err)
	}
	text, err := os.ReadFile(filepath.Join(c.Dir, names[1]))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(bytes.NewReader(text), ""); err == nil {
		t.Error("a part of the chain verifies as the whole")
	}
	count := 0
	for cursor := ""; ; {
		list, next, err := l.List(7, cursor, "session.")
		if err != nil {
			t.Fatal(err)
		}
		for _, r := range list {
			if r.N != int64(101-count) || r.Hash == "" {
				t.Fatalf("record %d, want %d", r.N, 101-count)
			}
			count++
		}
		if cursor = next; next == "" {
			break
		}
	}
	if count != 101 {
		t.Errorf("List gave %d records, want 101", count)
	}
	if list, _, err := l.List(5, "", "node."); err != nil || len(list) != 0 {
		t.Errorf("List of another action = %v, %v", list, err)
	}
	for _, bad := range []string{"x", "0", "-1", "103"} {
		if _, _, err := l.List(5, bad, ""); !errors.Is(err, ErrCursor) {
			t.Errorf("List from %q = %v", bad, err)
		}
	}
}

// A crash may leave any beginning of what was being written.
func TestCrashAtEveryByte(t *testing.T) {
	signer := newSigner(t)
	c := Config{Dir: t.TempDir(), Signer: signer}
	l := open(t, c)
	fill(t, l, 2)
	path := filepath.Join(c.Dir, l.at.name)
	before, _ := os.ReadFile(path)
	fill(t, l, 1)
	l.Close() // writes a head too
	after, _ := os.ReadFile(path)
	for size := 0; size <= len(after); size++ {
		for _, hole := range []bool{false, true} {
			dir := t.TempDir()
			text := bytes.Clone(after[:size])
			if hole { // the file got its size, but some block of the last write stayed empty
				if size <= len(before) || size%7 != 0 { // a part of them is enough
					continue
				}
				clear(text[len(before) : len(before)+(size-len(before)+1)/2])
			}
			if err := os.WriteFile(filepath.Join(dir, filepath.Base(path)), text, 0o600); err != nil {
				t.Fatal(err)
			}
			l, err := Open(Config{Dir: dir, Signer: signer})
			if err != nil {
				t.Fatalf("Open after a crash at byte %d (hole %v): %v", size, hole, err)
			}
			whole := int64(bytes.Count(text[:bytes.LastIndexByte(text, '\n')+1], []byte(`{"n":`)))
			torn := size > 0 && text[size-1] != '\n'
			if hole {
				whole, torn = 2, true
			}
			want := whole
			if torn {
				want++ // audit.recovered
			}
			list, _, err := l.List(1, "", "")
			if err != nil || torn != (len(list) == 1 && list[0].Action == "audit.recovered") {
				t.Fatalf("after a crash at byte %d (hole %v) the last record is %+v, %v", size, hole, list, err)
			}
			if n, err := Verify(strings.NewReader(export(t, l)), signer.Pin()); err != nil || n != want {
				t.Fatalf("after a crash at byte %d (hole %v): Verify = %d, %v, want %d", size, hole, n, err, want)
			}
			l.Close()
		}
	}
}

func TestOpenRefusesDamage(t *testing.T) {
	c := Config{Dir: t.TempDir(), Signer: newSigner(t)}
	l := open(t, c)
	fill(t, l, 3)
	l.Close()
	path := filepath.Join(c.Dir, l.at.name)
	good, _ := os.ReadFile(path)
	lines := strings.SplitAfter(string(good), "\n")
	join := func(order ...int) string {
		var b strings.Builder
		for _, i := range order {
			b.WriteString(lines[i])
		}
		return b.String()
	}
	for name, text := range map[string]string{
		"edited":           strings.Replace(string(good), "Ann", "Bob", 1),
		"last edited":      join(0, 1, 2) + strings.Replace(lines[3], "Ann", "Bob", 1),
		"deleted":          join(0, 1, 3, 4),
		"exchanged":        join(0, 2, 1, 3, 4),
		"twice":            join(0, 1, 1, 2, 3, 4),
		"without its head": join(1, 2, 3, 4),
		"a blank line":     join(0, 1) + "\n" + join(2, 3, 4),
		"garbage":          join(0, 1, 2, 3, 4) + "x\n",
	} {
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(c); err == nil || !strings.Contains(err.Error(), "line ") || !strings.Contains(err.Error(), c.Dir) {
			t.Errorf("%s: Open = %v, want a refusal that names line and folder", name, err)
		}
	}
	if err := os.WriteFile(path, good, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(Config{Dir: c.Dir, Signer: newSigner(t)}); err == nil {
		t.Error("Open goes on with the log of another key")
	}
}

func TestChangeOfKey(t *testing.T) {
	signer, err := identity.Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	c := Config{Dir: t.TempDir(), Signer: signer}
	l := open(t, c)
	fill(t, l, 3)
	before := signer.Pin()
	l.Close()
	if _, err := signer.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := signer.Change(); err != nil {
		t.Fatal(err)
	}
	l = open(t, c)
	text := export(t, l)
	if n, err := Verify(strings.NewReader(text), signer.Pin()); err != nil || n != 3 {
		t.Errorf("by the new key: Verify = %d, %v", n, err)
	}
	if _, err := Verify(strings.NewReader(text), before); err == nil {
		t.Error("the end is taken for signed by the old key")
	}
}

func TestHeads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := Config{Dir: t.TempDir(), Signer: newSigner(t)}
		l := open(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- l.Serve(ctx) }()
		for _, tt := range []struct {
			add  int
			wait bool
			want int64
		}{{1, false, 0}, {98, false, 0}, {1, false, 100}, {1, false, 100}, {0, true, 101}, {0, true, 101}} {
			fill(t, l, tt.add)
			synctest.Wait()
			if tt.wait {
				time.Sleep(headAfter) // of the fake clock
				synctest.Wait()
			}
			if got := l.Head(); got.N != tt.want || got.Verify(c.Signer.Pin()) != nil {
				t.Errorf("Head = %d, %v, want %d", got.N, got.Verify(c.Signer.Pin()), tt.want)
			}
		}
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

func TestHeadText(t *testing.T) {
	c := Config{Dir: t.TempDir(), Signer: newSigner(t)}
	l := open(t, c)
	first := l.Head()
	fill(t, l, 100)
	h, err := ParseHead(l.Head().String())
	if err != nil || h != l.Head() || h.Verify(c.Signer.Pin()) != nil || h.Follows(first) != nil || h.Follows(h) != nil {
		t.Errorf("ParseHead = %+v, %v", h, err)
	}
	if first.Follows(h) == nil {
		t.Error("a shorter log passes for a later one")
	}
	other := h
	other.Hash = noHash
	if other.Follows(h) == nil || other.Verify("") == nil {
		t.Error("another hash passes")
	}
	if h.Verify(newSigner(t).Pin()) == nil {
		t.Error("another key's pin passes")
	}
	for _, bad := range []string{"", "{}", h.String() + " ", strings.Replace(h.String(), `"head":100`, `"head":-1`, 1)} {
		if _, err := ParseHead(bad); err == nil {
			t.Errorf("ParseHead(%q) takes it", bad)
		}
	}
}

func TestParallelAppends(t *testing.T) {
	c := Config{Dir: t.TempDir(), Signer: newSigner(t)}
	l := open(t, c)
	syncs := 0
	real := l.sync
	l.sync = func(f *os.File) error { syncs++; return real(f) }
	var all sync.WaitGroup
	for range 200 {
		all.Go(func() { fill(t, l, 1) })
		all.Go(func() { l.Ready(); l.Head(); l.List(1, "", "") })
	}
	all.Wait()
	if n, err := Verify(strings.NewReader(export(t, l)), c.Signer.Pin()); err != nil || n != 200 {
		t.Errorf("Verify = %d, %v", n, err)
	}
	if syncs >= 200 {
		t.Errorf("%d fsyncs for 200 records at once, want fewer", syncs)
	}
}

func BenchmarkAppend(b *testing.B) {
	l := open(b, Config{Dir: b.TempDir(), Signer: newSigner(b)})
	e := Entry{Action: "session.create", Result: OK, Who: "Ann", Role: "user", Road: "lan", Address: "192.168.1.5", Request: "0123456789abcdef"}
	b.Run("one", func(b *testing.B) {
		for b.Loop() {
			if err := l.Append(b.Context(), e); err != nil {
				b.Fatal(err)
			}
		}
	})
	b.Run("parallel", func(b *testing.B) {
		b.SetParallelism(32)
		b.RunParallel(func(pb *testing.PB) {
			for pb.Next() {
				if err := l.Append(b.Context(), e); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}
