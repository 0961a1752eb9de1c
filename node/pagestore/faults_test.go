package pagestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// fileOp is one file operation that was asked for.
type fileOp struct {
	op   op
	name string
}

// injector counts file operations and fails one of them.
type injector struct {
	mu  sync.Mutex
	on  bool
	ops []fileOp
	at  int // index of the operation that fails
	err error
}

func (i *injector) fault(o op, name string) error {
	i.mu.Lock()
	defer i.mu.Unlock()
	if !i.on {
		return nil
	}
	i.ops = append(i.ops, fileOp{o, name})
	if i.err != nil && len(i.ops)-1 == i.at {
		return i.err
	}
	return nil
}

func (i *injector) arm(at int, err error) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.on, i.at, i.err, i.ops = true, at, err, nil
}

func (i *injector) disarm() []fileOp {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.on = false
	return i.ops
}

// storePage takes one page of two writes all the way.
func storePage(ctx context.Context, s *Store, job string) error {
	w, err := s.BeginPage(ctx, start(job, scan.FormatJPEG))
	if err != nil {
		return err
	}
	b := jpegBytes(pieceSize + 100)
	if _, err := w.Write(b); err != nil {
		return err
	}
	_, err = w.Commit(ctx, 0)
	return err
}

func TestEveryFileOperationCanFail(t *testing.T) {
	probe := &injector{}
	s, _ := openTest(t, testConfig(t, t.TempDir()), probe.fault)
	job := newJob(t, s)
	probe.arm(-1, nil)
	if err := storePage(t.Context(), s, job.ID); err != nil {
		t.Fatal(err)
	}
	steps := probe.disarm()
	want := "mkdir fsync-dir create write write fsync rename fsync-dir"
	var got []string
	for _, o := range steps {
		got = append(got, string(o.op))
	}
	if strings.Join(got, " ") != want {
		t.Fatalf("a page takes the steps %v, want %s", got, want)
	}
	for i, step := range steps {
		for _, fault := range []error{syscall.EIO, syscall.ENOSPC, syscall.EDQUOT, syscall.EROFS} {
			t.Run(fmt.Sprintf("%d %s %v", i, step.op, fault), func(t *testing.T) { failOnce(t, i, fault) })
		}
	}
}

func failOnce(t *testing.T, at int, fault error) {
	in := &injector{}
	s, _ := openTest(t, testConfig(t, t.TempDir()), in.fault)
	job := newJob(t, s)
	in.arm(at, fault)
	err := storePage(t.Context(), s, job.ID)
	ops := in.disarm()
	full := fault == syscall.ENOSPC || fault == syscall.EDQUOT
	if full {
		wantProblem(t, "a full disk", err, problem.DiskLow)
	} else if !errors.Is(err, ErrStorage) {
		t.Errorf("storing a page = %v, want ErrStorage", err)
	}
	if !errors.Is(err, fault) {
		t.Errorf("storing a page = %v, want it to wrap %v", err, fault)
	}
	synced := map[string]int{}
	for _, o := range ops {
		if o.op == opSync {
			synced[o.name]++
		}
	}
	for name, n := range synced {
		if n > 1 {
			t.Errorf("%s was synced %d times: a failed sync is final", name, n)
		}
	}
	assertNoPages(t, s, job)
	if (s.Health() == nil) != full {
		t.Errorf("Health = %v after %v", s.Health(), fault)
	}
	if err := s.Room(t.Context(), 1000); err != nil {
		t.Errorf("Room on a disk that works again = %v", err)
	}
	if err := s.Health(); err != nil {
		t.Errorf("Health after Room = %v, want nil", err)
	}
	if err := storePage(t.Context(), s, job.ID); err != nil {
		t.Errorf("the next page: %v", err)
	}
	if _, err := readPage(t, s, job.ID, 1); err != nil {
		t.Errorf("reading the next page: %v", err)
	}
}

// What callers are told of a disk that fails names the cause, and no path.
func TestWhyStorageFailed(t *testing.T) {
	words := map[string]string{}
	for _, err := range []error{
		syscall.EROFS, syscall.EACCES, syscall.EPERM, syscall.EIO, syscall.ENOENT, syscall.ESTALE, syscall.ENODEV, errors.New("other"),
	} {
		failed := storageError("writing a page", &fs.PathError{Op: "open", Path: "/secret", Err: err})
		var told interface{ Problem() *problem.Error }
		if !errors.As(failed, &told) || !errors.Is(failed, ErrStorage) || !errors.Is(failed, err) {
			t.Fatalf("%v is no storage failure", failed)
		}
		p := told.Problem()
		if p.Code != problem.StorageFailed || strings.Contains(p.Detail, "/") {
			t.Errorf("%v: problem %v", err, p)
		}
		words[err.Error()] = p.Detail
	}
	if words["other"] != "" || words[syscall.EACCES.Error()] != words[syscall.EPERM.Error()] ||
		words[syscall.EROFS.Error()] == words[syscall.EIO.Error()] || words[syscall.ENOENT.Error()] != words[syscall.ESTALE.Error()] {
		t.Errorf("words %q", words)
	}
	s, _ := newStore(t)
	if err := s.index.script(t.Context(), "PRAGMA query_only = ON"); err != nil {
		t.Fatal(err)
	}
	_, err := s.Records().Create(t.Context(), "a", nil, s.now().Time)
	if err := s.index.script(t.Context(), "PRAGMA query_only = OFF"); err != nil {
		t.Fatal(err)
	}
	var told interface{ Problem() *problem.Error }
	if !errors.As(err, &told) || told.Problem().Detail != words[syscall.EROFS.Error()] {
		t.Errorf("Create in an index that is read-only = %v", err)
	}
}

