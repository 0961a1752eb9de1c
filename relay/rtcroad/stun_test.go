package rtcroad

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/pion/webrtc/v4"
)

// stunServer answers like a STUN server that sees who asks it at one address after the other,
// and no more after the last one; asked is who it was asked by.
func stunServer(t *testing.T, as ...netip.AddrPort) (url string, asked <-chan net.Addr) {
	t.Helper()
	socket, err := net.ListenPacket("udp4", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	from := make(chan net.Addr, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 1500)
		questions := map[transaction]int{} // which may come twice
		for {
			n, at, err := socket.ReadFrom(b)
			if err != nil {
				return
			}
			from <- at
			if n != stunHeader || binary.BigEndian.Uint16(b) != bindingRequest {
				continue
			}
			id := transaction(b[8:stunHeader])
			if _, again := questions[id]; !again {
				questions[id] = len(questions)
			}
			if i := questions[id]; i < len(as) {
				socket.WriteTo(bindingAnswer(b[:n], as[i]), at)
			}
		}
	}()
	t.Cleanup(func() { socket.Close(); <-done })
	return "stun:" + socket.LocalAddr().String(), from
}

// bindingAnswer is a Binding answer with an attribute before the address.
func bindingAnswer(request []byte, as netip.AddrPort) []byte {
	value := []byte{0, 1}
	if as.Addr().Is6() {
		value[1] = 2
	}
	value = binary.BigEndian.AppendUint16(value, as.Port()^magicCookie>>16)
	for i, x := range as.Addr().AsSlice() {
		value = append(value, x^request[4+i])
	}
	body := []byte{0x80, 0x22, 0, 3, 'a', 'b', 'c', 0}
	body = binary.BigEndian.AppendUint16(body, xorMapped)
	body = append(binary.BigEndian.AppendUint16(body, uint16(len(value))), value...)
	answer := binary.BigEndian.AppendUint16(nil, bindingSuccess)
	answer = binary.BigEndian.AppendUint16(answer, uint16(len(body)))
	return append(append(answer, request[4:stunHeader]...), body...)
}

func TestReflexive(t *testing.T) {
	r := start(t, Config{}, nil)
	before, after := netip.MustParseAddrPort("203.0.113.9:40018"), netip.MustParseAddrPort("203.0.113.10:40028")
	url, asked := stunServer(t, before, after) // the router was started anew
	silent, _ := stunServer(t)
	always := func(as string) []netip.AddrPort {
		return slices.Repeat([]netip.AddrPort{netip.MustParseAddrPort(as)}, 2)
	}
	six, _ := stunServer(t, always("[2001:db8::9]:40019")...)
	none, _ := stunServer(t, always("127.0.0.1:40018")...) // no router between
	for _, as := range []netip.AddrPort{before, after} {
		_, offer := visit(t, engine(), webrtc.Configuration{})
		begin := time.Now()
		answer, err := r.Answer(context.Background(), offer, []string{url, silent, six, none, "turn:127.0.0.1:1", "stun:x y"})
		if err != nil {
			t.Fatal(err)
		}
		if took := time.Since(begin); took > 2*time.Second {
			t.Errorf("the answer took %v", took)
		}
		for _, want := range []string{fmt.Sprintf("%s %d typ srflx", as.Addr(), as.Port()), "2001:db8::9 40019 typ srflx", fmt.Sprintf("127.0.0.1 %d typ host", r.socket.local().Port())} {
			if !strings.Contains(answer, want) {
				t.Errorf("the answer has no %q:\n%s", want, answer)
			}
		}
		if n := strings.Count(answer, " 1 udp "); n != 3 { // pion has them for RTCP too
			t.Errorf("%d candidates, want 3:\n%s", n, answer)
		}
		if !strings.HasSuffix(answer, "a=end-of-candidates\r\n") {
			t.Errorf("the answer ends with %q", answer[max(0, len(answer)-40):])
		}
	}
	if from := (<-asked).String(); from != r.Addr().String() {
		t.Errorf("the STUN server was asked by %s, not by the port of the road", from)
	}
}

func TestForgedSTUN(t *testing.T) {
	s := &socket{asked: map[transaction]question{}}
	server := netip.MustParseAddrPort("192.0.2.1:3478")
	q := question{server, make(chan netip.AddrPort, 1)}
	request := make([]byte, stunHeader)
	binary.BigEndian.PutUint32(request[4:], magicCookie)
	s.asked[transaction(request[8:])] = q
	good := bindingAnswer(request, netip.MustParseAddrPort("203.0.113.9:40018"))
	if s.answered(good, netip.MustParseAddrPort("192.0.2.2:3478")) {
		t.Error("another server's answer is taken")
	}
	strange := append([]byte(nil), good...)
	strange[19] ^= 1
	if s.answered(strange, server) {
		t.Error("an answer to another question is taken")
	}
	if !s.answered(good, server) || len(q.answer) != 1 {
		t.Error("the answer is not taken")
	}
	if !s.answered(good, server) { // a copy, while nobody waits
		t.Error("its copy is passed on")
	}
}

func FuzzMapped(f *testing.F) {
	request := make([]byte, stunHeader)
	binary.BigEndian.PutUint32(request[4:], magicCookie)
	for _, as := range []string{"203.0.113.9:40018", "[2001:db8::9]:40019"} {
		want := netip.MustParseAddrPort(as)
		answer := bindingAnswer(request, want)
		if got, ok := mapped(answer); !ok || got != want {
			f.Errorf("mapped = %v, %v, want %v", got, ok, want)
		}
		f.Add(answer)
	}
	f.Fuzz(func(t *testing.T, packet []byte) {
		if len(packet) < stunHeader {
			return
		}
		if as, ok := mapped(packet); ok && (!as.IsValid() || as.Port() == 0) {
			t.Errorf("mapped(%x) = %v", packet, as)
		}
	})
}
