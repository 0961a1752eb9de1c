package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/nats-io/nats-server/v2/server"
)

// Limits of the embedded server. The buckets' own limits sum up to less than maxStore.
const (
	maxStore   = 20 << 30 // bytes on disk
	maxMemory  = 1 << 20  // bytes in memory streams, of which there are none
	maxPayload = 1 << 20  // bytes of one message
)

// startTimeout bounds a start that must read back a large store. An ordinary one takes milliseconds.
const startTimeout = time.Minute

// startServer runs a JetStream server without any port. SyncAlways makes an
// acknowledged write survive a power cut: without it the server acknowledges up to
// two minutes before it syncs.
func startServer(ctx context.Context, dir string, log *slog.Logger) (*server.Server, error) {
	s, err := server.NewServer(&server.Options{
		ServerName:             "platen",
		DontListen:             true,
		NoSigs:                 true,
		NoLog:                  true,
		NoSystemAccount:        true,
		MaxPayload:             maxPayload,
		JetStream:              true,
		StoreDir:               dir,
		SyncAlways:             true,
		JetStreamMaxStore:      maxStore,
		JetStreamMaxMemory:     maxMemory,
		DisableJetStreamBanner: true,
	})
	if err != nil {
		return nil, fmt.Errorf("setting up the embedded server: %w", err)
	}
	faults := &serverLog{log: log}
	s.SetLoggerV2(faults, false, false, false)
	s.Start()

	timeout := startTimeout
	if deadline, ok := ctx.Deadline(); ok {
		timeout = min(timeout, time.Until(deadline))
	}
	if !s.ReadyForConnections(timeout) || !s.JetStreamEnabled() {
		s.Shutdown()
		s.WaitForShutdown()
		if cause := faults.fatal.Load(); cause != nil {
			return nil, fmt.Errorf("starting the embedded server: %s", *cause)
		}
		return nil, errors.New("starting the embedded server: it did not become ready")
	}
	return s, nil
}