func TestRoom(t *testing.T) {
	in := &injector{}
	s, _ := openTest(t, testConfig(t, t.TempDir()), in.fault)
	if err := s.Room(t.Context(), 10<<20); err != nil {
		t.Errorf("Room = %v", err)
	}
	err := s.Room(t.Context(), 1<<60)
	wantProblem(t, "Room for more than there is", err, problem.DiskLow)
	if strings.Contains(err.Error(), "/") {
		t.Errorf("Room tells a path: %v", err)
	}
	for _, at := range []int{0, 1, 2, 3} { // create, write, fsync, fsync-dir
		s.doubt(errors.New("test"))
		in.arm(at, syscall.EIO)
		err := s.Room(t.Context(), 0)
		in.disarm()
		if !errors.Is(err, ErrStorage) || s.Health() == nil {
			t.Errorf("Room with a disk that still fails at step %d = %v, Health %v", at, err, s.Health())
		}
	}
	if files := spoolFiles(t, s.cfg.Dir); len(files) != 0 {
		t.Errorf("Room left %v", files)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := s.Room(ctx, 0); !errors.Is(err, context.Canceled) {
		t.Errorf("Room with a canceled context = %v", err)
	}
}

// A page stops before it takes the room that the index needs.
func TestWriteKeepsTheReserve(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	cfg.Reserve = 1 << 60
	s, _ := openTest(t, cfg, nil)
	job := newJob(t, s)
	w := begin(t, s, job.ID)
	var err error
	for range 2 * roomEvery / pieceSize {
		if _, err = w.Write(make([]byte, pieceSize)); err != nil {
			break
		}
	}
	wantProblem(t, "Write", err, problem.DiskLow)
	assertNoPages(t, s, job)
}

func TestIndexFull(t *testing.T) {
	s, _ := newStore(t)
	job := newJob(t, s)
	var pages int
	if err := s.index.conn.QueryRowContext(t.Context(), "PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	limit := func(n int) {
		if err := s.index.script(t.Context(), fmt.Sprintf("PRAGMA max_page_count = %d", n)); err != nil {
			t.Fatal(err)
		}
	}
	limit(pages)
	records, err := s.Records(), error(nil)
	for i := 0; err == nil; i++ { // take what room is left
		_, err = records.Create(t.Context(), fmt.Sprint("fill.", i), make([]byte, 3000), s.now().Time)
	}
	wantProblem(t, "Create in a full index", err, problem.DiskLow)
	for range 200 { // small rows find gaps for a while
		if err = storePage(t.Context(), s, job.ID); err != nil {
			break
		}
	}
	wantProblem(t, "a page into a full index", err, problem.DiskLow)
	rows := count(t, s, "SELECT count(*) FROM pages")
	if files := spoolFiles(t, s.cfg.Dir); len(files) != rows || count(t, s, "SELECT count(*) FROM meter") != rows {
		t.Errorf("%d files, %d meter rows, want %d, as there are pages", len(files), count(t, s, "SELECT count(*) FROM meter"), rows)
	}
	limit(1 << 30)
	if err := storePage(t.Context(), s, job.ID); err != nil {
		t.Errorf("a page once there is room again: %v", err)
	}
}

// Where the commit itself fails only the next start can tell what holds; the file
// must still be there then.
func TestCommitOfTheIndexFails(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s, _ := openTest(t, cfg, nil)
	job := newJob(t, s)
	err := s.index.script(t.Context(), `
		CREATE TABLE parents (id INTEGER PRIMARY KEY);
		CREATE TABLE children (id INTEGER REFERENCES parents DEFERRABLE INITIALLY DEFERRED);
		CREATE TRIGGER orphan AFTER INSERT ON meter BEGIN INSERT INTO children VALUES (1); END;
		PRAGMA foreign_keys = ON`)
	if err != nil {
		t.Fatal(err)
	}
	if err := storePage(t.Context(), s, job.ID); !errors.Is(err, ErrStorage) {
		t.Errorf("storing a page = %v, want ErrStorage", err)
	}
	if files := spoolFiles(t, cfg.Dir); len(files) != 1 || strings.HasSuffix(files[0], partSuffix) {
		t.Errorf("files %v, want the page's under its final name", files)
	}
	if n := count(t, s, "SELECT count(*) FROM pages"); n != 0 {
		t.Errorf("%d page rows, want none", n)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, r := openTest(t, cfg, nil)
	if r.Clean || r.Orphans != 1 || len(r.Lost) != 0 {
		t.Errorf("Recovery = %+v, want one orphan after a doubtful end", r)
	}
	assertNoPages(t, s, job)
}
