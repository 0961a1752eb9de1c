package pagestore

import (
	"bytes"
	"context"
	"crypto/sha256"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// keyLifetime is how long an idempotency key is remembered at least; it outlives
// its job.
const keyLifetime = 24 * time.Hour

// NewJob describes a job to create.
type NewJob struct {
	ID       string // empty: a new one
	Scanner  string
	Owner    string
	Name     string
	Document string // empty: a new document, named Name
	Settings scan.Settings
	// Recipient is the public key that a gateway gets the job's pages sealed for; empty:
	// none. It never changes.
	Recipient string
	// License is what the job goes under; nil: it needs none. Blocks are added to what the
	// node has. Without a page left of its item there is problem license-pages-used.
	License *License
	Blocks  []Block

	// Begin brings the job, which is pending, to the state in which it begins; nil: it
	// stays pending. Its error is a problem, and there is no job then.
	Begin func(*scan.Job) error
	// ReleaseCode is kept with the job until a device works on it; empty: none.
	ReleaseCode string

	Key      string            // the client's idempotency key; empty: none
	BodyHash [sha256.Size]byte // of the request that Key came with
}

// CreateJob makes a job, with a document for its pages. A Key
// that the owner has used for the scanner before gives the job of that time, as it
// is now, and replayed; with another BodyHash it is problem idempotency-key-reused,
// and not-found if that job was deleted since: one key never scans twice.
func (s *Store) CreateJob(ctx context.Context, n NewJob) (job scan.Job, replayed bool, err error) {
	if err := s.checkNewJob(&n); err != nil {
		return scan.Job{}, false, err
	}
	err = s.write(ctx, "creating a job", func(t *tx) error {
		if n.Key != "" {
			if job, replayed, err = s.replay(t.view, n); err != nil || replayed {
				return err
			}
		}
		job, err = s.insertJob(t, n)
		return err
	})
	if err != nil {
		return scan.Job{}, false, err
	}
	return s.withGrowing(job), replayed, nil
}

// Submitted looks up what Owner has made with Key for Scanner before, with the
// answers of CreateJob and without creating anything. found is false for a new key.
func (s *Store) Submitted(ctx context.Context, n NewJob) (job scan.Job, found bool, err error) {
	job, found, err = s.replay(s.index.view(ctx), n)
	if err != nil {
		return scan.Job{}, false, readError(ctx, "looking up an idempotency key", err)
	}
	return s.withGrowing(job), found, nil
}

func (s *Store) checkNewJob(n *NewJob) error {
	if n.Scanner == "" || n.Owner == "" {
		return errors.New("a job needs a scanner and an owner")
	}
	if n.ID == "" {
		n.ID = scan.NewID(s.cfg.NodeID, scan.KindJob)
		return nil
	}
	prefix, kind, err := scan.ParseID(n.ID)
	if err != nil || kind != scan.KindJob || prefix != scan.Prefix(s.cfg.NodeID) {
		return fmt.Errorf("job ID: %w", scan.ErrBadID)
	}
	return nil
}

// replay finds what the key made before.
func (s *Store) replay(v view, n NewJob) (job scan.Job, found bool, err error) {
	var body []byte
	var id string
	err = v.get("SELECT body, job FROM submissions WHERE owner = ? AND scanner = ? AND key = ?",
		[]any{n.Owner, n.Scanner, n.Key}, &body, &id)
	switch {
	case errors.Is(err, sql.ErrNoRows):
		return scan.Job{}, false, nil
	case err != nil:
		return scan.Job{}, false, err
	case !bytes.Equal(body, n.BodyHash[:]):
		return scan.Job{}, false, problem.IdempotencyKeyReused.Error()
	}
	j, err := s.loadJob(v, id)
	if errors.Is(err, problem.NotFound.Error()) {
		return scan.Job{}, false, problem.New(problem.NotFound, "The scan that this Idempotency-Key started was deleted.")
	}
	return j.Job, err == nil, err
}

func (s *Store) insertJob(t *tx, n NewJob) (scan.Job, error) {
	now := s.now()
	job := scan.Job{
		ID: n.ID, Scanner: n.Scanner, Node: s.cfg.NodeID, Document: n.Document, Name: n.Name,
		State: scan.JobPending, Settings: n.Settings, Created: now, Recipient: n.Recipient,
	}
	if n.Document == "" {
		job.Document = scan.NewID(s.cfg.NodeID, scan.KindDocument)
		if err := insertDocument(t, job.Document, n.Owner, n.Name, now); err != nil {
			return scan.Job{}, err
		}
	} else if err := documentOf(t, n.Document, n.Owner); err != nil {
		return scan.Job{}, err
	}
	if n.Begin != nil {
		if err := n.Begin(&job); err != nil {
			return scan.Job{}, err
		}
	}
	license, err := admit(t, n, now)
	if err != nil {
		return scan.Job{}, err
	}
	reasons, settings, err := jobJSON(job)
	if err != nil {
		return scan.Job{}, err
	}
	if _, err := t.exec(`INSERT INTO jobs (id, scanner, owner, document, name, state, reasons, settings, created, deadline, release_code, recipient, license)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
		job.ID, job.Scanner, n.Owner, job.Document, job.Name, string(job.State), reasons, settings, ms(now), ms(job.Deadline), n.ReleaseCode, job.Recipient, license); err != nil {
		return scan.Job{}, err
	}
	if n.Key == "" {
		return job, nil
	}
	_, err = t.exec("INSERT INTO submissions (owner, scanner, key, body, job, created) VALUES (?, ?, ?, ?, ?, ?)",
		n.Owner, n.Scanner, n.Key, n.BodyHash[:], job.ID, ms(now))
	return job, err
}

// documentOf refuses a document that is not there or not the owner's.
func documentOf(t *tx, id, owner string) error {
	var have string
	err := t.get("SELECT owner FROM documents WHERE id = ?", []any{id}, &have)
	if err == nil && have == owner {
		return nil
	}
	if err == nil || errors.Is(err, sql.ErrNoRows) {
		return problem.New(problem.NotFound, "There is no such document.").At("document")
	}
	return err
}
