package rtcroad

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"net"
	"net/netip"
	"strconv"
	"strings"
	"sync"
	"time"
)

// What is needed of STUN (RFC 8489) to learn how the world sees the port: the Binding
// request and its answer. pion would do it too, but only with a socket of its own for
// each peer connection, of which a router opens a way to none.
const (
	bindingRequest  = 0x0001
	bindingSuccess  = 0x0101
	magicCookie     = 0x2112A442
	xorMapped       = 0x0020
	stunHeader      = 20
	maxServers      = 4
	retransmitAfter = 150 * time.Millisecond
)

type transaction [12]byte

// question is a Binding request under way.
type question struct {
	server netip.AddrPort
	answer chan netip.AddrPort // holds one
}

// reflexive asks STUN servers ("stun:host:port") how they see the port. It returns when
// all have answered or ctx ends. What they said before is not believed: a router that was
// started anew, or another one, shows the port as another.
func (s *socket) reflexive(ctx context.Context, urls []string) []netip.AddrPort {
	var mu sync.Mutex
	var all []netip.AddrPort
	var asking sync.WaitGroup
	for _, url := range urls[:min(len(urls), maxServers)] {
		asking.Go(func() {
			for _, server := range resolve(ctx, url) {
				asking.Go(func() {
					if as, ok := s.ask(ctx, server); ok {
						mu.Lock()
						all = append(all, as)
						mu.Unlock()
					}
				})
			}
		})
	}
	asking.Wait()
	return all
}

// resolve is the addresses of a STUN server, at most one of each family.
func resolve(ctx context.Context, url string) []netip.AddrPort {
	address, ok := strings.CutPrefix(url, "stun:")
	if !ok {
		return nil
	}
	address, _, _ = strings.Cut(address, "?")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		host, port = strings.Trim(address, "[]"), "3478"
	}
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return nil
	}
	found, _ := net.DefaultResolver.LookupNetIP(ctx, "ip", host)
	var four, six []netip.AddrPort
	for _, ip := range found {
		if ip = ip.Unmap(); ip.Is4() {
			four = append(four, netip.AddrPortFrom(ip, uint16(number)))
		} else {
			six = append(six, netip.AddrPortFrom(ip, uint16(number)))
		}
	}
	return append(four[:min(len(four), 1)], six[:min(len(six), 1)]...)
}

// ask asks one server.
func (s *socket) ask(ctx context.Context, server netip.AddrPort) (netip.AddrPort, bool) {
	var id transaction
	rand.Read(id[:])
	q := question{server, make(chan netip.AddrPort, 1)}
	s.mu.Lock()
	s.asked[id] = q
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.asked, id)
	}()
	request := binary.BigEndian.AppendUint16(nil, bindingRequest)
	request = binary.BigEndian.AppendUint16(request, 0)
	request = binary.BigEndian.AppendUint32(request, magicCookie)
	request = append(request, id[:]...)
	again := time.NewTicker(retransmitAfter)
	defer again.Stop()
	for {
		if _, err := s.WriteToAddrPort(request, server); err != nil {
			return netip.AddrPort{}, false
		}
		select {
		case as := <-q.answer:
			return as, true
		case <-again.C:
		case <-ctx.Done():
			return netip.AddrPort{}, false
		}
	}
}

// answered takes a packet that answers a question.
func (s *socket) answered(packet []byte, from netip.AddrPort) bool {
	if len(packet) < stunHeader || binary.BigEndian.Uint16(packet) != bindingSuccess {
		return false
	}
	s.mu.Lock()
	q, ok := s.asked[transaction(packet[8:stunHeader])]
	s.mu.Unlock()
	if !ok || q.server != from {
		return false
	}
	if as, ok := mapped(packet); ok {
		select {
		case q.answer <- as:
		default:
		}
	}
	return true
}

// mapped is the XOR-MAPPED-ADDRESS of a Binding answer (RFC 8489, section 14.2).
func mapped(packet []byte) (netip.AddrPort, bool) {
	var mask [16]byte
	copy(mask[:], packet[4:stunHeader]) // the cookie and the transaction
	for rest := packet[stunHeader:]; len(rest) >= 4; {
		kind, length := binary.BigEndian.Uint16(rest), int(binary.BigEndian.Uint16(rest[2:]))
		if rest = rest[4:]; length > len(rest) {
			break
		}
		if kind == xorMapped && (length == 8 || length == 20) {
			port := binary.BigEndian.Uint16(rest[2:]) ^ magicCookie>>16
			plain := make([]byte, length-4)
			for i := range plain {
				plain[i] = rest[4+i] ^ mask[i]
			}
			ip, _ := netip.AddrFromSlice(plain)
			return netip.AddrPortFrom(ip.Unmap(), port), port != 0
		}
		rest = rest[min((length+3)&^3, len(rest)):]
	}
	return netip.AddrPort{}, false
}
