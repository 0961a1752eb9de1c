package pagestore

import (
	"context"
	"errors"
	"fmt"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// doubt remembers the first error that says the disk may not keep what it took.
func (s *Store) doubt(err error) {
	s.mu.Lock()
	first := s.health == nil
	if first {
		s.health = err
	}
	s.mu.Unlock()
	if first {
		s.log.Error("the disk of the page store failed", "error", err)
	}
}

// Health is nil, or why the disk is not trusted at present. The files that failed
// were given up; Room tries the disk with a new one.
func (s *Store) Health() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.health
}

// Free is how many bytes the disk has for pages beside the reserve.
func (s *Store) Free() (int64, error) {
	free, _, err := room(s.spool)
	return max(free-s.cfg.Reserve, 0), err
}

// Room reports whether another page of about expected bytes fits, with as much
// again and Config.Reserve to spare: problem disk-low if not. ErrStorage if no file can be
// made, and where the disk has failed before, if it still does.
func (s *Store) Room(ctx context.Context, expected int64) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	free, files, err := room(s.spool)
	if err != nil {
		return storageError("asking for free disk space", err)
	}
	if need := s.cfg.Reserve + 2*max(expected, 0); free < need || !files {
		const mib = 1 << 20
		return problem.New(problem.DiskLow, "%d MiB of disk are free, %d MiB are needed.", free/mib, (need+mib-1)/mib)
	}
	well := s.Health() == nil
	if err := s.probe(!well); err != nil {
		return s.noteError("trying the disk", err)
	}
	if well {
		return nil
	}
	s.mu.Lock()
	s.health = nil
	s.mu.Unlock()
	s.log.Info("the disk of the page store works again")
	return nil
}

// probe makes a file; a whole one goes all the way that a page's file does.
func (s *Store) probe(whole bool) (err error) {
	name := scan.RandomText(26) + partSuffix
	f, err := s.disk.create(name)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, f.Close(), s.disk.remove(name)) }()
	if !whole {
		return nil
	}
	if _, err := s.disk.write(f, name, make([]byte, 4096)); err != nil {
		return err
	}
	if err := s.disk.sync(f, name); err != nil {
		return fmt.Errorf("fsync: %w", err)
	}
	return s.disk.syncDir(".")
}
