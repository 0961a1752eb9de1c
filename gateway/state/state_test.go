package state

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestOpenTwice(t *testing.T) {
	dir := t.TempDir()
	openState(t, dir, nil)
	if s, err := Open(t.Context(), Config{Dir: dir}); !errors.Is(err, ErrInUse) {
		t.Errorf("second Open = %v, %v, want ErrInUse", s, err)
	}
}

func TestOpenImpossible(t *testing.T) {
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Dir: file}); err == nil {
		t.Error("Open on a file succeeded")
	}
}

func TestServerHasNoPort(t *testing.T) {
	s := openState(t, t.TempDir(), nil)
	if addr := s.server.Addr(); addr != nil {
		t.Errorf("the embedded server listens on %v", addr)
	}
	if info := s.server.JetStreamConfig(); !info.SyncAlways {
		t.Error("the embedded server acknowledges before it syncs")
	}
}

func TestUseAfterClose(t *testing.T) {
	s, err := Open(t.Context(), Config{Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := s.Records().Create(t.Context(), "a", nil, time.Time{}); err == nil {
		t.Error("a closed state acknowledged a write")
	}
	if _, _, err := s.Records().Get(t.Context(), "a"); err == nil {
		t.Error("a closed state answered")
	}
}

// An ordinary start must not be felt in the gateway's own.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	for b.Loop() {
		s, err := Open(b.Context(), Config{Dir: dir})
		if err != nil {
			b.Fatal(err)
		}
		b.StopTimer()
		s.Close()
		b.StartTimer()
	}
}

func BenchmarkGet(b *testing.B) {
	s, err := Open(b.Context(), Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	if _, err := s.Records().Create(b.Context(), "session.a", make([]byte, 300), time.Time{}); err != nil {
		b.Fatal(err)
	}
	for b.Loop() {
		if _, _, err := s.Records().Get(b.Context(), "session.a"); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkCreate(b *testing.B) {
	s, err := Open(b.Context(), Config{Dir: b.TempDir()})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	for b.Loop() {
		if _, err := s.Records().Create(b.Context(), "session."+time.Now().Format("150405.000000000"), make([]byte, 300), time.Time{}); err != nil {
			b.Fatal(err)
		}
	}
}
