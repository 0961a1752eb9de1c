package rtcroad

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/problem"
)

// Answer makes a peer connection for a browser by its complete offer and returns the
// complete answer, after half a second at most: a STUN server that has said nothing by
// then is left out. A connection that does not come about ends by itself. The error is a
// *problem.Error if it is the browser's fault.
func (r *Road) Answer(ctx context.Context, offer string, stun []string) (string, error) {
	r.mu.Lock()
	open := r.socket != nil && !r.ended
	r.mu.Unlock()
	if !open {
		return "", errors.New("the WebRTC road is not open")
	}
	o, err := parseOffer(offer, slices.ContainsFunc(r.addresses(), netip.Addr.IsLoopback))
	if err != nil {
		return "", err
	}
	s, err := r.admit(o)
	if err != nil {
		return "", err
	}
	answer, err := s.answer(ctx, stun)
	if err != nil {
		s.Close("no answer could be given")
		return "", err
	}
	close(s.answered)
	return answer, nil
}

// admit makes a session if there is room for one.
func (r *Road) admit(o *offer) (*session, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	now := time.Now()
	r.recent = slices.DeleteFunc(r.recent, func(t time.Time) bool { return now.Sub(t) >= time.Minute })
	switch {
	case r.ended:
		return nil, errors.New("the WebRTC road is closed")
	case len(r.sessions) >= r.config.Limits.Sessions:
		return nil, problem.New(problem.TooManyRequests, "too many browsers are connected to this node directly").After(10 * time.Second)
	case len(r.recent) >= r.config.Limits.PerMinute:
		return nil, problem.New(problem.TooManyRequests, "too many browsers have connected to this node directly").
			After(time.Minute - now.Sub(r.recent[0]))
	}
	p, err := r.newPeer(o)
	if err != nil {
		return nil, fmt.Errorf("making a peer connection: %w", err)
	}
	s := newSession(r, p)
	r.recent = append(r.recent, now)
	r.sessions[s] = true
	r.running.Go(s.run)
	return s, nil
}

// answer gathers the node's addresses and writes them down.
func (s *session) answer(ctx context.Context, stun []string) (string, error) {
	var asking sync.WaitGroup
	defer asking.Wait()
	within, cancel := context.WithTimeout(ctx, s.road.timing.gather)
	defer cancel()
	seenAs := make(chan []netip.AddrPort, 1)
	asking.Go(func() { seenAs <- s.road.socket.reflexive(within, stun) })
	lines, err := s.peer.gather(within)
	if err != nil {
		return "", fmt.Errorf("gathering addresses: %w", err)
	}
	ufrag, password, err := s.peer.agent.GetLocalUserCredentials()
	if err != nil {
		return "", err
	}
	all := <-seenAs
	if err := ctx.Err(); err != nil {
		return "", err
	}
	own := s.road.addresses()
	for i, at := range all {
		if !slices.Contains(own, at.Addr()) { // else there is no router between
			lines = append(lines, reflexive(i, at))
		}
	}
	return s.description(ufrag, password, lines), nil
}

// reflexive is the candidate of the node's port as a STUN server sees it: packets to it
// come in by the port like any other.
func reflexive(i int, at netip.AddrPort) string {
	const typePreference = 100 // RFC 8445, section 5.1.2.2
	priority := uint32(typePreference)<<24 | uint32(65535-i)<<8 | 255
	base := netip.IPv4Unspecified()
	if at.Addr().Is6() {
		base = netip.IPv6Unspecified()
	}
	return fmt.Sprintf("srflx%d 1 udp %d %s %d typ srflx raddr %s rport 9", i, priority, at.Addr(), at.Port(), base)
}

// description is the answer.
func (s *session) description(ufrag, password string, candidates []string) string {
	o := s.peer.offer
	var b strings.Builder
	line := func(format string, a ...any) { fmt.Fprintf(&b, format+"\r\n", a...) }
	line("v=0")
	line("o=- %d 1 IN IP4 0.0.0.0", time.Now().Unix())
	line("s=-")
	line("t=0 0")
	if o.bundle {
		line("a=group:BUNDLE %s", o.mid)
	}
	transport, port := section, "sctp-port:"+sctpPort
	if o.former {
		transport, port = formerSection, "sctpmap:"+sctpPort+" webrtc-datachannel 65535"
	}
	line("m=application 9 %s", transport)
	line("c=IN IP4 0.0.0.0")
	line("a=mid:%s", o.mid)
	line("a=ice-ufrag:%s", ufrag)
	line("a=ice-pwd:%s", password)
	line("a=fingerprint:sha-256 %s", fingerprint(s.road.certificate.Leaf.Raw))
	line("a=setup:active")
	line("a=%s", port)
	line("a=max-message-size:%d", maxIncoming)
	for _, c := range candidates {
		line("a=candidate:%s", c)
	}
	line("a=end-of-candidates")
	return b.String()
}
