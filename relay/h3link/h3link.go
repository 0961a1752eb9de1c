// Package h3link carries a link over QUIC: the node dials, then runs an HTTP/3
// server on the connection, and the gateway an HTTP/3 client. It turns the
// connection round and nothing else. The node's Keeper calls Dialer, the gateway's
// front calls Accept.
//
// It opens no stream from node to gateway but HTTP/3's control stream: HTTP/3 in
// both directions on one connection does not work. It never sends GOAWAY: with the
// roles turned round it kills the streams under way.
package h3link

import (
	"errors"
	"fmt"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/platen-scan/platen/relay"
)

// config is what both ends have in common. The windows do not grow: the sum of the
// streams' never exceeds the connection's, so no reader can take another's.
func config() *quic.Config {
	return &quic.Config{
		HandshakeIdleTimeout:           relay.HandshakeTimeout,
		MaxIdleTimeout:                 relay.IdleTimeout,
		InitialPacketSize:              1200, // 1280 does not connect over a path with MTU 1280
		InitialStreamReceiveWindow:     relay.StreamWindow,
		MaxStreamReceiveWindow:         relay.StreamWindow,
		InitialConnectionReceiveWindow: relay.LinkWindow,
		MaxConnectionReceiveWindow:     relay.LinkWindow,
		MaxIncomingUniStreams:          1, // the control stream
	}
}

// ServerConfig is the gateway's QUIC configuration for links. Only the gateway
// opens requests.
func ServerConfig() *quic.Config {
	c := config()
	c.MaxIncomingStreams = -1
	return c
}

func nodeConfig() *quic.Config {
	c := config()
	c.MaxIncomingStreams = relay.MaxRequests + relay.ControlRequests
	// Where no heartbeats go out this asks whether the gateway lives.
	c.KeepAlivePeriod = keepAlive
	return c
}

// reason is the error of a connection that ended: what the gateway said, if it
// said something.
func reason(err error) error {
	var reset *quic.StatelessResetError
	if errors.As(err, &reset) {
		return fmt.Errorf("%w: %w", relay.ErrForgotten, err)
	}
	var refused *quic.TransportError
	if errors.As(err, &refused) && refused.Remote && refused.ErrorCode == quic.ConnectionRefused {
		return fmt.Errorf("%w: %w", relay.ErrBusy, err)
	}
	var said *quic.ApplicationError
	if !errors.As(err, &said) || !said.Remote {
		return err
	}
	if said.ErrorMessage != "" {
		return relay.Refused(said.ErrorMessage)
	}
	if said.ErrorCode == quic.ApplicationErrorCode(http3.ErrCodeNoError) {
		return errClosed
	}
	return err
}

var errClosed = errors.New("closed by the other end")
