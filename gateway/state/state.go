package state

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// Config says where the state lives.
type Config struct {
	Dir string           // the folder of the embedded server; made where missing, 0700
	Log *slog.Logger     // nil: discarded
	Now func() time.Time // nil: time.Now. Judges what has expired
}

// State is the open state of one gateway. Its methods are safe for concurrent use.
type State struct {
	now    func() time.Time
	lock   *dirLock
	server *server.Server
	conn   *nats.Conn
	js     jetstream.JetStream

	nodes    *Nodes
	scanners *Scanners
	records  *Records
	ledger   *Ledger
}

// Open takes the folder for this process, starts the embedded server in it and
// opens the buckets, recovering from whatever way the last process ended.
func Open(ctx context.Context, cfg Config) (*State, error) {
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	s := &State{now: cfg.Now}
	if err := s.open(ctx, cfg); err != nil {
		return nil, errors.Join(fmt.Errorf("opening the gateway's state in %s: %w", cfg.Dir, err), s.Close())
	}
	return s, nil
}

func (s *State) open(ctx context.Context, cfg Config) (err error) {
	if err := os.MkdirAll(cfg.Dir, 0o700); err != nil {
		return err
	}
	if s.lock, err = lockDir(cfg.Dir); err != nil {
		return err
	}
	if s.server, err = startServer(ctx, cfg.Dir, cfg.Log); err != nil {
		return err
	}
	if s.conn, err = nats.Connect("", nats.InProcessServer(s.server), nats.Name("platen"), nats.NoReconnect()); err != nil {
		return fmt.Errorf("connecting to the embedded server: %w", err)
	}
	if s.js, err = jetstream.New(s.conn); err != nil {
		return err
	}
	return s.openBuckets(ctx)
}

func (s *State) openBuckets(ctx context.Context) error {
	nodes, err := s.Bucket(ctx, BucketConfig{Name: "nodes", MaxValue: 16 << 10, MaxBytes: 128 << 20})
	if err != nil {
		return err
	}
	scanners, err := s.Bucket(ctx, BucketConfig{Name: "scanners", MaxValue: 512 << 10, MaxBytes: 256 << 20})
	if err != nil {
		return err
	}
	records, err := s.Bucket(ctx, BucketConfig{Name: "records", MaxValue: 64 << 10, MaxBytes: 128 << 20})
	if err != nil {
		return err
	}
	// A batch of 500 pages with the longest texts has less than MaxValue; ten million
	// pages of an ordinary kind have about 2 GiB.
	ledger, err := s.Bucket(ctx, BucketConfig{Name: "ledger", MaxValue: 512 << 10, MaxBytes: 16 << 30})
	if err != nil {
		return err
	}
	s.nodes = &Nodes{bucket: nodes}
	s.scanners = &Scanners{bucket: scanners}
	s.records = &Records{bucket: records, now: s.now}
	s.ledger = &Ledger{Records{bucket: ledger, now: s.now}}
	return nil
}

// Close stops the server once everything is on disk and gives the folder free. To
// close again does nothing; concurrent calls are not for it.
func (s *State) Close() error {
	if s.conn != nil {
		s.conn.Close()
	}
	if s.server != nil {
		s.server.Shutdown()
		s.server.WaitForShutdown()
	}
	if s.lock == nil {
		return nil
	}
	lock := s.lock
	s.lock = nil
	return lock.release()
}

// Nodes is the registry of nodes.
func (s *State) Nodes() *Nodes { return s.nodes }

// Scanners is what each node had last.
func (s *State) Scanners() *Scanners { return s.scanners }

// Records keeps what package access must remember. It implements access.Records.
func (s *State) Records() *Records { return s.records }

// Ledger keeps what a licence tracking server has counted, apart from Records, so that
// neither can fill up the other.
func (s *State) Ledger() *Ledger { return s.ledger }
