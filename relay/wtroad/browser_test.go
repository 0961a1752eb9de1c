package wtroad_test

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"github.com/quic-go/webtransport-go"

	"github.com/platen-scan/platen/relay"
	"github.com/platen-scan/platen/relay/relaytest"
	"github.com/platen-scan/platen/relay/wtroad"
)

const origin = "https://app.example"

// end is a node's end of a road on a loopback port.
type end struct {
	*wtroad.Road
	certificates *wtroad.Certificates
	done         chan error // of Serve
}

func newEnd(t testing.TB, change func(*wtroad.Config)) *end {
	t.Helper()
	certificates, err := wtroad.OpenCertificates(wtroad.CertificatesConfig{Dir: t.TempDir(), Log: quiet})
	if err != nil {
		t.Fatal(err)
	}
	config := wtroad.Config{Certificates: certificates, Log: quiet, Limits: wtroad.Limits{RetryAbove: 10_000}}
	if change != nil {
		change(&config)
	}
	road, err := wtroad.New(config)
	if err != nil {
		t.Fatal(err)
	}
	if err := road.Listen("127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	e := &end{Road: road, certificates: config.Certificates, done: make(chan error, 1)}
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		e.done <- road.Serve(ctx)
	}()
	t.Cleanup(func() { cancel(); <-ended })
	return e
}

var quiet = slog.New(slog.DiscardHandler)

// visit is how a test's browser comes.
type visit struct {
	path    string
	header  http.Header
	hashes  []string // of the certificates that it takes
	tls     func(*tls.Config)
	network net.PacketConn // nil: a socket of its own
}

func (e *end) visit() visit {
	return visit{path: wtroad.Path, header: http.Header{"Origin": {origin}}, hashes: e.certificates.Hashes()}
}

// join opens a session as a browser does that pins hashes.
func (e *end) join(ctx context.Context, v visit) (*browser, int, error) {
	config := &tls.Config{
		MinVersion: tls.VersionTLS13, NextProtos: []string{http3.NextProtoH3},
		InsecureSkipVerify: true, // as a browser with hashes: VerifyConnection decides
		VerifyConnection: func(s tls.ConnectionState) error {
			hash := sha256.Sum256(s.PeerCertificates[0].Raw)
			if !slices.Contains(v.hashes, base64.RawURLEncoding.EncodeToString(hash[:])) {
				return errors.New("the certificate is not pinned")
			}
			return nil
		},
	}
	if v.tls != nil {
		v.tls(config)
	}
	const window = (relaytest.RoadExchanges + 8) * relay.RoadWindow
	transport := &webtransport.Transport{
		Config:          &webtransport.Config{MaxIncomingStreams: 1, MaxIncomingUniStreams: 1, MaxIncomingData: window},
		TLSClientConfig: config,
		QUICConfig: &quic.Config{
			EnableDatagrams: true, EnableStreamResetPartialDelivery: true, InitialPacketSize: 1200, MaxIdleTimeout: relay.IdleTimeout,
			InitialStreamReceiveWindow: relay.RoadWindow, MaxStreamReceiveWindow: relay.RoadWindow,
			InitialConnectionReceiveWindow: window, MaxConnectionReceiveWindow: window,
		},
	}
	if v.network != nil {
		q := &quic.Transport{Conn: v.network}
		transport.DialAddr = func(ctx context.Context, _ string, t *tls.Config, c *quic.Config) (*quic.Conn, error) {
			conn, err := q.DialEarly(ctx, e.Addr(), t, c)
			if err != nil {
				q.Close()
				return nil, err
			}
			context.AfterFunc(conn.Context(), func() { q.Close() })
			return conn, nil
		}
	}
	answer, session, err := transport.Dial(ctx, fmt.Sprintf("https://%s%s", e.Addr(), v.path), v.header)
	status := 0
	if answer != nil {
		status = answer.StatusCode
	}
	if err != nil {
		return nil, status, err
	}
	return &browser{session}, status, nil
}

func (e *end) mustJoin(t testing.TB) *browser {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), relaytest.Patience)
	defer cancel()
	b, _, err := e.join(ctx, e.visit())
	if err != nil {
		t.Fatalf("joining the road: %v", err)
	}
	t.Cleanup(func() { b.Close() })
	return b
}

// browser is one session.
type browser struct{ session *webtransport.Session }

func (b *browser) Open(ctx context.Context) (net.Conn, error) {
	s, err := b.session.OpenStreamSync(ctx)
	if err != nil {
		return nil, err
	}
	return &stream{s, b.session}, nil
}

func (b *browser) Close() error { return b.session.CloseWithError(0, "") }

// stream is the browser's end of an exchange.
type stream struct {
	*webtransport.Stream
	session *webtransport.Session
}

func (s *stream) LocalAddr() net.Addr  { return s.session.LocalAddr() }
func (s *stream) RemoteAddr() net.Addr { return s.session.RemoteAddr() }
func (s *stream) CloseWrite() error    { return s.Stream.Close() }

// Close resets what has not ended.
func (s *stream) Close() error {
	s.CancelRead(1)
	s.CancelWrite(1)
	return nil
}

// gone waits for a session to end and returns why.
func (b *browser) gone(t testing.TB) error {
	t.Helper()
	select {
	case <-b.session.Context().Done():
	case <-time.After(relaytest.Patience):
		t.Fatal("the session goes on")
	}
	_, err := b.session.OpenStream()
	return err
}
