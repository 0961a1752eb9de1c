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

	// Pages of who does not come back.
	keepFetched   = 120 * time.Second // from their last transfer (Ack)
	keepUnfetched = 10 * time.Minute  // from the end of their job, or the last transfer of one of its pages
)

// ownerESCL begins the owner of an eSCL client's jobs.
const ownerESCL = "escl:"

// ComesBack reports whether the owner of a job may come back for it at any time. An eSCL
// client does not: what it did not fetch while it waited for its scan it never will.
func ComesBack(owner string) bool { return !strings.HasPrefix(owner, ownerESCL) }

// pageLife is what the end of a page depends on.
type pageLife struct {
	owner     string
	jobEnded  scan.Time // zero: it has not
	canceled  bool      // the job was
	fetched   scan.Time // when a page of the job was last acknowledged; only told of who does not come back
	committed scan.Time
	delivered scan.Time // zero: not acknowledged
	unplaced  scan.Time // zero: its owner did not take it out
	discarded bool      // its owner deleted the document
	placed    bool      // a document refers to it
}

// end is when the page is wiped; zero while that is open. A page lives while a
// document refers to it, or until its owner acknowledged it, or 24 hours after its
// job, whichever is last, but never longer than seven days. Who took a page out
// waits for no acknowledgement, only for the chance to take that back. For who does not
// come back a page is kept as long as it can still be asked for: not at all once the job
// is canceled, a little after it was fetched, and while its turn may still come.
func (l pageLife) end() scan.Time {
	if l.jobEnded.IsZero() {
		return scan.Time{}
	}
	limit := l.committed.Add(keepAtMost)
	end := limit
	switch {
	case !ComesBack(l.owner) && l.canceled:
		end = l.jobEnded.Time
	case !ComesBack(l.owner) && !l.delivered.IsZero():
		end = l.delivered.Add(keepFetched)
	case !ComesBack(l.owner):
		end = later(l.jobEnded.Time, l.fetched.Time).Add(keepUnfetched)
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
	delivered   scan.Time // last acknowledgement of one of its pages
	pages       bool      // there are any
	undelivered bool      // one of them was not acknowledged
	open        bool      // one of the jobs has not ended
}

// end is when the document is deleted; zero while that is open. It goes a day after
// the last change or acknowledgement once everything in it was acknowledged, and with
// its last page at the latest.
func (l documentLife) end() scan.Time {
	if l.open {
		return scan.Time{}
	}
	end := later(later(l.updated.Time, l.ended.Time), l.delivered.Time).Add(keepAfterJob)
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
