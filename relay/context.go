package relay

import (
	"context"
	"crypto/ed25519"
)

type peerKey struct{}

// WithPeerKey says which key the other end of a request's connection proved.
func WithPeerKey(ctx context.Context, key ed25519.PublicKey) context.Context {
	return context.WithValue(ctx, peerKey{}, key)
}

// PeerKeyOf is the key that the other end of the request's connection proved: the
// node's for the gateway's node handler, the gateway's for a node's link handler.
// It is nil on every other road.
func PeerKeyOf(ctx context.Context) ed25519.PublicKey {
	key, _ := ctx.Value(peerKey{}).(ed25519.PublicKey)
	return key
}

type controlKey struct{}

// WithControl marks requests with small answers (hello, events, drain, cancel and
// every other call that brings no page): they never wait behind bodies. There are
// ControlRequests slots for them.
func WithControl(ctx context.Context) context.Context {
	return context.WithValue(ctx, controlKey{}, true)
}

func isControl(ctx context.Context) bool {
	control, _ := ctx.Value(controlKey{}).(bool)
	return control
}

type streamKey struct{}

// WithStream says over which Stream, with a StallLimit, a request came, for Progress: with
// HTTP/1.1, where it carries one answer at a time, the watch is left to it, and with
// HTTP/2 it is no reader's fault what it waits.
func WithStream(ctx context.Context, s *Stream) context.Context {
	return context.WithValue(ctx, streamKey{}, s)
}

func streamOf(ctx context.Context) *Stream {
	s, _ := ctx.Value(streamKey{}).(*Stream)
	return s
}
