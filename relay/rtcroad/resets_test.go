package rtcroad

import (
	"encoding/binary"
	"net"
	"slices"
	"sync"
	"testing"
)

// request is a packet with a request to reset streams, as pion writes it.
func request(number uint32, streams ...uint16) []byte {
	size := resetRequestSize + 2*len(streams)
	p := append(make([]byte, sctpHeader), chunkReconfig, 0)
	p = binary.BigEndian.AppendUint16(p, uint16(chunkHeader+size))
	p = binary.BigEndian.AppendUint16(p, paramResetRequest)
	p = binary.BigEndian.AppendUint16(p, uint16(size))
	p = binary.BigEndian.AppendUint32(p, number)
	p = append(p, make([]byte, 8)...)
	for _, s := range streams {
		p = binary.BigEndian.AppendUint16(p, s)
	}
	return p
}

// response is a packet of a browser: an acknowledgement, then a response, and a request of
// its own in the same chunk.
func response(number, result uint32) []byte {
	p := append(make([]byte, sctpHeader), 3, 0, 0, 16)
	p = append(p, make([]byte, 12)...)
	p = append(p, chunkReconfig, 0, 0, chunkHeader+responseSize+18)
	p = binary.BigEndian.AppendUint16(p, paramResponse)
	p = binary.BigEndian.AppendUint16(p, responseSize)
	p = binary.BigEndian.AppendUint32(p, number)
	p = binary.BigEndian.AppendUint32(p, result)
	return append(p, request(77, 5)[sctpHeader+chunkHeader:]...)
}

// wire is a connection of which a test sees what is sent and says what comes.
type wire struct {
	net.Conn
	sent chan []byte
	come chan []byte
}

func (w *wire) Write(p []byte) (int, error) {
	w.sent <- append([]byte(nil), p...)
	return len(p), nil
}
func (w *wire) Read(p []byte) (int, error) { return copy(p, <-w.come), nil }
func (w *wire) Close() error               { return nil }

func TestResetsTakeTurns(t *testing.T) {
	w := &wire{sent: make(chan []byte, 100), come: make(chan []byte, 1)}
	r := newResets(w)
	t.Cleanup(func() { r.Close() })
	sends := func(what string, want []byte) {
		t.Helper()
		if got := await(t, w.sent, what); !slices.Equal(got, want) {
			t.Errorf("%s: sent %x, want %x", what, got, want)
		}
	}
	comes := func(p []byte) {
		t.Helper()
		w.come <- p
		b := make([]byte, 1500)
		if n, err := r.Read(b); err != nil || !slices.Equal(b[:n], p) {
			t.Errorf("Read = %x, %v, want %x", b[:n], err, p)
		}
	}
	for _, p := range [][]byte{request(1, 7), request(2, 9), request(1, 7), request(3, 11), {1, 2, 3}} {
		if n, err := r.Write(p); n != len(p) || err != nil {
			t.Errorf("Write = %d, %v", n, err)
		}
	}
	sends("the first request", request(1, 7))
	sends("what is no request", []byte{1, 2, 3})
	comes(response(2, 1)) // of none that was sent
	comes(response(1, resultInProgress))
	sends("the first request again, after a while", request(1, 7))
	comes(response(1, 1))
	sends("the second request", request(2, 9))
	comes(response(2, 5)) // an error is an answer, too
	sends("the third request", request(3, 11))
	comes(response(3, 1))
	if len(w.sent) > 0 {
		t.Errorf("sent %x besides", <-w.sent)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 {
		t.Errorf("%d requests still wait", len(r.waiting))
	}
}

// closing is a stream that tells when it is closed.
type closing chan struct{}

func (c closing) Close() error { close(c); return nil }

func TestResetsGoTogether(t *testing.T) {
	w := &wire{sent: make(chan []byte, 100), come: make(chan []byte, 1)}
	r := newResets(w)
	t.Cleanup(func() { r.Close() })
	var streams []closing
	for range resetMost + 3 {
		s := make(closing)
		streams = append(streams, s)
		r.reset(s)
	}
	closed := func() (n int) {
		for _, s := range streams {
			select {
			case <-s:
				n++
			default:
			}
		}
		return n
	}
	next := func(number uint32, streams int) {
		r.Write(request(number, make([]uint16, streams)...))
		w.come <- response(number, 1)
		r.Read(make([]byte, 1500))
	}
	if got := closed(); got != 1 {
		t.Errorf("%d streams are closed at first, want 1", got)
	}
	next(1, 1)
	if got := closed(); got != 1+resetMost {
		t.Errorf("%d streams are closed in the next turn, want %d", got, 1+resetMost)
	}
	next(2, resetMost-1) // one of them comes later
	if got := closed(); got != 1+resetMost {
		t.Errorf("%d streams are closed while one is to come, want %d", got, 1+resetMost)
	}
	next(3, 1)
	if got := closed(); got != len(streams) {
		t.Errorf("%d streams are closed in the end, want %d", got, len(streams))
	}
}

// TestResetsInParallel is for the race detector.
func TestResetsInParallel(t *testing.T) {
	w := &wire{sent: make(chan []byte, 1000), come: make(chan []byte, 1000)}
	r := newResets(w)
	var all sync.WaitGroup
	for i := range uint32(100) {
		all.Go(func() { r.Write(request(i, 1)) })
		all.Go(func() { r.answered(i) })
	}
	all.Wait()
	r.Close()
	r.Write(request(1000, 1))
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) > 0 {
		t.Error("a request waits after Close")
	}
}

func FuzzResponses(f *testing.F) {
	f.Add(response(5, 1))
	f.Add(response(5, resultInProgress))
	f.Add(request(5, 1, 2, 3))
	f.Fuzz(func(t *testing.T, packet []byte) {
		if n := len(resetResponses(packet)); n > len(packet)/responseSize {
			t.Errorf("%d responses in %d bytes", n, len(packet))
		}
		resetRequest(packet)
		parseOpen(packet)
	})
}

func TestParseOpen(t *testing.T) {
	open := func(kind byte, label, protocol string) []byte {
		b := []byte{dcepOpen, kind, 1, 0, 0, 0, 0, 0}
		b = binary.BigEndian.AppendUint16(b, uint16(len(label)))
		b = binary.BigEndian.AppendUint16(b, uint16(len(protocol)))
		return append(append(b, label...), protocol...)
	}
	if protocol, ok := parseOpen(open(0, "x", WindowProtocol)); !ok || protocol != WindowProtocol {
		t.Errorf("parseOpen = %q, %v", protocol, ok)
	}
	whole := open(0, "x", "y")
	for name, b := range map[string][]byte{
		"nothing": nil, "an acknowledgement": {dcepAck}, "unordered": open(0x80, "", ""), "unreliable": open(1, "", ""), "timed": open(2, "", ""),
		"cut off": whole[:len(whole)-1], "too long": append(slices.Clone(whole), 0), "another message": append([]byte{9}, whole[1:]...),
	} {
		if protocol, ok := parseOpen(b); ok {
			t.Errorf("%s: parseOpen = %q", name, protocol)
		}
	}
}
