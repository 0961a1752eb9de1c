package pagestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"slices"
	"strings"

	"github.com/platen-scan/platen/proto/scan"
)

// Recovery is what Open found and put right.
type Recovery struct {
	Clean      bool        // the last process closed the store in order
	Unfinished []scan.Job  // jobs that have not ended, in the order they were created
	Lost       []scan.Page // pages whose bytes are missing; they stay listed, as lost
	Discarded  int         // files of pages that were never committed
	Orphans    int         // files that no page has
}

// recover brings index and files together. What the last process had under way is
// no page; a job that held a device waits for a person, because paper is not fed by
// itself after a restart.
func (s *Store) recover(ctx context.Context) (Recovery, error) {
	var r Recovery
	pages := map[string]pageRow{} // by file name
	_, err := s.index.write(ctx, func(t *tx) error {
		if err := s.beginEpoch(t, &r); err != nil {
			return err
		}
		return t.each("SELECT "+pageColumns+" FROM pages p WHERE p.state <> 'wiped'", nil, func(row func(...any) error) error {
			p, err := scanPage(row)
			pages[pageFile(p.Page)] = p
			return err
		})
	})
	if err != nil {
		return r, err
	}
	sizes, err := s.tidySpool(pages, &r)
	if err != nil {
		return r, err
	}
	_, err = s.index.write(ctx, func(t *tx) error {
		for name, p := range pages {
			size, there := sizes[name]
			if p.State == scan.PageLost || there && size == p.Bytes {
				continue
			}
			if err := s.markLost(t, p.Page, missing(there)); err != nil {
				return err
			}
			p.State = scan.PageLost
			r.Lost = append(r.Lost, p.Page)
		}
		return s.interruptJobs(t, &r)
	})
	return r, err
}

func missing(there bool) error {
	if there {
		return errors.New("the file has another size")
	}
	return errors.New("the file is missing")
}

// beginEpoch notes that this process has the store. After an unclean end every page
// is to be checked again before it is trusted.
func (s *Store) beginEpoch(t *tx, r *Recovery) error {
	if err := t.get("SELECT value FROM meta WHERE key = 'clean'", nil, &r.Clean); err != nil {
		return err
	}
	if _, err := t.exec("UPDATE meta SET value = 0 WHERE key = 'clean'"); err != nil {
		return err
	}
	if !r.Clean {
		if _, err := t.exec("UPDATE meta SET value = value + 1 WHERE key = 'epoch'"); err != nil {
			return err
		}
	}
	return t.get("SELECT value FROM meta WHERE key = 'epoch'", nil, &s.epoch)
}

// tidySpool removes what belongs to no page and returns the sizes of the rest.
// Names that are not of this package's making are left alone.
func (s *Store) tidySpool(pages map[string]pageRow, r *Recovery) (sizes map[string]int64, err error) {
	sizes = make(map[string]int64, len(pages))
	root := s.disk.root.FS()
	jobs, err := fs.ReadDir(root, ".")
	if err != nil {
		return nil, err
	}
	for _, dir := range jobs {
		if strings.HasSuffix(dir.Name(), partSuffix) { // of Room's probe
			if err := s.disk.remove(dir.Name()); err != nil {
				return nil, err
			}
			continue
		}
		if _, kind, err := scan.ParseID(dir.Name()); err != nil || kind != scan.KindJob || !dir.IsDir() {
			s.log.Warn("the spool folder holds something that is not Platen's", "name", dir.Name())
			continue
		}
		files, err := fs.ReadDir(root, dir.Name())
		if err != nil {
			return nil, err
		}
		left := 0
		for _, file := range files {
			keep, err := s.tidyFile(dir.Name()+"/"+file.Name(), file, pages, sizes, r)
			if err != nil {
				return nil, err
			}
			if keep {
				left++
			}
		}
		if left == 0 {
			if err := s.disk.remove(dir.Name()); err != nil {
				return nil, err
			}
		}
	}
	return sizes, nil
}

func (s *Store) tidyFile(name string, file fs.DirEntry, pages map[string]pageRow, sizes map[string]int64, r *Recovery) (keep bool, err error) {
	if _, ours := pages[name]; ours && file.Type().IsRegular() {
		fi, err := file.Info()
		if err != nil {
			return false, err
		}
		sizes[name] = fi.Size()
		return true, nil
	}
	id, rest, _ := strings.Cut(file.Name(), ".")
	if _, kind, err := scan.ParseID(id); err != nil || kind != scan.KindPage || file.IsDir() {
		s.log.Warn("a job's folder holds something that is not Platen's", "name", name)
		return true, nil
	}
	switch {
	case "."+rest == partSuffix:
		r.Discarded++
	case !strings.HasPrefix("."+rest, renditionMark):
		r.Orphans++
	}
	return false, s.disk.remove(name)
}

// interruptJobs stops the jobs that were under way and lists all that go on.
func (s *Store) interruptJobs(t *tx, r *Recovery) error {
	var jobs []jobRow
	err := t.each("SELECT "+jobColumns+" FROM jobs WHERE state NOT IN "+terminalStates+" ORDER BY seq", nil, func(row func(...any) error) error {
		j, err := s.scanJob(row)
		jobs = append(jobs, j)
		return err
	})
	if err != nil {
		return err
	}
	for _, was := range jobs {
		job := was.Job
		if next, ok := job.State.Next(scan.EventInterrupt, job.Pages); ok {
			job.State = next.To
			job.Deadline = scan.At(s.now().Add(next.Timer))
			job.Reasons = []scan.Reason{scan.ReasonInterrupted}
			if slices.Contains(was.Reasons, scan.ReasonPagesLost) {
				job.Reasons = append(job.Reasons, scan.ReasonPagesLost)
			}
			if err := storeJob(t, was.Job, job); err != nil {
				return fmt.Errorf("interrupting job %s: %w", job.ID, err)
			}
		}
		r.Unfinished = append(r.Unfinished, job)
	}
	return nil
}
