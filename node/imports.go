package node

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"mime"
	"net/http"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	maxImport         = 64 << 20 // bytes of a file
	importDriver      = "pdf"
	importDevice      = "import" // what the identifier of its device is derived from
	defaultResolution = 200
	importsAtOnce     = 2 // files that are looked at before they are queued
)

// Imports make pages of files that people hand in.
type Imports struct {
	Dir     string          // where files lie until their pages are made
	Workers *driver.Workers // with the driver pdf
}

// imports is a device whose paper are files: one queue, a worker process for each.
type imports struct {
	node    *Node
	dir     string
	workers workers
	looking chan struct{} // slots
}

func newImports(n *Node, c *Imports) (*imports, error) {
	if c == nil {
		return nil, nil
	}
	if err := os.MkdirAll(c.Dir, 0o700); err != nil {
		return nil, fmt.Errorf("making the folder of imports: %w", err)
	}
	return &imports{node: n, dir: c.Dir, workers: processes{c.Workers}, looking: make(chan struct{}, importsAtOnce)}, nil
}

// device is the actor that makes the pages.
func (m *imports) device() *device { return m.node.ensureDevice(m.id()) }

func (m *imports) id() string {
	return scan.DerivedID(m.node.id, scan.KindScanner, importDriver+"/"+importDevice)
}

// info names the file of a job to the driver.
func (m *imports) info(job string) driver.DeviceInfo {
	return driver.DeviceInfo{Driver: importDriver, Name: m.file(job), Stable: job, Title: "the PDF file"}
}

func (m *imports) file(job string) string { return filepath.Join(m.dir, job+".pdf") }

// forget deletes the file of a job that has ended.
func (m *imports) forget(job string) {
	if err := os.Remove(m.file(job)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		m.node.log.Warn("deleting an imported file", "job", job, "error", err)
	}
}

// recover deletes files that no job waits for: what a crash left.
func (m *imports) recover(ctx context.Context) error {
	if m == nil {
		return nil
	}
	entries, err := os.ReadDir(m.dir)
	if err != nil {
		return fmt.Errorf("looking at imported files: %w", err)
	}
	d := m.device()
	return d.do(ctx, func() {
		for _, e := range entries {
			if job, ok := strings.CutSuffix(e.Name(), ".pdf"); e.Type().IsRegular() && (!ok || d.ticketOf(job) == nil) {
				os.Remove(filepath.Join(m.dir, e.Name()))
			}
		}
	})
}

// importFile queues a file whose pages are to be made.
func (n *Node) importFile(w http.ResponseWriter, r *http.Request) error {
	if err := n.licensed(r, license.PDFRasterizer); err != nil {
		return err
	}
	if n.imports == nil {
		return problem.New(problem.ModuleMissing, "This node does not import files.")
	}
	order, err := n.importOrder(r)
	if err != nil {
		return err
	}
	job, err := n.imports.take(r, order)
	if err != nil {
		return err
	}
	access.Note(r.Context(), job.ID, fmt.Sprintf("%d pages, %d dpi", job.Settings.Pages, job.Settings.Resolution))
	w.Header().Set("Location", "/api/v1/jobs/"+job.ID)
	return access.WriteJSON(w, http.StatusCreated, job)
}

// importOrder is what the request says, apart from the file.
func (n *Node) importOrder(r *http.Request) (order pagestore.NewJob, err error) {
	key, err := idempotencyKey(r)
	if err != nil {
		return order, err
	}
	if kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil || kind != "application/pdf" {
		return order, problem.New(problem.MediaTypeWrong, "Send application/pdf.")
	}
	if err := n.checkRecipient(r, ""); err != nil {
		return order, err
	}
	q := r.URL.Query()
	order = pagestore.NewJob{
		ID: scan.NewID(n.id, scan.KindJob), Scanner: n.imports.id(), Owner: access.CallerOf(r.Context()).Subject, Key: key,
		Name: q.Get("name"), Document: q.Get("document"),
		Settings: scan.Settings{Source: scan.SourceADF, Resolution: defaultResolution},
	}
	if utf8.RuneCountInString(order.Name) > maxName {
		return order, problem.New(problem.BadRequest, "A name has at most %d characters.", maxName).At("name")
	}
	if order.Document != "" {
		if _, kind, err := scan.ParseID(order.Document); err != nil || kind != scan.KindDocument {
			return order, problem.BadID.Error().At("document")
		}
	}
	if node := q.Get("node"); node != "" && node != n.id {
		return order, problem.New(problem.BadRequest, "It is another node's.").At("node")
	}
	if text := q.Get("resolution"); text != "" {
		if order.Settings.Resolution, err = strconv.Atoi(text); err != nil {
			return order, problem.New(problem.BadRequest, "It is a number of dots per inch.").At("resolution")
		}
	}
	if text := q.Get("mode"); text != "" {
		if err := order.Settings.Mode.UnmarshalText([]byte(text)); err != nil {
			return order, problem.New(problem.BadRequest, "It is color, gray or lineart.").At("mode")
		}
	}
	return order, nil
}

