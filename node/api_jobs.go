package node

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	maxName      = 200 // characters
	minKeyLength = 16
	maxKeyLength = 128
)

func (n *Node) createJob(w http.ResponseWriter, r *http.Request) error {
	d, err := n.scannerOf(r)
	if err != nil {
		return err
	}
	key, err := idempotencyKey(r)
	if err != nil {
		return err
	}
	var request scan.JobRequest
	if err := access.ReadJSON(r, &request); err != nil {
		return err
	}
	if utf8.RuneCountInString(request.Name) > maxName {
		return problem.New(problem.BadRequest, "A name has at most %d characters.", maxName).At("name")
	}
	if request.Document != "" {
		if _, kind, err := scan.ParseID(request.Document); err != nil || kind != scan.KindDocument {
			return problem.BadID.Error().At("document")
		}
	}
	if err := n.checkRecipient(r, request.Recipient); err != nil {
		return err
	}
	canonical, err := json.Marshal(request) // the same request in other spellings is the same
	if err != nil {
		return fmt.Errorf("encoding a job request: %w", err)
	}
	order := pagestore.NewJob{
		Scanner: d.id, Owner: access.CallerOf(r.Context()).Subject, Name: request.Name, Document: request.Document,
		Settings: request.Settings, Recipient: request.Recipient, Key: key, BodyHash: sha256.Sum256(canonical),
	}
	job, err := n.submitLicensed(r, d, order)
	if err != nil {
		return err
	}
	access.Note(r.Context(), job.ID, fmt.Sprintf("scanner %s, %s, %d dpi", job.Scanner, job.Settings.Source, job.Settings.Resolution))
	w.Header().Set("Location", "/api/v1/jobs/"+job.ID)
	return access.WriteJSON(w, http.StatusCreated, job)
}

// idempotencyKey is the request's, checked.
func idempotencyKey(r *http.Request) (string, error) {
	const name = "Idempotency-Key"
	values := r.Header.Values(name)
	if len(values) == 0 {
		return "", problem.IdempotencyKeyMissing.Error()
	}
	key := values[0]
	printable := !strings.ContainsFunc(key, func(c rune) bool { return c < '!' || c > '~' })
	if len(values) > 1 || len(key) < minKeyLength || len(key) > maxKeyLength || !printable {
		return "", problem.New(problem.BadRequest, "The key is %d to %d printable characters without blanks.", minKeyLength, maxKeyLength).At(name)
	}
	return key, nil
}

// submit resolves the order's settings and queues it. A key that has made a job gives
// that job, whatever the scanner has come to meanwhile.
func (d *device) submit(ctx context.Context, order pagestore.NewJob) (scan.Job, error) {
	job, err := d.submitNew(ctx, order)
	if err == nil || ctx.Err() != nil {
		return job, err
	}
	was, found, lookErr := d.submitted(ctx, order)
	if lookErr != nil {
		return scan.Job{}, lookErr
	}
	if !found {
		return scan.Job{}, err
	}
	return was, nil
}

func (d *device) submitNew(ctx context.Context, order pagestore.NewJob) (scan.Job, error) {
	caps, err := d.learn(ctx)
	if err != nil {
		return scan.Job{}, err
	}
	settings, err := caps.Resolve(order.Settings)
	var wrong *scan.SettingsError
	if errors.As(err, &wrong) {
		return scan.Job{}, problem.New(problem.SettingsUnsupported, "%s", wrong.Reason).At("settings." + wrong.Field)
	}
	if err != nil {
		return scan.Job{}, fmt.Errorf("resolving settings: %w", err)
	}
	order.Settings = settings
	if err := d.room(ctx, settings); err != nil {
		return scan.Job{}, err
	}
	return d.enqueue(ctx, order)
}

// submitted looks up what the order's key has made before.
func (d *device) submitted(ctx context.Context, order pagestore.NewJob) (job scan.Job, found bool, err error) {
	job, found, err = d.node.store.Submitted(ctx, order)
	d.overlay(&job, order.Owner)
	return job, found, err
}

func (n *Node) listJobs(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	q := r.URL.Query()
	filter := pagestore.JobFilter{Scanner: q.Get("scanner"), State: scan.JobState(q.Get("state"))}
	if q.Has("scanner") {
		if _, kind, err := scan.ParseID(filter.Scanner); err != nil || kind != scan.KindScanner {
			return problem.BadID.Error().At("scanner")
		}
	}
	if q.Has("state") && !slices.Contains(scan.JobStates, filter.State) {
		return problem.New(problem.BadRequest, "A state is one of %v.", scan.JobStates).At("state")
	}
	caller := access.CallerOf(r.Context())
	if !caller.May(api.RoleOperator) {
		filter.Owner = caller.Subject
	}
	jobs, next, err := n.store.Jobs(r.Context(), filter, cursor, limit)
	if err != nil {
		return err
	}
	list := api.JobList{Items: jobs, Next: next}
	if jobs == nil {
		list.Items = []scan.Job{}
	}
	for i := range list.Items {
		n.overlay(&list.Items[i], caller)
	}
	return access.WriteJSON(w, http.StatusOK, list)
}

// overlay adds to a stored job what only its device's actor knows, for the caller.
func (n *Node) overlay(j *scan.Job, c access.Caller) {
	if d := n.device(j.Scanner); d != nil {
		d.overlay(j, c.Subject)
	}
}

// jobOf finds the job in the path, if the caller may see it.
func (n *Node) jobOf(r *http.Request) (job scan.Job, owner string, err error) {
	job, owner, err = n.store.Job(r.Context(), r.PathValue("job"))
	if err != nil {
		return scan.Job{}, "", err
	}
	caller := access.CallerOf(r.Context())
	if !caller.Sees(owner) {
		return scan.Job{}, "", problem.NotFound.Error()
	}
	n.overlay(&job, caller)
	return job, owner, nil
}

func (n *Node) getJob(w http.ResponseWriter, r *http.Request) error {
	job, _, err := n.jobOf(r)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, job)
}

// commandJob is the handler of cancel, resume and finish.
func (n *Node) commandJob(needs scan.Action, f func(*device, *ticket) error) access.Handler {
	return func(w http.ResponseWriter, r *http.Request) error { return n.command(w, r, needs, f) }
}

// command lets f do something to the job in the path and answers with the job. What
// feeds paper needs permission to scan still; what only ends a job needs "", none.
func (n *Node) command(w http.ResponseWriter, r *http.Request, needs scan.Action, f func(*device, *ticket) error) error {
	job, _, err := n.jobOf(r)
	if err != nil {
		return err
	}
	if needs != "" && !n.guard.Permits(r.Context(), access.CallerOf(r.Context()), job.Scanner, needs) {
		return problem.PermissionDenied.Error()
	}
	d := n.device(job.Scanner)
	if d == nil || job.State.Terminal() {
		return problem.New(problem.JobWrongState, "The scan is %s.", job.State)
	}
	// A client that goes away in between has still said what it wants.
	job, err = d.command(context.WithoutCancel(r.Context()), job.ID, func(t *ticket) error { return f(d, t) })
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, job)
}

func (n *Node) deleteJob(w http.ResponseWriter, r *http.Request) error {
	job, owner, err := n.jobOf(r)
	if err != nil {
		return err
	}
	if err := n.store.DeleteJob(r.Context(), job.ID); err != nil {
		return err
	}
	if job.Pages > 0 {
		if doc, _, err := n.store.Document(r.Context(), job.Document); err == nil {
			n.announceDocument(doc, owner)
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
