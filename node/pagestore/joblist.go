package pagestore

import (
	"context"

	"github.com/platen-scan/platen/proto/scan"
)

// JobFilter chooses jobs; an empty field chooses all.
type JobFilter struct {
	Owner   string
	Scanner string
	State   scan.JobState
}

// Jobs lists jobs, newest first. next is the cursor of the following page, empty
// at the end; limit 0 is 50, the most is 200.
func (s *Store) Jobs(ctx context.Context, f JobFilter, after string, limit int) (jobs []scan.Job, next string, err error) {
	c, ok, err := parseCursor(listJobs, after)
	if err != nil {
		return nil, "", err
	}
	limit = limited(limit)
	query, args := "SELECT "+jobColumns+" FROM jobs WHERE 1", []any{}
	where := func(term string, arg any, on bool) {
		if on {
			query, args = query+" AND "+term, append(args, arg)
		}
	}
	where("owner = ?", f.Owner, f.Owner != "")
	where("scanner = ?", f.Scanner, f.Scanner != "")
	where("state = ?", string(f.State), f.State != "")
	where("seq < ?", c.place, ok)
	jobs = []scan.Job{}
	var last int64
	err = s.index.view(ctx).each(query+" ORDER BY seq DESC LIMIT ?", append(args, limit+1), func(row func(...any) error) error {
		if len(jobs) == limit {
			next = cursor{place: last}.encode(listJobs)
			return nil
		}
		j, err := s.scanJob(row)
		last = j.seq
		jobs = append(jobs, s.withGrowing(j.Job))
		return err
	})
	if err != nil {
		return nil, "", readError(ctx, "listing jobs", err)
	}
	return jobs, next, nil
}
