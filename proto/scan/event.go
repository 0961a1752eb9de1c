package scan

// EventType names what an event tells.
type EventType string

// The event types of GET /events and GET /jobs/{id}/events.
const (
	EventJobState      EventType = "job-state"      // Event.Job
	EventPageStarted   EventType = "page-started"   // Event.Page
	EventPageProgress  EventType = "page-progress"  // Event.Page: Lines and Bytes have grown
	EventPageCommitted EventType = "page-committed" // Event.Page, with its digest
	EventPageFailed    EventType = "page-failed"    // Event.Page: it is no page after all
	EventDeviceState   EventType = "device-state"   // Event.Scanner
	EventDeviceGone    EventType = "device-gone"    // Event.Scanner, as it was last
	EventDocument      EventType = "document"       // Event.Document was edited
	EventNodeState     EventType = "node-state"     // Event.Node; gateways only
)

// Event is one message of an event stream. Its ID is "<epoch>.<seq>": the epoch
// changes with every start of the process, so a client that asks for an event of
// an older epoch is told events-gone and reads the resource again.
type Event struct {
	ID       string    `json:"id"`
	Type     EventType `json:"type"`
	Job      *Job      `json:"job,omitempty"`
	Page     *Page     `json:"page,omitempty"`
	Scanner  *Scanner  `json:"scanner,omitempty"`
	Document *Document `json:"document,omitempty"`
	Node     *Node     `json:"node,omitempty"`
}

// NodeState is what a gateway knows of a node.
type NodeState string

// The node states.
const (
	NodeWaiting     NodeState = "waiting" // for approval
	NodeOnline      NodeState = "online"
	NodeOffline     NodeState = "offline"
	NodeDraining    NodeState = "draining"    // online, and takes no new jobs
	NodeQuarantined NodeState = "quarantined" // its key was used by two machines
	NodeRevoked     NodeState = "revoked"
)

// Node is a node as its gateway sees it.
type Node struct {
	ID       string    `json:"id"`
	Name     string    `json:"name"`
	State    NodeState `json:"state"`
	Since    Time      `json:"since"`
	Version  string    `json:"version,omitempty"`
	Road     string    `json:"road,omitempty"` // "quic" or "tcp" while online
	Scanners int       `json:"scanners"`
	Joined   Time      `json:"joined"`
	Labels   []string  `json:"labels,omitempty"`
	Check    string    `json:"check,omitempty"`    // four symbols to compare while it waits for approval
	Address  string    `json:"address,omitempty"`  // from where it waits for approval
	Draining bool      `json:"draining,omitempty"` // it takes no new jobs
	Jobs     int       `json:"jobs,omitempty"`     // under way through this gateway
	Presents []string  `json:"presents,omitempty"` // scanners of other nodes that it may show around it
	Wants    []string  `json:"wants,omitempty"`    // scanners that it asks to present and may not
	Fault    string    `json:"fault,omitempty"`    // problem code: how it failed to account for pages; it gets no jobs that need a licence
}
