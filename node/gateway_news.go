package node

// NewsKind is what has happened to a node that looks for a gateway by itself.
type NewsKind int

const (
	// NewsWaiting: the gateway was asked to let the node in, and shows the symbols of
	// Check too. A person there compares and approves.
	NewsWaiting NewsKind = iota + 1
	// NewsSeveral: more than one gateway is nearby, so that none is waited for: a person
	// chooses.
	NewsSeveral
	// NewsJoined: the gateway that was asked has let the node in.
	NewsJoined
	// NewsEnded: the wait, or the try to ask, ended with Err. If that was no refusal, the
	// node asks again by itself.
	NewsEnded
)

func (k NewsKind) String() string {
	switch k {
	case NewsWaiting:
		return "waiting"
	case NewsSeveral:
		return "several"
	case NewsJoined:
		return "joined"
	case NewsEnded:
		return "ended"
	}
	return "unknown"
}

// GatewayNews is what people are to be told of a node that looks for a gateway by itself.
type GatewayNews struct {
	Kind    NewsKind
	Gateway FoundGateway   // NewsWaiting, NewsJoined, NewsEnded: with the address where it was and the key that it proved
	Check   string         // NewsWaiting: four symbols
	Found   []FoundGateway // NewsSeveral
	Err     error          // NewsEnded: why
}
