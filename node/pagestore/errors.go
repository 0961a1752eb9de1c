package pagestore

import (
	"errors"
	"fmt"
	"io/fs"
	"syscall"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/platen-scan/platen/proto/problem"
)

// Errors besides *problem.Error, which is returned where a client caused it.
var (
	// ErrStorage is in every error of the disk or the index.
	ErrStorage error = &storageFailed{}
	// ErrPageFailed tells a reader that the page it follows is no page after all.
	ErrPageFailed = errors.New("page was aborted")
	// ErrBadPage is returned by Commit for bytes that are no whole image.
	ErrBadPage = errors.New("page is not a whole image")
	// ErrClosed is returned once the store is closed.
	ErrClosed = errors.New("page store is closed")
)

// storageFailed is ErrStorage with what a client is told of it. It is no *problem.Error:
// nobody is refused because a disk fails.
type storageFailed struct{ why string }

func (*storageFailed) Error() string { return "page storage failed" }

func (*storageFailed) Is(target error) bool { return target == ErrStorage }

// Problem is what the API answers.
func (f *storageFailed) Problem() *problem.Error {
	return &problem.Error{Code: problem.StorageFailed, Detail: f.why}
}

// whyFailed says in words what is wrong with the disk; "" where that is not known.
func whyFailed(err error) string {
	is := func(code int, errs ...error) bool {
		var s *sqlite.Error
		for _, e := range errs {
			if errors.Is(err, e) {
				return true
			}
		}
		return errors.As(err, &s) && s.Code()&0xff == code
	}
	switch {
	case is(sqlite3.SQLITE_READONLY, syscall.EROFS):
		return "Its disk is read-only at present."
	case is(sqlite3.SQLITE_PERM, fs.ErrPermission):
		return "Platen may not write to its data folder there."
	case is(sqlite3.SQLITE_CANTOPEN, fs.ErrNotExist, syscall.ESTALE, syscall.ENODEV, syscall.ENXIO):
		return "Platen's data folder there, or its disk, is gone."
	case is(sqlite3.SQLITE_IOERR, syscall.EIO):
		return "Its disk reports an error."
	}
	return ""
}

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
	return fmt.Errorf("%s: %w: %w", doing, &storageFailed{whyFailed(err)}, err)
}

func diskFull(err error) bool {
	var s *sqlite.Error
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) ||
		errors.As(err, &s) && s.Code()&0xff == sqlite3.SQLITE_FULL
}
