package front

import (
	"encoding/binary"
	"fmt"
	"net"
	"testing"
	"time"
	"unsafe"

	"golang.org/x/net/ipv4"
	"golang.org/x/sys/unix"
)

// TestJoinedPackets sends packets joined and alone, and reads them a few at a time.
func TestJoinedPackets(t *testing.T) {
	listen := func() *net.UDPConn {
		c, err := net.ListenUDP("udp4", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { c.Close() })
		return c
	}
	receiver, sender := listen(), listen()
	joined, ok := receiveJoined(receiver).(*groConn)
	if !ok {
		t.Skip("this kernel joins no packets")
	}
	joined.SetReadDeadline(time.Now().Add(30 * time.Second))
	to := receiver.LocalAddr().(*net.UDPAddr)
	var want []string
	send := func(packets, size, last int) {
		var all []byte
		for i := range packets {
			n := size
			if i == packets-1 {
				n = last
			}
			packet := fmt.Sprintf("%0*d", n, len(want))
			want = append(want, packet)
			all = append(all, packet...)
		}
		var oob []byte
		if packets > 1 {
			oob = segmentMessage(uint16(size))
		}
		if _, _, err := sender.WriteMsgUDP(all, oob, to); err != nil {
			t.Fatalf("sending %d packets of %d: %v", packets, size, err)
		}
	}
	send(1, 5, 5)
	send(40, 1452, 700)
	send(2, 1200, 1200)
	send(1, 1452, 1452)
	send(10, 30, 7)

	ms := make([]ipv4.Message, 3)
	for i := range ms {
		ms[i] = ipv4.Message{Buffers: [][]byte{make([]byte, 1452)}, OOB: make([]byte, 128)}
	}
	for got := 0; got < len(want); {
		n, err := joined.ReadBatch(ms, 0)
		if err != nil {
			t.Fatalf("after %d of %d packets: %v", got, len(want), err)
		}
		for _, m := range ms[:n] {
			if packet := string(m.Buffers[0][:m.N]); packet != want[got] {
				t.Fatalf("packet %d = %d bytes %.20q, want %d bytes %.20q", got, m.N, packet, len(want[got]), want[got])
			}
			if m.Addr.String() != sender.LocalAddr().String() {
				t.Errorf("packet %d is from %v, want %v", got, m.Addr, sender.LocalAddr())
			}
			got++
		}
	}
	receiver.Close()
	if n, err := joined.ReadBatch(ms, 0); err == nil || n != 0 {
		t.Errorf("ReadBatch of a closed socket = %d, %v", n, err)
	}
}

// segmentMessage asks the kernel to cut what is sent into packets of a size.
func segmentMessage(size uint16) []byte {
	oob := make([]byte, unix.CmsgSpace(2))
	h := (*unix.Cmsghdr)(unsafe.Pointer(&oob[0]))
	h.Level, h.Type = unix.IPPROTO_UDP, unix.UDP_SEGMENT
	h.SetLen(unix.CmsgLen(2))
	binary.NativeEndian.PutUint16(oob[unix.CmsgSpace(0):], size)
	return oob
}

func TestReceiveJoinedTakesAnySocket(t *testing.T) {
	odd := struct{ net.PacketConn }{}
	if got := receiveJoined(odd); got != net.PacketConn(odd) {
		t.Errorf("receiveJoined(%T) = %T, want it unchanged", odd, got)
	}
}
