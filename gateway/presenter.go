package gateway

import (
	"context"
	"fmt"
	"net/http"
	"sync"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

// judgePresenter refuses a node what was made at a scanner that it may not use, or may not
// use any more. The guard has judged paths that name a scanner, and the owner says to whom
// a job belongs: here it is about the scanner of a job, and of a document's pages.
func (g *Gateway) judgePresenter(r *http.Request, owner *node) error {
	ctx := relay.WithControl(r.Context())
	caller := access.CallerOf(ctx)
	var jobs []string
	if id := r.PathValue("job"); id != "" {
		jobs = []string{id}
	} else if id := r.PathValue("document"); id != "" {
		var d struct {
			Pages []struct {
				Job string `json:"job"`
			} `json:"pages"`
		}
		if err := g.look(ctx, owner, caller, v1+"/documents/"+id, &d); err != nil {
			return err
		}
		for _, p := range d.Pages {
			jobs = append(jobs, p.Job)
		}
	}
	judged := map[string]bool{}
	for _, job := range jobs {
		if judged[job] {
			continue
		}
		judged[job] = true
		scanner, err := g.scannerOf(ctx, owner, caller, job)
		if err != nil {
			return err
		}
		if !g.guard.Permits(ctx, caller, scanner, scan.See) {
			return problem.NotFound.Error()
		}
	}
	return nil
}

// scannerOf is the scanner of a job, which never changes.
func (g *Gateway) scannerOf(ctx context.Context, owner *node, caller access.Caller, job string) (string, error) {
	if scanner, ok := g.madeAt.get(job); ok {
		return scanner, nil
	}
	var j struct {
		ID      string `json:"id"`
		Scanner string `json:"scanner"`
	}
	if err := g.look(ctx, owner, caller, v1+"/jobs/"+job, &j); err != nil {
		return "", err
	}
	if j.ID != job || !owner.owns(j.Scanner) {
		return "", fmt.Errorf("node %s does not say which of its scanners a job is of", owner.id)
	}
	g.madeAt.put(job, j.Scanner)
	return j.Scanner, nil
}

// maxJobsKnown bounds the memory of scannersOfJobs. When it is full it begins anew.
const maxJobsKnown = 4096

// scannersOfJobs remembers which scanner a job is of, so that a node's page does not cost
// two requests.
type scannersOfJobs struct {
	mu   sync.Mutex
	jobs map[string]string
}

func newScannersOfJobs() *scannersOfJobs { return &scannersOfJobs{jobs: map[string]string{}} }

func (s *scannersOfJobs) get(job string) (scanner string, ok bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	scanner, ok = s.jobs[job]
	return scanner, ok
}

func (s *scannersOfJobs) put(job, scanner string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.jobs) >= maxJobsKnown {
		clear(s.jobs)
	}
	s.jobs[job] = scanner
}
