package pagestore

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"hash/crc32"
	"io"
	"log/slog"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDirEnv); dir != "" {
		os.Exit(crashChild(dir))
	}
	goleak.VerifyTestMain(m)
}

const owner = "somebody"

var (
	testNode    = mustNodeID()
	testScanner = scan.DerivedID(testNode, scan.KindScanner, "test")
)

func mustNodeID() string {
	id, err := scan.NodeID(ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize)).Public().(ed25519.PublicKey))
	if err != nil {
		panic(err)
	}
	return id
}

// clock is a time that tests set.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func newClock() *clock { return &clock{t: time.Date(2026, 3, 1, 8, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	c.t = c.t.Add(d)
	c.mu.Unlock()
}

func testConfig(t testing.TB, dir string) Config {
	return Config{Dir: dir, NodeID: testNode, Reserve: 1 << 20, Log: slog.New(slog.NewTextHandler(testLog{t}, nil))}
}

// testLog shows the store's log where a test fails.
type testLog struct{ t testing.TB }

func (l testLog) Write(p []byte) (int, error) {
	l.t.Logf("%s", bytes.TrimSpace(p))
	return len(p), nil
}

// openTest opens a store that is closed at the end of the test.
func openTest(t testing.TB, cfg Config, fault faults) (*Store, Recovery) {
	t.Helper()
	s, r, err := open(t.Context(), cfg, migrations, fault)
	if err != nil {
		t.Fatalf("Open: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("Close: %v", err)
		}
	})
	return s, r
}

func newStore(t testing.TB) (*Store, *clock) {
	t.Helper()
	c := newClock()
	cfg := testConfig(t, t.TempDir())
	cfg.Now = c.now
	s, _ := openTest(t, cfg, nil)
	return s, c
}

// newJob creates a job and lets it process.
func newJob(t testing.TB, s *Store, change ...func(*NewJob)) scan.Job {
	t.Helper()
	n := NewJob{Scanner: testScanner, Owner: owner, Name: "Letter", Settings: scan.Settings{Source: scan.SourceADF, Resolution: 300}}
	for _, c := range change {
		c(&n)
	}
	job, _, err := s.CreateJob(t.Context(), n)
	if err != nil {
		t.Fatalf("CreateJob: %v", err)
	}
	return setState(t, s, job.ID, scan.JobProcessing)
}

func setState(t testing.TB, s *Store, id string, state scan.JobState) scan.Job {
	t.Helper()
	job, err := s.UpdateJob(t.Context(), id, func(j *scan.Job) error { j.State = state; return nil })
	if err != nil {
		t.Fatalf("UpdateJob to %s: %v", state, err)
	}
	return job
}

func start(job string, f scan.Format) PageStart {
	return PageStart{Job: job, Format: f, Mode: scan.ModeColor, Depth: 8, Resolution: 300, Width: 20, Height: 30}
}

func begin(t testing.TB, s *Store, job string) *PageWriter {
	t.Helper()
	w, err := s.BeginPage(t.Context(), start(job, scan.FormatJPEG))
	if err != nil {
		t.Fatalf("BeginPage: %v", err)
	}
	return w
}

// commitPage stores a JPEG of about size bytes and returns the page and its bytes.
func commitPage(t testing.TB, s *Store, job string, size int) (scan.Page, []byte) {
	t.Helper()
	w := begin(t, s, job)
	b := jpegBytes(size)
	if _, err := w.Write(b); err != nil {
		t.Fatalf("Write: %v", err)
	}
	p, err := w.Commit(t.Context(), 0)
	if err != nil {
		t.Fatalf("Commit: %v", err)
	}
	return p, b
}

// jpegBytes begins and ends like a JPEG; between is noise.
func jpegBytes(size int) []byte {
	b := make([]byte, max(size, 8))
	seed := rand.Uint64()
	for i := range b {
		b[i] = byte(seed >> (i % 8 * 8) * uint64(i))
	}
	binary.BigEndian.PutUint64(b, seed)
	copy(b, "\xff\xd8\xff\xe0")
	copy(b[len(b)-2:], "\xff\xd9")
	return b
}

// pngBytes is a PNG signature, one chunk of noise and the end chunk.
func pngBytes(size int) []byte {
	body := make([]byte, size)
	b := append([]byte("\x89PNG\r\n\x1a\n"), binary.BigEndian.AppendUint32(nil, uint32(size))...)
	b = append(append(b, "IDAT"...), body...)
	b = binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(body))
	return append(b, "\x00\x00\x00\x00IEND\xae\x42\x60\x82"...)
}

