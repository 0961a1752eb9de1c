package pagestore

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const jobColumns = `id, scanner, document, name, state, reasons, settings, pages, created, started, ended, deadline, recipient, owner, seq, license`

// jobRow is a job with what only the store knows.
type jobRow struct {
	scan.Job
	owner   string
	seq     int64
	license *License // nil: it needs none
}

func (s *Store) scanJob(row func(dest ...any) error) (jobRow, error) {
	var j jobRow
	var reasons, settings, license []byte
	var created, started, ended, deadline int64
	err := row(&j.ID, &j.Scanner, &j.Document, &j.Name, (*string)(&j.State), &reasons, &settings,
		&j.Pages, &created, &started, &ended, &deadline, &j.Recipient, &j.owner, &j.seq, &license)
	if err != nil {
		return jobRow{}, err
	}
	j.Node = s.cfg.NodeID
	j.Created, j.Started, j.Ended, j.Deadline = at(created), at(started), at(ended), at(deadline)
	if err := json.Unmarshal(reasons, &j.Reasons); err != nil {
		return jobRow{}, fmt.Errorf("reasons of job %s: %w", j.ID, err)
	}
	if err := json.Unmarshal(settings, &j.Settings); err != nil {
		return jobRow{}, fmt.Errorf("settings of job %s: %w", j.ID, err)
	}
	if len(license) > 0 {
		if err := json.Unmarshal(license, &j.license); err != nil {
			return jobRow{}, fmt.Errorf("licence of job %s: %w", j.ID, err)
		}
	}
	return j, nil
}

func (s *Store) loadJob(v view, id string) (jobRow, error) {
	j, err := s.scanJob(func(dest ...any) error {
		return v.get("SELECT "+jobColumns+" FROM jobs WHERE id = ?", []any{id}, dest...)
	})
	if errors.Is(err, sql.ErrNoRows) {
		return jobRow{}, problem.NotFound.Error()
	}
	return j, err
}

// withGrowing fills in what is not in the index: the page under way.
func (s *Store) withGrowing(j scan.Job) scan.Job {
	s.mu.Lock()
	g := s.growing[j.ID]
	s.mu.Unlock()
	j.Growing = 0
	if g != nil && g.number > j.Pages { // else it has just been committed
		j.Growing = g.number
	}
	return j
}

// Job returns a job and its owner. Position is not the store's to know; it is 0.
func (s *Store) Job(ctx context.Context, id string) (job scan.Job, owner string, err error) {
	j, err := s.loadJob(s.index.view(ctx), id)
	if err != nil {
		return scan.Job{}, "", readError(ctx, "reading a job", err)
	}
	return s.withGrowing(j.Job), j.owner, nil
}

// ReleaseCode returns the code that the job was created with, empty for none and once
// a device has worked on it. No Job that the store returns has it: it is its owner's.
func (s *Store) ReleaseCode(ctx context.Context, id string) (code string, err error) {
	err = s.index.view(ctx).get("SELECT release_code FROM jobs WHERE id = ?", []any{id}, &code)
	if errors.Is(err, sql.ErrNoRows) {
		return "", problem.NotFound.Error()
	}
	if err != nil {
		return "", readError(ctx, "reading a job", err)
	}
	return code, nil
}

// UpdateJob lets change see and alter the job in one transaction. ID, Scanner,
// Node, Document, Pages, Growing, Position, Created and Recipient are the store's and
// keep their values. A job that ends without Ended gets the present time. change must
// not call the store; its error undoes everything and is returned as it is.
func (s *Store) UpdateJob(ctx context.Context, id string, change func(*scan.Job) error) (scan.Job, error) {
	var job scan.Job
	var refused error
	_, err := s.index.write(ctx, func(t *tx) error {
		was, err := s.loadJob(t.view, id)
		if err != nil {
			return err
		}
		job = s.withGrowing(was.Job)
		job.Reasons = slices.Clone(job.Reasons)
		if refused = change(&job); refused != nil {
			return refused
		}
		job = s.ownFields(job, was.Job)
		return storeJob(t, was.Job, job)
	})
	switch {
	case refused != nil:
		return scan.Job{}, refused
	case err != nil:
		return scan.Job{}, s.writeError(ctx, "changing a job", err)
	}
	return s.withGrowing(job), nil
}

