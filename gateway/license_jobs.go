package gateway

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
)

const (
	scannedUnderKey = "licensed."        // and the job's ID
	scannedFor      = 8 * 24 * time.Hour // pages live for seven days at most
	writeLimit      = 5 * time.Second
)

// jobLicenses remember under which licence a job was let begin, so that its node cannot
// say later that its pages needed none or were counted long ago. Other gateways on the same
// state read it too.
type jobLicenses struct {
	records access.Records
	now     func() time.Time
	log     *slog.Logger

	mu   sync.Mutex
	jobs map[string]jobLicense // the records have the rest
}

// jobLicense is what a job was let begin under.
type jobLicense struct {
	Item string `json:"item"`
	// After is how many pages of the node were counted before: its own have higher numbers.
	After int64 `json:"after"`
}

// put notes the licence of a job that was just made.
func (l *jobLicenses) put(ctx context.Context, job string, under license.Permit, after int64) {
	made := jobLicense{itemOf(under), after}
	if made.Item == "" {
		return
	}
	l.remember(job, made)
	value, _ := json.Marshal(made) // a text and a number
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), writeLimit)
	defer cancel()
	_, err := l.records.Create(ctx, scannedUnderKey+job, value, l.now().Add(scannedFor))
	if err != nil && !errors.Is(err, access.ErrConflict) { // a repetition of the request made the same job
		l.log.Warn("a job's licence is known in this process only", "job", job, "error", err)
	}
}

// get is the licence of a job; zero if it was made under none, or by a node itself.
func (l *jobLicenses) get(ctx context.Context, job string) (made jobLicense, err error) {
	l.mu.Lock()
	made, ok := l.jobs[job]
	l.mu.Unlock()
	if ok {
		return made, nil
	}
	value, _, err := l.records.Get(ctx, scannedUnderKey+job)
	if errors.Is(err, access.ErrNoRecord) {
		return jobLicense{}, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &made)
	}
	if err != nil {
		return jobLicense{}, fmt.Errorf("reading the licence of a job: %w", err)
	}
	l.remember(job, made)
	return made, nil
}

func (l *jobLicenses) remember(job string, made jobLicense) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.jobs == nil || len(l.jobs) >= maxJobsKnown {
		l.jobs = map[string]jobLicense{}
	}
	l.jobs[job] = made
}
