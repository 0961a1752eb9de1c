package rtcroad

import (
	"encoding/binary"
	"net"
	"sync"
	"time"
)

// resets stands between SCTP and DTLS and sees to it that one request to reset streams is
// under way at a time, as RFC 6525, section 5.1.1 wants it. pion sends one for each stream
// at once (pion/sctp#508). If the first gets lost a browser refuses the others as out of
// turn, and from then on every other: none of its channels would ever close again.
type resets struct {
	net.Conn // of DTLS

	mu      sync.Mutex
	queue   []closer // to be closed when no request is under way
	coming  int      // streams that were closed, but are in no request yet
	waiting []reset  // requests; the first is under way
	again   *time.Timer
	closed  bool
}

// closer is a stream. Close makes SCTP write a request for it some time.
type closer interface{ Close() error }

// reset is a packet with a request, by its number.
type reset struct {
	number uint32
	packet []byte
}

const (
	// resetAgain is when a request is sent again. pion's own timer doubles its time with
	// each turn for as long as there are requests.
	resetAgain = 400 * time.Millisecond
	// resetMost is how many streams go into a request, so that a packet can hold it.
	resetMost = 128

	sctpHeader        = 12
	chunkHeader       = 4
	chunkReconfig     = 130
	paramResetRequest = 13
	resetRequestSize  = 16 // without its streams
	paramResponse     = 16
	responseSize      = 12
	resultInProgress  = 6
)

func newResets(conn net.Conn) *resets { return &resets{Conn: conn} }

// reset closes a stream when it is its turn. A stream is closed by nothing else.
func (r *resets) reset(s closer) {
	r.mu.Lock()
	if r.coming > 0 || len(r.waiting) > 0 {
		r.queue = append(r.queue, s)
		r.mu.Unlock()
		return
	}
	r.coming = 1
	r.mu.Unlock()
	s.Close()
}

// Write sends a packet of SCTP, or keeps it until its turn.
func (r *resets) Write(packet []byte) (int, error) {
	number, streams, ok := resetRequest(packet)
	if !ok {
		return r.Conn.Write(packet)
	}
	r.mu.Lock()
	known := r.closed
	for _, w := range r.waiting {
		known = known || w.number == number // pion's timer, to which ours is no stranger
	}
	if !known {
		r.coming = max(0, r.coming-streams)
		r.waiting = append(r.waiting, reset{number, append([]byte(nil), packet...)})
	}
	first := !known && len(r.waiting) == 1
	r.mu.Unlock()
	if first {
		r.send()
	}
	return len(packet), nil
}

// Read looks for responses in what comes in.
func (r *resets) Read(b []byte) (int, error) {
	n, err := r.Conn.Read(b)
	if err == nil {
		for _, number := range resetResponses(b[:n]) {
			r.answered(number)
		}
	}
	return n, err
}

// answered ends the request under way if it is this one, and goes on with the next.
func (r *resets) answered(number uint32) {
	r.mu.Lock()
	if len(r.waiting) == 0 || r.waiting[0].number != number {
		r.mu.Unlock()
		return
	}
	var next []closer
	if r.waiting = r.waiting[1:]; len(r.waiting) == 0 {
		r.waiting = nil
		if r.again != nil {
			r.again.Stop()
		}
		if r.coming == 0 {
			n := min(len(r.queue), resetMost)
			next, r.queue = r.queue[:n:n], r.queue[n:]
			r.coming = n
		}
	}
	r.mu.Unlock()
	for _, s := range next {
		s.Close()
	}
	r.send()
}

// send sends the request under way, and again after a while. An error shows in Read.
func (r *resets) send() {
	r.mu.Lock()
	if r.closed || len(r.waiting) == 0 {
		r.mu.Unlock()
		return
	}
	packet := r.waiting[0].packet
	if r.again == nil {
		r.again = time.AfterFunc(resetAgain, r.send)
	} else {
		r.again.Reset(resetAgain)
	}
	r.mu.Unlock()
	r.Conn.Write(packet)
}

// Close ends the connection.
func (r *resets) Close() error {
	r.mu.Lock()
	r.closed, r.waiting, r.queue = true, nil, nil
	if r.again != nil {
		r.again.Stop()
	}
	r.mu.Unlock()
	return r.Conn.Close()
}

// resetRequest reads a packet with a request of ours, which is alone in it.
func resetRequest(packet []byte) (number uint32, streams int, ok bool) {
	const begin = sctpHeader + chunkHeader
	if len(packet) < begin+resetRequestSize || packet[sctpHeader] != chunkReconfig ||
		binary.BigEndian.Uint16(packet[begin:]) != paramResetRequest {
		return 0, 0, false
	}
	length := int(binary.BigEndian.Uint16(packet[begin+2:]))
	return binary.BigEndian.Uint32(packet[begin+4:]), (length - resetRequestSize) / 2, true
}

// resetResponses finds the numbers of all requests that a browser's packet answers for good.
func resetResponses(packet []byte) (numbers []uint32) {
	for rest := packet[min(sctpHeader, len(packet)):]; len(rest) >= chunkHeader; {
		kind, length := rest[0], int(binary.BigEndian.Uint16(rest[2:]))
		if length < chunkHeader || length > len(rest) {
			break
		}
		if kind == chunkReconfig {
			numbers = append(numbers, responses(rest[chunkHeader:length])...)
		}
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return numbers
}

// responses goes through the parameters of a RE-CONFIG chunk.
func responses(rest []byte) (numbers []uint32) {
	for len(rest) >= 4 {
		kind, length := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if length < 4 || length > len(rest) {
			break
		}
		if kind == paramResponse && length >= responseSize && binary.BigEndian.Uint32(rest[8:]) != resultInProgress {
			numbers = append(numbers, binary.BigEndian.Uint32(rest[4:]))
		}
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return numbers
}
