package pagestore

import (
	"bytes"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/scan"
)

func TestMigration(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s, _ := openTest(t, cfg, nil)
	job := newJob(t, s)
	commitPage(t, s, job.ID, 100)
	setState(t, s, job.ID, scan.JobCompleted)
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	broken := append(slices.Clone(migrations), "ALTER TABLE jobs ADD COLUMN colour TEXT NOT NULL DEFAULT 'x'; INSERT INTO nowhere VALUES (1)")
	if _, _, err := open(t.Context(), cfg, broken, nil); err == nil || !strings.Contains(err.Error(), fmt.Sprintf("schema %d", len(migrations)+1)) {
		t.Fatalf("Open with a migration that fails = %v", err)
	}
	s, _ = openTest(t, cfg, nil) // as if nothing had happened
	if _, err := readPage(t, s, job.ID, 1); err != nil {
		t.Errorf("after a migration that failed: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	newer := append(slices.Clone(migrations), "ALTER TABLE jobs ADD COLUMN colour TEXT NOT NULL DEFAULT 'x'", "CREATE TABLE more (x)")
	s, _, err := open(t.Context(), cfg, newer, nil)
	if err != nil {
		t.Fatal(err)
	}
	if n := count(t, s, "SELECT count(*) FROM jobs WHERE colour = 'x'"); n != 1 {
		t.Errorf("%d migrated jobs, want 1", n)
	}
	if _, err := readPage(t, s, job.ID, 1); err != nil {
		t.Errorf("after a migration: %v", err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}

	before := filepath.Join(cfg.Dir, storageDir, fmt.Sprintf("%s.v%d", indexFile, len(migrations)))
	if fi, err := os.Stat(before); err != nil || fi.Mode().Perm() != 0o600 {
		t.Errorf("the copy: %v, %v, want it with mode 0600", fi, err)
	}
	db, err := sql.Open("sqlite", before)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	var version, jobs int
	if err := db.QueryRow("PRAGMA user_version").Scan(&version); err != nil || version != len(migrations) {
		t.Errorf("the copy has schema %d, %v, want %d", version, err, len(migrations))
	}
	if err := db.QueryRow("SELECT count(*) FROM jobs").Scan(&jobs); err != nil || jobs != 1 {
		t.Errorf("the copy has %d jobs, %v, want 1", jobs, err)
	}

	_, _, err = Open(t.Context(), cfg)
	if err == nil || !strings.Contains(err.Error(), "written by a newer Platen") {
		t.Errorf("Open of a newer folder = %v, want clear words", err)
	}
}

// oldFolder makes the index of a folder as a program of an older schema left it.
func oldFolder(t *testing.T, cfg Config, schema int, statement string, args ...any) {
	t.Helper()
	if err := os.Mkdir(filepath.Join(cfg.Dir, storageDir), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(cfg.Dir, storageDir, indexFile))
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	script := strings.Join(migrations[:schema], ";") + fmt.Sprintf(";PRAGMA application_id = %d;PRAGMA user_version = %d", applicationID, schema)
	if _, err := db.Exec(script); err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec(statement, args...); err != nil {
		t.Fatal(err)
	}
}

// oldJob is the statement for a job that waits, of any schema.
const oldJob = `INSERT INTO documents (id, owner, name, revision, created, updated) VALUES (?2, ?4, 'old', 1, 1, 1);
	INSERT INTO jobs (id, scanner, owner, document, name, state, reasons, settings, created)
	VALUES (?1, ?3, ?4, ?2, 'old', 'pending-held', '["interrupted"]', '{}', 1)`

// TestMigrationFrom1 opens a folder of the time before scanners had settings.
func TestMigrationFrom1(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	job, document := scan.NewID(testNode, scan.KindJob), scan.NewID(testNode, scan.KindDocument)
	oldFolder(t, cfg, 1, oldJob, job, document, testScanner, owner)
	s, _ := openTest(t, cfg, nil)
	if got, whose, err := s.Job(t.Context(), job); err != nil || whose != owner || got.State != scan.JobHeld || got.Name != "old" {
		t.Errorf("Job = %+v of %s, %v, want the old one", got, whose, err)
	}
	if code, err := s.ReleaseCode(t.Context(), job); code != "" || err != nil {
		t.Errorf("ReleaseCode = %q, %v, want none", code, err)
	}
	if got, err := s.Scanner(t.Context(), testScanner); err != nil || got.Hold || got.Name != "" || len(got.Presence) != presenceLength {
		t.Errorf("Scanner = %+v, %v, want new settings that hold nothing", got, err)
	}
}

// TestMigrationFrom2 opens a folder of the time before scanners were shared.
func TestMigrationFrom2(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	want := ScannerSettings{Name: "Front desk", Location: "Hall", Hold: true, Presence: NewPresence()}
	oldFolder(t, cfg, 2, "INSERT INTO scanners (id, name, location, hold, presence) VALUES (?, ?, ?, ?, ?)",
		testScanner, want.Name, want.Location, want.Hold, want.Presence)
	s, _ := openTest(t, cfg, nil)
	if got, err := s.Scanner(t.Context(), testScanner); err != nil || got != want {
		t.Errorf("Scanner = %+v, %v, want %+v, of which nobody decided whether it is shared", got, err, want)
	}
}

// TestMigrationFrom3 opens a folder of the time before pages were sealed.
func TestMigrationFrom3(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	job := scan.NewID(testNode, scan.KindJob)
	oldFolder(t, cfg, 3, oldJob, job, scan.NewID(testNode, scan.KindDocument), testScanner, owner)
	s, _ := openTest(t, cfg, nil)
	if got, _, err := s.Job(t.Context(), job); err != nil || got.Recipient != "" || got.Name != "old" {
		t.Errorf("Job = %+v, %v, want the old one without a recipient", got, err)
	}
}

// TestMigrationFrom4 opens a folder of the time before receipts: the rows of then keep
// their chain, and receipts follow after it.
func TestMigrationFrom4(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	old := bytes.Repeat([]byte{7}, 32)
	oldFolder(t, cfg, 4, `INSERT INTO meter (node, job, n, page, digest, bytes, at, chain) VALUES (?1, 'j', 1, 'p', ?2, 5, 6, ?2), (?1, 'j', 2, 'q', ?2, 5, 6, ?2)`,
		testNode, old)
	s, _ := openTest(t, cfg, nil)
	if head, start, err := s.MeterHead(t.Context()); err != nil || start != 2 || head != (license.Head{Seq: 2, Chain: hex.EncodeToString(old)}) {
		t.Errorf("MeterHead = %+v, %d, %v, want the old one", head, start, err)
	}
	if _, err := s.Receipt(t.Context(), "j", 1); !errors.Is(err, ErrNoReceipt) {
		t.Errorf("Receipt of an old page = %v, want ErrNoReceipt", err)
	}
	job := newJob(t, s)
	commitPage(t, s, job.ID, 64)
	before, list, head, err := s.Receipts(t.Context(), 0, 10)
	if err != nil || len(list) != 1 || list[0].Seq != 3 || before != hex.EncodeToString(old) {
		t.Fatalf("Receipts = %s, %+v, %v, want the third page after the old chain", before, list, err)
	}
	if chain, err := license.Chain(old, list[0]); err != nil || head != (license.Head{Seq: 3, Chain: hex.EncodeToString(chain)}) {
		t.Errorf("head = %+v, want what follows from the old chain (%v)", head, err)
	}
}

func TestForeignDatabase(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	if err := os.Mkdir(filepath.Join(cfg.Dir, storageDir), 0o700); err != nil {
		t.Fatal(err)
	}
	db, err := sql.Open("sqlite", filepath.Join(cfg.Dir, storageDir, indexFile))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("CREATE TABLE photos (x); PRAGMA user_version = 1"); err != nil {
		t.Fatal(err)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if _, _, err := Open(t.Context(), cfg); err == nil || !strings.Contains(err.Error(), "is not Platen's") {
		t.Errorf("Open of another program's file = %v", err)
	}
}
