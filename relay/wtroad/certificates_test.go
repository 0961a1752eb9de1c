package wtroad_test

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/relay/wtroad"
)

const day = 24 * time.Hour

// shown is the certificate that a browser sees, checked as browsers do.
func shown(t *testing.T, c *wtroad.Certificates, at time.Time) (leaf *x509.Certificate, hash string) {
	t.Helper()
	got, err := c.GetCertificate(nil)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err = x509.ParseCertificate(got.Certificate[0])
	if err != nil {
		t.Fatal(err)
	}
	key, ok := leaf.PublicKey.(*ecdsa.PublicKey)
	if !ok || key.Curve != elliptic.P256() {
		t.Errorf("the key is a %T", leaf.PublicKey)
	}
	if whole := leaf.NotAfter.Sub(leaf.NotBefore); whole > 14*day {
		t.Errorf("it is valid for %v", whole)
	}
	if at.Before(leaf.NotBefore.Add(59*time.Minute)) || at.After(leaf.NotAfter) {
		t.Errorf("on %v it is valid from %v to %v", at, leaf.NotBefore, leaf.NotAfter)
	}
	sum := sha256.Sum256(got.Certificate[0])
	return leaf, base64.RawURLEncoding.EncodeToString(sum[:])
}

func openCertificates(t *testing.T, dir string, now func() time.Time, log *slog.Logger) *wtroad.Certificates {
	t.Helper()
	c, err := wtroad.OpenCertificates(wtroad.CertificatesConfig{Dir: dir, Now: now, Log: log})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestCertificatesOverSixtyDays: whoever holds hashes that are up to five days old
// finds a match; restarts change nothing.
func TestCertificatesOverSixtyDays(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		const step = 7 * time.Hour
		var published [][]string // one each step
		seen := map[string]bool{}
		ctx, stop := context.WithCancel(t.Context())
		var c *wtroad.Certificates
		var serving sync.WaitGroup
		restart := func() {
			stop()
			serving.Wait()
			ctx, stop = context.WithCancel(t.Context())
			c = openCertificates(t, dir, nil, quiet)
			served := ctx
			serving.Go(func() { c.Serve(served) })
		}
		restart()
		for start := time.Now(); time.Since(start) < 60*day; time.Sleep(step) {
			synctest.Wait()
			_, hash := shown(t, c, time.Now())
			seen[hash] = true
			published = append(published, c.Hashes())
			if now := c.Hashes(); now[0] != hash || len(now) != 2 || now[0] == now[1] {
				t.Fatalf("%q serves, published are %q", hash, now)
			}
			for _, old := range published[max(0, len(published)-1-int(5*day/step)):] {
				if !slices.Contains(old, hash) {
					t.Fatalf("%q serves, and was not among %q", hash, old)
				}
			}
			if len(published)%10 == 0 {
				before := c.Hashes()
				restart()
				if after := c.Hashes(); !slices.Equal(after, before) {
					t.Fatalf("a restart changed %q to %q", before, after)
				}
			}
		}
		if len(seen) != 10 {
			t.Errorf("%d certificates served in 60 days, want 10", len(seen))
		}
		stop()
		serving.Wait()
	})
}

// TestCertificatesAfterSleep: the clock jumps, and nothing has run in between.
func TestCertificatesAfterSleep(t *testing.T) {
	start := time.Date(2026, 11, 22, 12, 0, 0, 0, time.UTC)
	for _, row := range []struct {
		asleep  time.Duration
		matches bool // the hashes of before
	}{
		{time.Hour, true}, {6*day - time.Second, true}, {6 * day, true}, {12*day - time.Second, true},
		{12 * day, false}, {400 * day, false}, {-2 * time.Hour, false},
	} {
		now := start
		c := openCertificates(t, t.TempDir(), func() time.Time { return now }, quiet)
		before := c.Hashes()
		now = start.Add(row.asleep)
		if row.matches { // at once, before Serve has looked
			if _, hash := shown(t, c, now); !slices.Contains(before, hash) {
				t.Errorf("after %v another certificate serves", row.asleep)
			}
		}
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		c.Serve(ctx) // looks once
		if _, hash := shown(t, c, now); slices.Contains(before, hash) != row.matches || c.Hashes()[0] != hash {
			t.Errorf("after %v %q serves, published are %q, before %q", row.asleep, hash, c.Hashes(), before)
		}
	}
}

