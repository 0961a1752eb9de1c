package rtcroad

import (
	"context"
	"fmt"
	"net"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/pion/dtls/v3"
	dtlsnet "github.com/pion/dtls/v3/pkg/net"
	"github.com/pion/ice/v4"
	"github.com/pion/sctp"
)

// orderly is a browser that closes its channels as real ones do, one request at a time.
// pion/webrtc does not, and brings its peer to a standstill when packets get lost.
type orderly struct {
	*browser
	resets *resets
	sctp   *sctp.Association

	next atomic.Uint32 // stream, of odd ones
}

// joinOrderly is such a browser with a session, behind a wire that loses packets.
func joinOrderly(t testing.TB, r *Road, loss float64) *orderly {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	mux, _ := lossyMux(t, loss)
	agent, err := ice.NewAgentWithOptions(ice.WithUDPMux(mux), ice.WithNetworkTypes([]ice.NetworkType{ice.NetworkTypeUDP4}),
		ice.WithMulticastDNSMode(ice.MulticastDNSModeDisabled), ice.WithLoggerFactory(loggers(discard)))
	must(err)
	t.Cleanup(func() { agent.GracefulClose() })
	candidates, err := (&peer{agent: agent}).gather(ctx)
	must(err)
	ufrag, password, err := agent.GetLocalUserCredentials()
	must(err)
	text, err := makeCertificate()
	must(err)
	pair, err := parseCertificate(text)
	must(err)
	o := &offer{mid: "0", bundle: true}
	s := &session{road: &Road{certificate: pair}, peer: &peer{offer: o}}
	answer, err := r.Answer(ctx, strings.Replace(s.description(ufrag, password, candidates), "a=setup:active", "a=setup:actpass", 1), nil)
	must(err)

	of := func(name string) string {
		found := regexp.MustCompile("(?m)^a=" + name + ":(.*)\r$").FindStringSubmatch(answer)
		if found == nil {
			t.Fatalf("the answer has no %s:\n%s", name, answer)
		}
		return found[1]
	}
	remote, err := ice.UnmarshalCandidate(of("candidate"))
	must(err)
	must(agent.AddRemoteCandidate(remote))
	way, err := agent.Dial(ctx, of("ice-ufrag"), of("ice-pwd"))
	must(err)
	node := &peer{offer: &offer{fingerprint: strings.TrimPrefix(of("fingerprint"), "sha-256 ")}}
	secure, err := dtls.ServerWithOptions(dtlsnet.PacketConnFromConn(way), way.RemoteAddr(), dtls.WithCertificates(pair),
		dtls.WithClientAuth(dtls.RequireAnyClientCert), dtls.WithVerifyPeerCertificate(node.verify),
		dtls.WithSRTPProtectionProfiles(dtls.SRTP_AEAD_AES_128_GCM), dtls.WithLoggerFactory(loggers(discard)))
	must(err)
	must(secure.HandshakeContext(ctx))
	b := &orderly{browser: &browser{window: true, done: make(chan struct{})}, resets: newResets(secure)}
	b.sctp, err = sctp.ClientWithOptions(sctp.WithNetConn(b.resets), sctp.WithMTU(mtu), sctp.WithEnableZeroChecksum(true), sctp.WithLoggerFactory(loggers(discard)))
	must(err)
	t.Cleanup(func() {
		close(b.done)
		(&peer{agent: agent, resets: b.resets, sctp: b.sctp}).close()
		b.channels.Wait()
	})
	return b
}

// Open begins an exchange.
func (b *orderly) Open(context.Context) (net.Conn, error) {
	stream, err := b.sctp.OpenStream(uint16(b.next.Add(2)-1), sctp.PayloadTypeWebRTCBinary)
	if err != nil {
		return nil, err
	}
	open := append([]byte{dcepOpen, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, byte(len(WindowProtocol))}, WindowProtocol...)
	if _, err := stream.WriteSCTP(open, sctp.PayloadTypeWebRTCDCEP); err != nil {
		return nil, err
	}
	c := newBrowserConn(b.browser, &orderlyChannel{Stream: stream, b: b})
	c.start()
	return c, nil
}

// orderlyChannel is a data channel of it.
type orderlyChannel struct {
	*sctp.Stream
	b    *orderly
	once sync.Once
}

func (c *orderlyChannel) ReadDataChannel(p []byte) (int, bool, error) {
	for {
		n, kind, err := c.ReadSCTP(p)
		switch {
		case err != nil:
			c.Close()
			return n, false, err
		case kind == sctp.PayloadTypeWebRTCDCEP:
		case kind == sctp.PayloadTypeWebRTCBinaryEmpty:
			return 0, false, nil
		case kind == sctp.PayloadTypeWebRTCBinary:
			return n, false, nil
		default:
			return n, false, fmt.Errorf("a message of kind %s", kind)
		}
	}
}

func (c *orderlyChannel) WriteDataChannel(p []byte, text bool) (int, error) {
	kind := sctp.PayloadTypeWebRTCBinary
	if text {
		kind = sctp.PayloadTypeWebRTCString
	}
	return c.WriteSCTP(p, kind)
}

func (c *orderlyChannel) Write(p []byte) (int, error) { return c.WriteDataChannel(p, false) }

func (c *orderlyChannel) Close() error {
	c.once.Do(func() { c.b.resets.reset(c.Stream) })
	return nil
}