// ownFields puts back what a caller of UpdateJob may not change.
func (s *Store) ownFields(job, was scan.Job) scan.Job {
	job.ID, job.Scanner, job.Node, job.Document = was.ID, was.Scanner, was.Node, was.Document
	job.Pages, job.Created, job.Recipient, job.Growing, job.Position = was.Pages, was.Created, was.Recipient, 0, 0
	if job.State.Terminal() && job.Ended.IsZero() {
		job.Ended = s.now()
	}
	return job
}

// storeJob writes what differs; nothing differs, nothing is written.
func storeJob(t *tx, was, job scan.Job) error {
	reasons, settings, err := jobJSON(job)
	if err != nil {
		return err
	}
	oldReasons, oldSettings, err := jobJSON(was)
	if err != nil {
		return err
	}
	if reasons == oldReasons && settings == oldSettings && job.Name == was.Name && job.State == was.State &&
		ms(job.Started) == ms(was.Started) && ms(job.Ended) == ms(was.Ended) && ms(job.Deadline) == ms(was.Deadline) {
		return nil
	}
	_, err = t.exec(`UPDATE jobs SET name = ?1, state = ?2, reasons = ?3, settings = ?4, started = ?5, ended = ?6, deadline = ?7,
		release_code = CASE WHEN ?2 IN ('pending', 'pending-held') THEN release_code ELSE '' END WHERE id = ?8`,
		job.Name, string(job.State), reasons, settings, ms(job.Started), ms(job.Ended), ms(job.Deadline), job.ID)
	return err
}

func jobJSON(j scan.Job) (reasons, settings string, err error) {
	if len(j.Reasons) == 0 {
		j.Reasons = []scan.Reason{}
	}
	r, err := json.Marshal(j.Reasons)
	if err != nil {
		return "", "", err
	}
	s, err := json.Marshal(j.Settings)
	return string(r), string(s), err
}

// DeleteJob forgets a job that has ended, wipes its pages and takes them out of
// every document. Its meter rows stay. The job's document goes with it if nothing
// else is or can come to be in it. Problem job-wrong-state before the job's end.
func (s *Store) DeleteJob(ctx context.Context, id string) error {
	err := s.write(ctx, "deleting a job", func(t *tx) error {
		j, err := s.loadJob(t.view, id)
		if err != nil {
			return err
		}
		if !j.State.Terminal() || s.growingPage(id) != nil {
			return problem.New(problem.JobWrongState, "The scan is %s.", j.State)
		}
		return s.forgetJob(t, j)
	})
	if err != nil {
		return err
	}
	s.removeJobFiles(id)
	return nil
}

// forgetJob removes a job's rows; its files are removed once that is durable.
func (s *Store) forgetJob(t *tx, j jobRow) error {
	if err := s.unplaceAll(t, j.ID); err != nil {
		return err
	}
	for _, q := range []string{
		"DELETE FROM pages WHERE job = ?",
		"DELETE FROM jobs WHERE id = ?",
	} {
		if _, err := t.exec(q, j.ID); err != nil {
			return err
		}
	}
	_, err := t.exec(`DELETE FROM documents WHERE id = ?1
		AND NOT EXISTS (SELECT 1 FROM document_pages WHERE document = ?1)
		AND NOT EXISTS (SELECT 1 FROM jobs WHERE document = ?1)`, j.Document)
	return err
}

// removeJobFiles removes the folder of a job whose rows are gone. What is left
// behind by a failure has no row and goes at the next start.
func (s *Store) removeJobFiles(job string) {
	s.renditions.drop(job, "")
	if err := s.disk.removeAll(job); err != nil {
		s.log.Warn("removing page files failed", "job", job, "error", err)
	}
}

// readError names a failed read; a client's own impatience and problems pass.
func readError(ctx context.Context, doing string, err error) error {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	return storageError(doing, err)
}
