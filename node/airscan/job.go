package airscan

import (
	"context"
	"net/http"
	"net/netip"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

// job is a client's job: what the node tells of its job (take), what the client has got
// of it (gave), and what follows from both. How it ends is decided once: by the node, by
// the client (dismiss) or by the clock (expire). After that pages that are there are
// still handed out, unless it was canceled.
type job struct {
	uuid    string
	id      string // at the node
	client  netip.Addr
	api     *api.Client
	order   order
	key     string // of the order
	patient bool   // as remedy says
	ctx     context.Context
	end     context.CancelFunc // forgets the job
	turn    chan struct{}      // held by the request that hands out a page

	mu       sync.Mutex
	changed  chan struct{} // closed and replaced by every change
	since    time.Time     // of the last change that clients see
	told     scan.Job
	count    int               // committed pages
	pages    map[int]scan.Page // those of them that the node told of
	growing  scan.Page         // N is 0 where there is none
	ending   *ending           // nil until it is decided
	given    int               // files that the client has got
	retries  int               // transfers that were broken off
	claim    claim
	until    time.Time // of a reserved place
	users    int       // requests that are busy with it
	used     time.Time // when the last of them ended
	done     bool      // the client wants nothing more of it
	wiped    bool      // its pages are deleted
	tending  bool      // it is being canceled or deleted
	tryAgain time.Time // with that, after a failure
}

// claim says whether a client has heard of its job.
type claim int

const (
	waiting  claim = iota // a request waits for the job's turn
	reserved              // no request does; its place is kept for the next one
	claimed               // the client was told
)

// What becomes of jobs whose clients do not come.
const (
	reserveTime = 10 * time.Second
	idleTime    = 120 * time.Second
	recordTime  = 10 * time.Minute // for what is said of a job after its pages are gone
	forgetTime  = time.Hour        // after which not even the node's silence keeps it
)

// take notes what the node tells.
func (j *job) take(e scan.Event) {
	j.mu.Lock()
	defer j.mu.Unlock()
	switch {
	case e.Job != nil:
		j.told, j.since = *e.Job, time.Now()
		j.count = max(j.count, e.Job.Pages)
	case e.Page == nil:
		return
	case e.Type == scan.EventPageCommitted:
		j.pages[e.Page.N], j.since = *e.Page, time.Now()
		j.count, j.growing = max(j.count, e.Page.N), scan.Page{}
	case e.Type == scan.EventPageFailed:
		j.growing = scan.Page{}
	default:
		j.growing = *e.Page
	}
	if j.ending == nil {
		j.ending = endingOf(j.told)
		if !j.order.feeder() && j.count > 0 {
			j.ending = completed // whatever the device does afterwards
		}
	}
	j.changeLocked()
}

// lose notes that the node's job is not there any more.
func (j *job) lose() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.wiped = true
	j.endLocked(gone)
}

// endLocked decides how the job ends, if that is still open.
func (j *job) endLocked(e *ending) {
	if j.ending == nil {
		j.ending, j.since = e, time.Now()
	}
	j.changeLocked()
}

func (j *job) changeLocked() {
	close(j.changed)
	j.changed = make(chan struct{})
}

// stuck says how to end the node's job if it has stopped and is not to go on.
func (j *job) stuck() (finish, cancel bool) {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.told.State != scan.JobStopped || j.ending == nil {
		return false, false
	}
	return j.count > 0, j.count == 0
}

// ended reports whether the node's job will not change any more.
func (j *job) ended() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.endedLocked()
}

func (j *job) endedLocked() bool { return j.wiped || j.told.State.Terminal() }

// next is what a request for the next page gets.
type next struct {
	n      int     // this file, from 1
	ending *ending // or the end
}

// nextLocked is the zero next while there is nothing to say yet.
func (j *job) nextLocked() next {
	switch {
	case j.ending == nil:
	case j.ending.state == escl.JobCanceled, j.wiped, j.done:
		return next{ending: j.ending}
	}
	switch {
	case j.given < j.filesLocked():
		return next{n: j.given + 1}
	case j.ending != nil && !(j.order.Concat && j.count > 0 && !j.endedLocked()):
		return next{ending: j.ending}
	}
	return next{}
}

// filesLocked is how many files the client could have by now.
func (j *job) filesLocked() int {
	switch {
	case j.wiped:
		return 0
	case !j.order.Concat:
		return j.count
	case j.count > 0 && j.endedLocked():
		return 1
	}
	return 0
}