func TestCertificatesFiles(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "browsers.pem")
	first := openCertificates(t, dir, nil, quiet).Hashes()
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(file); err != nil || runtime.GOOS != "windows" && info.Mode().Perm() != 0o600 {
		t.Errorf("mode = %v, %v, want 0600", info.Mode(), err)
	}
	if again := openCertificates(t, dir, nil, quiet).Hashes(); !slices.Equal(again, first) {
		t.Errorf("hashes after a restart = %q, want %q", again, first)
	}
	half := len(good) / 2
	blocks := strings.SplitAfter(string(good), "-----END CERTIFICATE-----\n")
	for name, content := range map[string]string{
		"empty": "", "cut": string(good[:half+50]), "one of two": blocks[0], "the wrong way round": blocks[1] + blocks[0],
		"more": string(good) + blocks[0], "text": "hello" + string(good), "a changed byte": strings.Replace(string(good), "A", "B", 1),
		"large": strings.Repeat("x", 1<<20), "another's": "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n",
	} {
		if err := os.WriteFile(file, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
		var log strings.Builder
		c := openCertificates(t, dir, nil, slog.New(slog.NewTextHandler(&log, nil)))
		if !strings.Contains(log.String(), "replaced") || strings.Contains(log.String(), "PRIVATE KEY-----\n") {
			t.Errorf("%s: the log says %q", name, log.String())
		}
		if _, hash := shown(t, c, time.Now()); slices.Contains(first, hash) {
			t.Errorf("%s: the old certificate serves", name)
		}
		again := openCertificates(t, dir, nil, quiet)
		if !slices.Equal(again.Hashes(), c.Hashes()) {
			t.Errorf("%s: the replacement was not kept", name)
		}
	}
	if _, err := wtroad.OpenCertificates(wtroad.CertificatesConfig{Log: quiet}); err == nil {
		t.Error("OpenCertificates without a folder")
	}
	if left, _ := os.ReadDir(dir); len(left) != 1 {
		t.Errorf("the folder holds %v", left)
	}
}

// TestCertificatesNotKept: a folder that takes no file closes no road.
func TestCertificatesNotKept(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "browsers.pem"), 0o700); err != nil {
		t.Fatal(err)
	}
	var log strings.Builder
	c := openCertificates(t, dir, nil, slog.New(slog.NewTextHandler(&log, nil)))
	shown(t, c, time.Now())
	if !strings.Contains(log.String(), "cannot be kept") {
		t.Errorf("the log says %q", log.String())
	}
	if err := os.Remove(filepath.Join(dir, "browsers.pem")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Serve(ctx)
	if again := openCertificates(t, dir, nil, quiet).Hashes(); !slices.Equal(again, c.Hashes()) {
		t.Error("what could not be kept is not kept later")
	}
}

// TestRotationUnderSessions: sessions last over a rotation, and browsers with the old
// hashes still come in.
func TestRotationUnderSessions(t *testing.T) {
	var mu sync.Mutex
	now := time.Now()
	clock := func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	c := openCertificates(t, t.TempDir(), clock, quiet)
	e := newEnd(t, func(config *wtroad.Config) { config.Certificates = c })
	e.echo(t)
	b, old := e.mustJoin(t), e.visit()
	works(t, b)
	mu.Lock()
	now = now.Add(7 * day)
	mu.Unlock()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	c.Serve(ctx) // looks once
	if slices.Equal(c.Hashes(), old.hashes) {
		t.Fatal("nothing was rotated")
	}
	works(t, b)
	later, _, err := e.try(t, old)
	if err != nil {
		t.Fatalf("joining with the hashes of before: %v", err)
	}
	works(t, later)
	works(t, e.mustJoin(t))
}
