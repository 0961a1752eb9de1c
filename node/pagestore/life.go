package pagestore

import (
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// How long things are kept.
const (
	keepAfterJob = 24 * time.Hour     // pages, from the end of their job
	keepAtMost   = 7 * 24 * time.Hour // pages nobody acknowledged, from their commit; jobs, from their end
	keepForUndo  = 10 * time.Minute   // pages that their owner took out or deleted
	keepFetched  = 120 * time.Second  // pages of an eSCL client, from their last transfer (Ack)
	ownerESCL    = "escl:"            // begins the owner of an eSCL client's jobs
)

// pageLife is what the end of a page depends on.
type pageLife struct {
	owner     string
	jobEnded  scan.Time // zero: it has not
	committed scan.Time
	delivered scan.Time // zero: not acknowledged
	unplaced  scan.Time // zero: its owner did not take it out
	discarded bool      // its owner deleted the document
	placed    bool      // a document refers to it
}

// end is when the page is wiped; zero while that is open. A page lives while a
// document refers to it, or until its owner acknowledged it, or 24 hours after its
// job, whichever is last, but never longer than seven days. Who took a page out
// waits for no acknowledgement, only for the chance to take that back.
func (l pageLife) end() scan.Time {
	if l.jobEnded.IsZero() {
		return scan.Time{}
	}
	limit := l.committed.Add(keepAtMost)
	end := limit
	switch {
	case strings.HasPrefix(l.owner, ownerESCL) && !l.delivered.IsZero():
		end = l.delivered.Add(keepFetched)
	case l.placed:
	case l.discarded:
		end = l.unplaced.Add(keepForUndo)
	case !l.unplaced.IsZero():
		end = later(l.unplaced.Add(keepForUndo), l.jobEnded.Add(keepAfterJob))
	case !l.delivered.IsZero():
		end = later(l.delivered.Time, l.jobEnded.Add(keepAfterJob))
	}
	return scan.At(earlier(end, limit))
}

// documentLife is what the end of a document depends on.
type documentLife struct {
	updated     scan.Time
	ended       scan.Time // of the last job in it or into it
	youngest    scan.Time // commit of its last page
	pages       bool      // there are any
	undelivered bool      // one of them was not acknowledged
	open        bool      // one of the jobs has not ended
}

// end is when the document is deleted; zero while that is open. It goes a day after
// the last change once everything in it was acknowledged, and with its last page
// at the latest.
func (l documentLife) end() scan.Time {
	if l.open {
		return scan.Time{}
	}
	end := later(l.updated.Time, l.ended.Time).Add(keepAfterJob)
	if l.pages {
		limit := l.youngest.Add(keepAtMost)
		if l.undelivered {
			end = limit
		}
		end = earlier(end, limit)
	}
	return scan.At(end)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}
