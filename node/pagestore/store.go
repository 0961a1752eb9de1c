package pagestore

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// Names below Config.Dir.
const (
	storageDir = "storage"
	spoolDir   = "spool"
	indexFile  = "platen.db"
	lockFile   = "lock"
)

// DefaultReserve is what Config.Reserve is where it is 0.
const DefaultReserve = 64 << 20

// Config says where and how a store keeps its files.
type Config struct {
	Dir     string           // the data folder; storage/ and spool/ are made below it
	NodeID  string           // the node's; new IDs begin with its prefix
	Log     *slog.Logger     // nil: none
	Now     func() time.Time // nil: time.Now
	Reserve int64            // bytes of disk that pages never take; 0: DefaultReserve
}

// Store is the durable state of a node. Its methods may be called from any number
// of goroutines. What they changed is durable when they return nil.
type Store struct {
	cfg   Config
	log   *slog.Logger
	held  *os.File // keeps other processes out
	disk  *disk
	spool *os.File // the folder, for asking its file system
	index *index
	epoch int64 // of this start; see pages.epoch

	mu      sync.Mutex
	closed  bool
	health  error               // the first that put the disk in doubt
	growing map[string]*growing // by job

	renditions renditions
	verifying  flights
}

// Open opens the data folder, makes it where there is none, and puts right what the
// last process left unfinished. It may be called once for a folder: a second
// process is refused.
func Open(ctx context.Context, cfg Config) (*Store, Recovery, error) {
	return open(ctx, cfg, migrations, nil)
}

func open(ctx context.Context, cfg Config, steps []string, fault faults) (*Store, Recovery, error) {
	s, err := openFiles(ctx, cfg, steps, fault)
	if err != nil {
		return nil, Recovery{}, fmt.Errorf("opening the page store: %w", err)
	}
	r, err := s.recover(ctx)
	if err != nil {
		s.release()
		return nil, Recovery{}, fmt.Errorf("recovering the page store: %w", err)
	}
	return s, r, nil
}

func openFiles(ctx context.Context, cfg Config, steps []string, fault faults) (_ *Store, err error) {
	if err := scan.ParseNodeID(cfg.NodeID); err != nil {
		return nil, err
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Reserve == 0 {
		cfg.Reserve = DefaultReserve
	}
	if cfg.Dir, err = filepath.Abs(cfg.Dir); err != nil {
		return nil, err
	}
	s := &Store{cfg: cfg, log: cfg.Log, growing: map[string]*growing{}}
	defer func() {
		if err != nil {
			s.release()
		}
	}()
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return nil, err
	}
	dir, err := os.OpenRoot(cfg.Dir)
	if err != nil {
		return nil, err
	}
	defer dir.Close()
	storage, err := privateFolder(dir, storageDir)
	if err != nil {
		return nil, err
	}
	defer storage.Close()
	spool, err := privateFolder(dir, spoolDir)
	if err != nil {
		return nil, err
	}
	s.disk = &disk{root: spool, fault: fault}
	if s.spool, err = spool.Open("."); err != nil {
		return nil, err
	}
	if err := checkLocal(s.spool); err != nil {
		return nil, err
	}
	if s.held, err = storage.OpenFile(lockFile, os.O_RDWR|os.O_CREATE, 0o600); err != nil {
		return nil, err
	}
	if err := lock(s.held); err != nil {
		return nil, err
	}
	if err := privateFile(storage, indexFile); err != nil {
		return nil, err
	}
	if s.index, err = openIndex(ctx, filepath.Join(cfg.Dir, storageDir, indexFile)); err != nil {
		return nil, err
	}
	return s, s.index.migrate(ctx, storage, steps)
}

// privateFolder opens a folder that nobody else may enter, and makes it if needed.
// A link in its place is refused: pages go where the administrator looks for them.
func privateFolder(dir *os.Root, name string) (*os.Root, error) {
	if err := dir.Mkdir(name, 0o700); err != nil && !errors.Is(err, os.ErrExist) {
		return nil, err
	}
	fi, err := dir.Lstat(name)
	if err != nil {
		return nil, err
	}
	if !fi.IsDir() {
		return nil, fmt.Errorf("%s is not a folder: move it away", filepath.Join(dir.Name(), name))
	}
	if fi.Mode().Perm()&0o077 != 0 {
		if err := dir.Chmod(name, 0o700); err != nil {
			return nil, err
		}
	}
	return dir.OpenRoot(name)
}

// privateFile makes the index file before SQLite would, with narrower permissions,
// which SQLite then gives its companions too.
func privateFile(dir *os.Root, name string) error {
	f, err := dir.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600)
	if err == nil {
		return f.Close()
	}
	if !errors.Is(err, os.ErrExist) {
		return err
	}
	fi, err := dir.Lstat(name)
	if err == nil && !fi.Mode().IsRegular() {
		err = fmt.Errorf("%s is not a file: move it away", filepath.Join(dir.Name(), name))
	}
	return err
}

// Close aborts the pages that still grow, waits for what is being written and
// notes that the store was left in order.
func (s *Store) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true
	left := make([]*growing, 0, len(s.growing))
	for _, g := range s.growing {
		left = append(left, g)
	}
	s.mu.Unlock()
	for _, g := range left {
		g.fail(ErrClosed)
	}
	clean := s.Health() == nil
	_, err := s.index.write(context.Background(), func(t *tx) error {
		_, err := t.exec("UPDATE meta SET value = ? WHERE key = 'clean'", clean)
		return err
	})
	if e := s.release(); err == nil {
		err = e
	}
	if err != nil {
		return storageError("closing the page store", err)
	}
	return nil
}

// release lets go of all files.
func (s *Store) release() error {
	var errs []error
	if s.index != nil {
		errs = append(errs, s.index.close())
	}
	if s.spool != nil {
		errs = append(errs, s.spool.Close())
	}
	if s.disk != nil {
		errs = append(errs, s.disk.root.Close())
	}
	if s.held != nil {
		errs = append(errs, s.held.Close())
	}
	return errors.Join(errs...)
}

func (s *Store) now() scan.Time { return scan.At(s.cfg.Now()) }

// write runs a transaction and names what failed.
func (s *Store) write(ctx context.Context, doing string, fn func(*tx) error) error {
	_, err := s.index.write(ctx, fn)
	return s.writeError(ctx, doing, err)
}

func (s *Store) writeError(ctx context.Context, doing string, err error) error {
	if err == nil || ctx.Err() != nil && errors.Is(err, ctx.Err()) {
		return err
	}
	return s.noteError(doing, err)
}

// noteError is storageError that also puts the disk in doubt.
func (s *Store) noteError(doing string, err error) error {
	err = storageError(doing, err)
	if errors.Is(err, ErrStorage) {
		s.doubt(err)
	}
	return err
}
