package rtcroad

import (
	"context"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
	"github.com/pion/ice/v4"
	"github.com/pion/sctp"
)

// peer is what a peer connection is made of: ICE finds the way, DTLS proves the browser
// by its fingerprint and encrypts, SCTP carries the channels. It is put together here and
// not by pion/webrtc, which lets nobody between DTLS and SCTP and closes channels when it
// likes: see resets.
type peer struct {
	agent  *ice.Agent
	offer  *offer
	resets *resets           // nil before connect
	sctp   *sctp.Association // nil before connect
}

// mtu is that of SCTP's packets: it leaves room for DTLS, UDP and IPv6 in 1280 bytes.
const mtu = 1191

// lossTimeout is when SCTP takes a packet for lost whose loss shows in no other way. Its own
// is a second at least and doubles, which costs more than half of the speed over a good way.
// Roads are for ways that are shorter than this.
const lossTimeout = 400 * time.Millisecond

// What SCTP keeps on the way at least, and by how much more each time that all of it has
// arrived. With its own values, four packets and one, each loss costs seconds of speed over
// a way of some length, and a network that was gone for a second leaves a tenth of it.
const (
	leastWindow = 32 * mtu
	windowStep  = 8 * mtu
)

// newPeer opens no socket.
func (r *Road) newPeer(o *offer) (*peer, error) {
	agent, err := ice.NewAgentWithOptions(
		ice.WithUDPMux(r.mux),
		ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4, ice.NetworkTypeUDP6}),
		ice.WithCandidateTypes([]ice.CandidateType{ice.CandidateTypeHost}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled),
		ice.WithDisableActiveTCP(),
		// A browser is given up when no packet came for both times together.
		ice.WithDisconnectedTimeout(r.timing.lost/2),
		ice.WithFailedTimeout(r.timing.lost/2),
		ice.WithKeepaliveInterval(r.timing.lost/5),
		ice.WithLoggerFactory(loggers(r.log)),
	)
	if err != nil {
		return nil, err
	}
	p := &peer{agent: agent, offer: o}
	for _, c := range o.candidates {
		candidate, err := c.remote()
		if err == nil {
			err = agent.AddRemoteCandidate(candidate)
		}
		if err != nil {
			agent.GracefulClose()
			return nil, err
		}
	}
	return p, nil
}

// remote is the candidate in pion's terms.
func (c candidate) remote() (ice.Candidate, error) {
	address, port := c.at.Addr().String(), int(c.at.Port())
	const component = 1
	switch c.kind {
	case "host":
		return ice.NewCandidateHost(&ice.CandidateHostConfig{Network: "udp", Address: address, Port: port, Component: component, Priority: c.priority})
	case "srflx":
		return ice.NewCandidateServerReflexive(&ice.CandidateServerReflexiveConfig{Network: "udp", Address: address, Port: port, Component: component, Priority: c.priority})
	case "prflx":
		return ice.NewCandidatePeerReflexive(&ice.CandidatePeerReflexiveConfig{Network: "udp", Address: address, Port: port, Component: component, Priority: c.priority})
	default:
		return ice.NewCandidateRelay(&ice.CandidateRelayConfig{Network: "udp", Address: address, Port: port, Component: component, Priority: c.priority})
	}
}

// gather returns the lines of the node's own candidates; with a shared port it waits for
// nothing but the list of addresses.
func (p *peer) gather(ctx context.Context) ([]string, error) {
	var lines []string
	done := make(chan struct{})
	p.agent.OnCandidate(func(c ice.Candidate) { // one at a time
		if c == nil {
			close(done)
			return
		}
		lines = append(lines, c.Marshal())
	})
	if err := p.agent.GatherCandidates(); err != nil {
		return nil, err
	}
	select {
	case <-done:
		return lines, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// connect waits for the browser and agrees with it on everything. After an error the peer
// is to be closed.
func (p *peer) connect(ctx context.Context, r *Road) error {
	way, err := p.agent.Accept(ctx, p.offer.ufrag, p.offer.password)
	if err != nil {
		return fmt.Errorf("finding a way: %w", err)
	}
	secure, err := dtls.ClientWithOptions(dtlsnet.PacketConnFromConn(way), way.RemoteAddr(),
		dtls.WithCertificates(r.certificate),
		dtls.WithInsecureSkipVerify(true), // no authority signs for a browser: its fingerprint does
		dtls.WithVerifyPeerCertificate(p.verify),
		dtls.WithExtendedMasterSecret(dtls.RequireExtendedMasterSecret),
		// No media goes this way, but browsers look for an agreement.
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_256_GCM, dtls.SRTP_AEAD_AES_128_GCM, dtls.SRTP_AES128_CM_HMAC_SHA1_80),
		dtls.WithLoggerFactory(loggers(r.log)),
	)
	if err != nil {
		return err
	}
	if err := secure.HandshakeContext(ctx); err != nil {
		secure.Close()
		return fmt.Errorf("agreeing on keys: %w", err)
	}
	p.resets = newResets(secure)
	stop := context.AfterFunc(ctx, func() { secure.Close() })
	p.sctp, err = sctp.ClientWithOptions(
		sctp.WithNetConn(p.resets),
		sctp.WithMTU(mtu),
		sctp.WithMaxMessageSize(maxIncoming),
		sctp.WithMaxReceiveBufferSize(4*maxIncoming),
		// Chunks of few bytes cost more than their bytes.
		sctp.WithMaxReassemblyQueueEntries(maxChunks),
		// A browser that does not offer it too gets checksums (RFC 9653).
		sctp.WithEnableZeroChecksum(true),
		sctp.WithRTOMax(float64(lossTimeout.Milliseconds())),
		sctp.WithMinCwnd(leastWindow),
		sctp.WithCwndCAStep(windowStep),
		sctp.WithLoggerFactory(loggers(r.log)),
	)
	if !stop() && err == nil {
		err = ctx.Err()
	}
	if err != nil {
		secure.Close()
		return fmt.Errorf("agreeing on channels: %w", err)
	}
	return nil
}

// maxChunks is how many chunks of one channel may wait to be read. A message that is
// taken has far fewer.
const maxChunks = 4096

var errFingerprint = errors.New("the browser's certificate is not that of its offer")

// verify compares the browser's certificate with the fingerprint in its offer.
func (p *peer) verify(raw [][]byte, _ [][]*x509.Certificate) error {
	if len(raw) == 0 || fingerprint(raw[0]) != p.offer.fingerprint {
		return errFingerprint
	}
	return nil
}

// fingerprint is a certificate's, as in SDP.
func fingerprint(der []byte) string {
	sum := sha256.Sum256(der)
	return strings.ToUpper(strings.ReplaceAll(fmt.Sprintf("% x", sum), " ", ":"))
}

// remote is where the browser is seen.
func (p *peer) remote() (netip.AddrPort, bool) {
	pair, err := p.agent.GetSelectedCandidatePair()
	if err != nil || pair == nil {
		return netip.AddrPort{}, false
	}
	ip, err := netip.ParseAddr(pair.Remote.Address())
	return netip.AddrPortFrom(ip.Unmap(), uint16(pair.Remote.Port())), err == nil
}

// close ends everything and waits until it has ended.
func (p *peer) close() {
	if p.sctp != nil {
		p.sctp.Abort("") // waits 0.2 s for itself at most
	}
	if p.resets != nil {
		p.resets.Close()
	}
	p.agent.GracefulClose()
}