// await is what the client gets, the zero next if that is not known when ctx ends.
func (j *job) await(ctx context.Context) next {
	for {
		j.mu.Lock()
		n, changed := j.nextLocked(), j.changed
		j.mu.Unlock()
		if n != (next{}) {
			return n
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return next{}
		}
	}
}

// leftQueue waits until the job is no longer in the scanner's queue.
func (j *job) leftQueue(ctx context.Context) bool {
	for {
		j.mu.Lock()
		left, changed := j.ending != nil || j.told.State != scan.JobPending, j.changed
		j.mu.Unlock()
		if left {
			return true
		}
		select {
		case <-changed:
		case <-ctx.Done():
			return false
		}
	}
}

// takeTurn waits until nobody else hands out a page of the job.
func (j *job) takeTurn(ctx context.Context) bool {
	select {
	case j.turn <- struct{}{}:
		return true
	case <-ctx.Done():
		return false
	}
}

func (j *job) giveTurn() { <-j.turn }

// gave notes that the client has got a file to its last byte.
func (j *job) gave(n int) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.given, j.since = max(j.given, n), time.Now()
	j.changeLocked()
}

// brokeOff notes that a transfer did not come to its end.
func (j *job) brokeOff() {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.retries++
}

// use says that a request is busy with the job, until the function that it returns is called.
func (j *job) use() (leave func()) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.users++
	return func() {
		j.mu.Lock()
		defer j.mu.Unlock()
		j.users--
		j.used = time.Now()
	}
}

// stateLocked is the job's state for clients. A job is completed when its last page was
// taken, before its client hears that there is no other.
func (j *job) stateLocked() (escl.JobState, []string) {
	switch {
	case j.ending != nil && j.nextLocked().ending != nil:
		return j.ending.state, j.ending.reasons
	case j.ending != nil:
		return escl.JobProcessing, []string{"JobTransferring"}
	case j.told.State == scan.JobHeld:
		return escl.JobHeld, []string{"WaitingForUserAction"}
	case j.told.State == scan.JobPending:
		return escl.JobPending, []string{"JobQueued"}
	case j.told.State == scan.JobStopped:
		return escl.JobProcessing, []string{"ResourcesAreNotReady"}
	case j.count > 0:
		return escl.JobProcessing, []string{"JobScanningAndTransferring"}
	}
	return escl.JobProcessing, []string{"JobScanning"}
}

func (j *job) state() escl.JobState {
	j.mu.Lock()
	defer j.mu.Unlock()
	state, _ := j.stateLocked()
	return state
}

func (j *job) finished() bool {
	switch j.state() {
	case escl.JobCompleted, escl.JobCanceled, escl.JobAborted:
		return true
	case escl.JobPending, escl.JobHeld, escl.JobProcessing:
	}
	return false
}

// info is the job in a list.
func (j *job) info(now time.Time) escl.JobInfo {
	j.mu.Lock()
	defer j.mu.Unlock()
	state, reasons := j.stateLocked()
	info := escl.JobInfo{
		URI: j.path(), UUID: j.uuid, Age: now.Sub(j.since), Completed: j.count, Retries: j.retries, State: state, Reasons: reasons,
	}
	if state != escl.JobCanceled && !j.done {
		info.ToTransfer = max(j.filesLocked()-j.given, 0)
	}
	return info
}

// feeding reports whether the job's sheets are moving.
func (j *job) feeding() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.order.feeder() && j.told.State == scan.JobProcessing && j.ending == nil
}

// handing reports whether there are sheets of the feeder that the client has yet to fetch.
func (j *job) handing() bool {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.order.feeder() && !j.done && j.nextLocked().n > 0
}

// details say what went wrong, nil where nothing did.
func (j *job) details() *escl.ErrorDetails {
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.ending == nil {
		return nil
	}
	return j.ending.details
}

// fail decides that the job ends for what was found when a page was to be handed out.
func (j *job) fail(e *ending) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.ending, j.done, j.since = e, true, time.Now()
	j.changeLocked()
}

func (j *job) path() string { return jobsPath + "/" + j.uuid }

// answer is what a request for the next page gets at the end.
func (e *ending) answer() error {
	text := "there are no more pages"
	switch {
	case e.details != nil:
		text = e.details.Message
	case e.status == http.StatusGone:
		text = "nobody fetched the pages in time"
	}
	return &refusal{status: e.status, text: text}
}
