package pagestore

import (
	"errors"
	"fmt"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/platen-scan/platen/proto/problem"
)

// Errors besides *problem.Error, which is returned where a client caused it.
var (
	// ErrStorage is in every error of the disk or the index.
	ErrStorage = errors.New("page storage failed")
	// ErrPageFailed tells a reader that the page it follows is no page after all.
	ErrPageFailed = errors.New("page was aborted")
	// ErrBadPage is returned by Commit for bytes that are no whole image.
	ErrBadPage = errors.New("page is not a whole image")
	// ErrClosed is returned once the store is closed.
	ErrClosed = errors.New("page store is closed")
)

// storageError says what failed while doing what. A full disk is the client's
// business (problem disk-low); everything else is ErrStorage. Problems pass.
func storageError(doing string, err error) error {
	var p *problem.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &p), errors.Is(err, ErrStorage), errors.Is(err, ErrClosed):
		return err
	case diskFull(err):
		return fmt.Errorf("%s: %w: %w", doing, problem.DiskLow.Error(), err)
	}
	return fmt.Errorf("%s: %w: %w", doing, ErrStorage, err)
}

func diskFull(err error) bool {
	var s *sqlite.Error
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		errors.As(err, &s) && s.Code()&0xff == sqlite3.SQLITE_FULL
}
