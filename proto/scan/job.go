package scan

import "time"

// Job is one request to scan and what became of it.
type Job struct {
	ID       string   `json:"id"`
	Scanner  string   `json:"scanner"`
	Node     string   `json:"node"`
	Document string   `json:"document"` // where committed pages are appended
	Name     string   `json:"name,omitempty"`
	State    JobState `json:"state"`
	Reasons  []Reason `json:"reasons,omitempty"`
	Position int      `json:"position,omitempty"` // in the device's queue, 1 is next; 0 not waiting
	Settings Settings `json:"settings"`           // resolved
	Pages    int      `json:"pages"`              // committed pages
	Growing  int      `json:"growing,omitempty"`  // number of the page that is being scanned
	Created  Time     `json:"created"`
	Started  Time     `json:"started,omitzero"`
	Ended    Time     `json:"ended,omitzero"`
	Deadline Time     `json:"deadline,omitzero"` // when the node stops waiting by itself
	// Recipient is the public key that a gateway gets the job's pages sealed for; "": none.
	Recipient string `json:"recipient,omitempty"`
	// ReleaseCode is typed at the scanner while the job is held; only its owner sees it.
	ReleaseCode string `json:"releaseCode,omitempty"`
}

// JobRequest asks for a job on a scanner.
type JobRequest struct {
	Settings Settings `json:"settings"`
	Name     string   `json:"name,omitempty"`     // for people; also names a new document
	Document string   `json:"document,omitempty"` // append to this one; empty: a new document
	// Recipient is a public key on P-256, uncompressed, in base64url: the job's pages go
	// through a gateway sealed for it only; "": as they are.
	Recipient string `json:"recipient,omitempty"`
}

// JobState is one of the seven job states of IPP (RFC 8011, section 5.3.7).
type JobState string

// The job states.
const (
	JobPending    JobState = "pending"
	JobHeld       JobState = "pending-held"
	JobProcessing JobState = "processing"
	JobStopped    JobState = "processing-stopped"
	JobCanceled   JobState = "canceled"
	JobAborted    JobState = "aborted"
	JobCompleted  JobState = "completed"
)

// JobStates lists every JobState in the order a job can pass through them.
var JobStates = []JobState{JobHeld, JobPending, JobProcessing, JobStopped, JobCanceled, JobAborted, JobCompleted}

func (s JobState) String() string { return string(s) }

// UnmarshalText refuses what is not a JobState.
func (s *JobState) UnmarshalText(b []byte) error { return unmarshalEnum(s, b, "job state", JobStates) }

// Terminal reports whether a job in this state has ended for good.
func (s JobState) Terminal() bool {
	return s == JobCanceled || s == JobAborted || s == JobCompleted
}

// JobEvent is something that happens to a job.
type JobEvent string

// The job events.
const (
	EventHold      JobEvent = "hold"      // the owner wants it to wait
	EventRelease   JobEvent = "release"   // the owner stands at the device
	EventLease     JobEvent = "lease"     // the device is ours
	EventStop      JobEvent = "stop"      // a person must act: jam, cover, feeder, next sheet, disk
	EventOffline   JobEvent = "offline"   // the device went away in mid-job
	EventResume    JobEvent = "resume"    // the person acted
	EventFinish    JobEvent = "finish"    // no more sheets, says the person
	EventDone      JobEvent = "done"      // no more sheets, says the device
	EventFail      JobEvent = "fail"      // cannot go on
	EventCancel    JobEvent = "cancel"    // the person wants none of it
	EventTimeout   JobEvent = "timeout"   // the state's timer ran out
	EventInterrupt JobEvent = "interrupt" // the node found it unfinished at start
)

// Transition is what an event does to a job.
type Transition struct {
	To    JobState
	Timer time.Duration // 0: none. When it runs out the job gets EventTimeout
	Lease bool          // whether the job holds the device afterwards
}

// How long a job waits for a person before it ends by itself.
const (
	StoppedTimer     = 10 * time.Minute
	HeldTimer        = 10 * time.Minute
	OwnerTimer       = time.Hour // held until the owner stands at the scanner, in place of HeldTimer
	OfflineTimer     = 2 * time.Minute
	InterruptedTimer = 30 * time.Minute
)

// transitions is the whole life of a job. What is not listed is not possible.
// Ended means: JobCompleted with Partial(why) if any page was committed, else JobAborted.
var transitions = map[JobState]map[JobEvent]Transition{
	JobHeld: {
		EventRelease: {To: JobPending},
		EventCancel:  {To: JobCanceled},
		EventTimeout: {To: JobCanceled},
		EventFail:    {To: JobAborted},
	},
	JobPending: {
		EventHold:   {To: JobHeld, Timer: HeldTimer},
		EventLease:  {To: JobProcessing, Lease: true},
		EventCancel: {To: JobCanceled},
		EventFail:   {To: JobAborted},
	},
	JobProcessing: {
		EventStop:      {To: JobStopped, Timer: StoppedTimer, Lease: true},
		EventOffline:   {To: JobStopped, Timer: OfflineTimer, Lease: true},
		EventFinish:    {To: JobCompleted},
		EventDone:      {To: JobCompleted},
		EventFail:      {To: JobAborted},
		EventCancel:    {To: JobCanceled},
		EventInterrupt: {To: JobStopped, Timer: InterruptedTimer},
	},
	JobStopped: {
		EventResume:    {To: JobPending}, // takes the device again, at the head of the queue
		EventFinish:    {To: JobCompleted},
		EventFail:      {To: JobAborted},
		EventCancel:    {To: JobCanceled},
		EventTimeout:   {To: JobAborted},
		EventInterrupt: {To: JobStopped, Timer: InterruptedTimer},
	},
}

// Next is what event does to a job in state s with the given number of committed
// pages; ok is false where it cannot happen. A job that fails or times out after
// its first page is completed (with a partial reason), never aborted: its pages count.
func (s JobState) Next(event JobEvent, pages int) (t Transition, ok bool) {
	t, ok = transitions[s][event]
	if ok && t.To == JobAborted && pages > 0 {
		t.To = JobCompleted
	}
	return t, ok
}
