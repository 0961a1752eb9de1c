package relay

import "net"

// The kinds of roads: the ways by which a browser reaches a node without the gateway
// between them. An adapter of one (wtroad, rtcroad) is a net.Listener whose connections
// are RoadConns; the node serves HTTP/1.1 on them, one exchange each.
const (
	KindWebTransport Kind = "webtransport"
	KindWebRTC       Kind = "webrtc"
)

// RoadWindow is how many bytes of one exchange a road holds for a reader that takes none.
const RoadWindow = 1 << 20

// RoadConn is one exchange on a road: a stream or data channel that the browser opened.
// Deadlines work. Close ends it in order, after what was written; a browser that resets it
// makes Read fail. The browser must not end its own direction before it has the answer.
type RoadConn interface {
	net.Conn
	Session() RoadSession
}

// RoadSession is a browser at the other end of a road: a WebTransport session or a peer
// connection. Its methods are safe for concurrent use.
type RoadSession interface {
	Kind() Kind
	// Origin is that of the page as the browser says it; "" where the road does not tell.
	Origin() string
	RemoteAddr() net.Addr
	Done() <-chan struct{} // closed when it is gone, for whatever cause
	Close(reason string)   // at once, with every exchange; may be called again
}

// AcceptExchange is the Accept of a road: the next of its exchanges, and none once it is
// closed.
func AcceptExchange(exchanges <-chan net.Conn, closed <-chan struct{}) (net.Conn, error) {
	select {
	case <-closed:
		return nil, net.ErrClosed
	default:
	}
	select {
	case c := <-exchanges:
		return c, nil
	case <-closed:
		return nil, net.ErrClosed
	}
}
