package pagestore

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"io"
	"os"
	"slices"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// verify compares a page's bytes with its digest, once for an epoch, however many
// readers come at a time.
func (s *Store) verify(ctx context.Context, p scan.Page, f *os.File) error {
	return s.verifying.do(ctx, p.ID, func() error {
		now, _, err := loadPage(s.index.view(ctx), p.Job, p.N)
		if err != nil || now.epoch >= s.epoch {
			return err
		}
		h := sha256.New()
		if err := copyCtx(ctx, h, io.NewSectionReader(f, 0, p.Bytes)); err != nil {
			return err
		}
		if hex.EncodeToString(h.Sum(nil)) != p.Digest {
			return s.lose(ctx, p, errors.New("the bytes do not have the page's digest"))
		}
		return s.write(ctx, "verifying a page", func(t *tx) error {
			_, err := t.exec("UPDATE pages SET epoch = ? WHERE job = ? AND n = ? AND id = ?", s.epoch, p.Job, p.N, p.ID)
			return err
		})
	})
}

// copyCtx copies until the end, an error or the end of ctx.
func copyCtx(ctx context.Context, dst io.Writer, src io.Reader) error {
	buf := make([]byte, 128<<10)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		n, err := src.Read(buf)
		if _, werr := dst.Write(buf[:n]); werr != nil {
			return werr
		}
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return err
		}
	}
}

// lose marks a page whose bytes are not there any more and returns the problem. A
// page that was wiped or deleted a moment ago is not lost.
func (s *Store) lose(ctx context.Context, p scan.Page, why error) error {
	result := problem.PageLost.Error()
	err := s.write(ctx, "marking a lost page", func(t *tx) error {
		now, _, err := loadPage(t.view, p.Job, p.N)
		switch {
		case err != nil:
			return err
		case now.ID != p.ID || now.State == scan.PageWiped:
			result = problem.PageGone.Error()
			return nil
		}
		return s.markLost(t, p, why)
	})
	if err != nil {
		return err
	}
	return result
}

// markLost changes the page's state and tells its job.
func (s *Store) markLost(t *tx, p scan.Page, why error) error {
	n, err := t.exec("UPDATE pages SET state = ? WHERE job = ? AND n = ? AND state IN ('committed', 'delivered')",
		string(scan.PageLost), p.Job, p.N)
	if err != nil || n == 0 {
		return err
	}
	s.log.Error("a stored page is lost", "job", p.Job, "n", p.N, "page", p.ID, "error", why)
	j, err := s.loadJob(t.view, p.Job)
	if err != nil {
		return err
	}
	if slices.Contains(j.Reasons, scan.ReasonPagesLost) {
		return nil
	}
	told := j.Job
	told.Reasons = append(slices.Clone(j.Reasons), scan.ReasonPagesLost)
	return storeJob(t, j.Job, told)
}