// take stores the file, has a worker look at it and queues it.
func (m *imports) take(r *http.Request, order pagestore.NewJob) (job scan.Job, err error) {
	ctx, d := r.Context(), m.device()
	defer func() {
		if job.ID != order.ID { // refused, or made before
			m.forget(order.ID)
		}
	}()
	digest, err := m.store(r.Body, order.ID)
	if err != nil {
		return scan.Job{}, err
	}
	said, err := json.Marshal([]any{order.Name, order.Document, order.Settings})
	if err != nil {
		return scan.Job{}, fmt.Errorf("encoding an import: %w", err)
	}
	order.BodyHash = sha256.Sum256(append(said, digest...))
	if was, found, err := d.submitted(ctx, order); err != nil || found {
		return was, err
	}
	caps, err := m.look(ctx, order.ID)
	if err != nil {
		return scan.Job{}, err
	}
	settings, err := caps.Resolve(order.Settings)
	var wrong *scan.SettingsError
	switch {
	case errors.As(err, &wrong):
		return scan.Job{}, problem.New(problem.SettingsUnsupported, "%s", wrong.Reason).At(wrong.Field)
	case err != nil:
		return scan.Job{}, fmt.Errorf("resolving settings: %w", err)
	}
	if src, ok := caps.Source(settings.Source); ok && src.Feeder != nil {
		settings.Pages = src.Feeder.Capacity
	}
	order.Settings = settings
	if err := d.room(ctx, settings); err != nil {
		return scan.Job{}, err
	}
	return d.enqueue(ctx, order)
}

// store makes the file durable and answers its digest.
func (m *imports) store(body io.Reader, job string) (digest []byte, err error) {
	f, err := os.OpenFile(m.file(job), os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return nil, fmt.Errorf("storing an imported file: %w", err)
	}
	hash := sha256.New()
	_, err = io.Copy(io.MultiWriter(f, hash), body)
	var limit *http.MaxBytesError
	if errors.As(err, &limit) {
		err = problem.New(problem.BodyTooLarge, "A file may have %d MiB.", limit.Limit>>20)
	}
	return hash.Sum(nil), cmp.Or(err, f.Sync(), f.Close(), syncFolder(m.dir))
}

func syncFolder(path string) error {
	dir, err := os.Open(path)
	if err != nil {
		return err
	}
	defer dir.Close()
	return dir.Sync()
}

// look has a worker open the file: what cannot be read is refused before it is queued.
func (m *imports) look(ctx context.Context, job string) (*scan.Capabilities, error) {
	select {
	case m.looking <- struct{}{}:
		defer func() { <-m.looking }()
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	w, err := m.workers.Open(ctx, m.info(job))
	if err != nil {
		return nil, unreadableFile(err)
	}
	defer w.Close()
	caps, err := w.Capabilities(ctx)
	if err != nil {
		return nil, unreadableFile(err)
	}
	return &caps, nil
}

// unreadableFile makes words of what a worker could not open.
func unreadableFile(err error) error {
	var stop *driver.Stop
	var missing *driver.Missing
	switch {
	case errors.As(err, &stop):
		return problem.New(problem.FileDamaged, "%s", stop.Detail)
	case errors.As(err, &missing):
		return problem.New(problem.ModuleMissing, "%s", missing.Hint)
	case errors.Is(err, driver.ErrWorker):
		return problem.New(problem.FileDamaged, "It takes more memory or time than a file may.")
	}
	return err
}