func digestOf(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// readPage reads a committed page whole.
func readPage(t testing.TB, s *Store, job string, n int) ([]byte, error) {
	t.Helper()
	r, err := s.OpenPage(t.Context(), job, n)
	if err != nil {
		return nil, err
	}
	defer r.Close()
	size, done, err := r.Size()
	if err != nil || !done {
		t.Fatalf("Size of page %d = %d, %v, %v, want it done", n, size, done, err)
	}
	return io.ReadAll(io.NewSectionReader(r, 0, size))
}

func wantProblem(t testing.TB, what string, err error, code problem.Code) {
	t.Helper()
	if !errors.Is(err, code.Error()) {
		t.Errorf("%s: error %v, want problem %s", what, err, code)
	}
}

// spoolFiles lists all files below spool/.
func spoolFiles(t testing.TB, dir string) []string {
	t.Helper()
	var names []string
	root := filepath.Join(dir, spoolDir)
	err := filepath.WalkDir(root, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, strings.TrimPrefix(path, root+"/"))
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return names
}

func TestFilesArePrivate(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "odd name? #1 %41")
	s, r := openTest(t, testConfig(t, dir), nil)
	if !r.Clean {
		t.Error("a new folder was not clean")
	}
	job := newJob(t, s)
	commitPage(t, s, job.ID, 1000)
	w := begin(t, s, job.ID)
	defer w.Abort(nil)
	files := 0
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil {
			return err
		}
		fi, err := d.Info()
		if err != nil {
			return err
		}
		want := os.FileMode(0o600)
		if d.IsDir() {
			want = 0o700
		} else {
			files++
		}
		if fi.Mode().Perm() != want {
			t.Errorf("%s has mode %v, want %v", path, fi.Mode().Perm(), want)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if files < 5 { // lock, index, its log and shared memory, two pages
		t.Errorf("found %d files, want them all below %s", files, dir)
	}
}

func TestOpenNarrowsPermissions(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, spoolDir), 0o755); err != nil {
		t.Fatal(err)
	}
	openTest(t, testConfig(t, dir), nil)
	fi, err := os.Stat(filepath.Join(dir, spoolDir))
	if err != nil || fi.Mode().Perm() != 0o700 {
		t.Errorf("spool/ has mode %v, %v, want 0700", fi.Mode(), err)
	}
}

func TestOpenRefuses(t *testing.T) {
	tests := []struct {
		name    string
		prepare func(t *testing.T, cfg *Config)
		want    string
	}{
		{"no node ID", func(t *testing.T, cfg *Config) { cfg.NodeID = "x" }, "node ID"},
		{"second process", func(t *testing.T, cfg *Config) { openTest(t, *cfg, nil) }, "another Platen process"},
		{"linked spool", func(t *testing.T, cfg *Config) {
			if err := os.Symlink(t.TempDir(), filepath.Join(cfg.Dir, spoolDir)); err != nil {
				t.Fatal(err)
			}
		}, "is not a folder"},
		{"linked index", func(t *testing.T, cfg *Config) {
			if err := os.Mkdir(filepath.Join(cfg.Dir, storageDir), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.Symlink("elsewhere", filepath.Join(cfg.Dir, storageDir, indexFile)); err != nil {
				t.Fatal(err)
			}
		}, "is not a file"},
		{"no database", func(t *testing.T, cfg *Config) {
			if err := os.Mkdir(filepath.Join(cfg.Dir, storageDir), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(filepath.Join(cfg.Dir, storageDir, indexFile), bytes.Repeat([]byte("words "), 1000), 0o600); err != nil {
				t.Fatal(err)
			}
		}, "not a database"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			cfg := testConfig(t, t.TempDir())
			tt.prepare(t, &cfg)
			s, _, err := Open(t.Context(), cfg)
			if err == nil {
				s.Close()
			}
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("Open = %v, want an error with %q", err, tt.want)
			}
		})
	}
}

func TestClosed(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	r, err := s.OpenPage(t.Context(), job.ID, 1)
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	waited := make(chan error, 1)
	go func() { waited <- r.Wait(context.Background(), 0) }()
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-waited; !errors.Is(err, ErrPageFailed) {
		t.Errorf("Wait while the store closes = %v, want ErrPageFailed", err)
	}
	if _, err := w.Write([]byte("x")); !errors.Is(err, ErrClosed) {
		t.Errorf("Write after Close = %v, want ErrClosed", err)
	}
	w.Abort(nil)
	if _, err := s.BeginPage(t.Context(), start(job.ID, scan.FormatJPEG)); !errors.Is(err, ErrClosed) {
		t.Errorf("BeginPage after Close = %v, want ErrClosed", err)
	}
	if _, _, err := s.CreateJob(t.Context(), NewJob{Scanner: testScanner, Owner: owner}); !errors.Is(err, ErrClosed) {
		t.Errorf("CreateJob after Close = %v, want ErrClosed", err)
	}
}
