package scan

// ScannerState is the state of a scanner (PWG 5100.17, scanner-state), with
// offline for a device or node that does not answer.
type ScannerState string

// The scanner states.
const (
	ScannerIdle       ScannerState = "idle"
	ScannerProcessing ScannerState = "processing"
	ScannerStopped    ScannerState = "stopped" // needs a person: see Reasons
	ScannerOffline    ScannerState = "offline"
)

// FeederState is what a scanner knows of its feeder.
type FeederState string

// The feeder states. A device without a sensor is FeederUnknown, not empty.
const (
	FeederNone    FeederState = "none"
	FeederUnknown FeederState = "unknown"
	FeederEmpty   FeederState = "empty"
	FeederLoaded  FeederState = "loaded"
)

// Scanner is one device as a client sees it.
type Scanner struct {
	ID       string   `json:"id"`
	Node     string   `json:"node"`
	NodeName string   `json:"nodeName"`
	Name     string   `json:"name"`
	Make     string   `json:"make,omitempty"`
	Model    string   `json:"model,omitempty"`
	Location string   `json:"location,omitempty"`
	Driver   string   `json:"driver"`
	Sources  []Source `json:"sources,omitempty"` // empty until the device was asked
	Status   Status   `json:"status"`
	Hold     bool     `json:"hold,omitempty"`   // jobs wait until their owner stands at the scanner
	Shared   bool     `json:"shared,omitempty"` // found by computers nearby, where eSCL is on
	May      []Action `json:"may,omitempty"`    // what the caller may do with it

	Encryption Encryption `json:"encryption,omitempty"` // of jobs that come through a gateway
}

// Encryption says whether the pages of jobs that come through a gateway are sealed for the
// browser that asked for them.
type Encryption string

// The policies. A job with a recipient is sealed under each of them.
const (
	EncryptionOff       Encryption = "" // nobody needs to ask for it
	EncryptionPreferred Encryption = "preferred"
	EncryptionRequired  Encryption = "required" // a job without a recipient is refused
)

// Action is what somebody may do with a scanner.
type Action string

// The actions.
const (
	See       Action = "see"       // find it, its state and capabilities
	Use       Action = "scan"      // make jobs on it
	Configure Action = "configure" // name it, hold its jobs, print its sticker
)

// Actions lists all actions.
var Actions = []Action{See, Use, Configure}

// Status is a scanner's state at one moment.
type Status struct {
	State   ScannerState `json:"state"`
	Reasons []Reason     `json:"reasons,omitempty"`
	Feeder  FeederState  `json:"feeder"`
	Job     string       `json:"job,omitempty"` // the job that holds the device, if the caller may see it
	Waiting int          `json:"waiting"`       // jobs in the queue behind it
	Since   Time         `json:"since"`
}
