package state

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/platen-scan/platen/internal/access"
)

// Errors of this package besides access.ErrNoRecord and access.ErrConflict.
var (
	ErrInUse  = errors.New("another process uses this folder")
	ErrClosed = errors.New("the state is closed")
)

// markerAge is how long the trace of a deleted key stays, so that a watcher that
// was away learns of the deletion.
const markerAge = 15 * time.Minute

// BucketConfig names a bucket and bounds it.
type BucketConfig struct {
	Name     string // letters and digits
	MaxValue int32  // bytes of one value
	MaxBytes int64  // bytes of the whole bucket; writes beyond fail
}

// Bucket is a set of keys with values. A key has one value and a revision that
// grows with every write to the bucket. Every write is durable when it returns.
type Bucket struct {
	kv      jetstream.KeyValue
	js      jetstream.JetStream
	prefix  string // of the subjects that carry the keys
	updates *together
}

// Entry is one key of a bucket.
type Entry struct {
	Key      string
	Value    []byte
	Revision uint64
	Deleted  bool // only from Watch: the key is gone
}

// Bucket opens a bucket, making it at first use.
func (s *State) Bucket(ctx context.Context, cfg BucketConfig) (*Bucket, error) {
	// As of a key-value bucket of NATS, whose own call cannot ask for batches.
	prefix := "$KV." + cfg.Name + "."
	_, err := s.js.CreateOrUpdateStream(ctx, jetstream.StreamConfig{
		Name:                   "KV_" + cfg.Name,
		Subjects:               []string{prefix + ">"},
		MaxMsgSize:             cfg.MaxValue,
		MaxBytes:               cfg.MaxBytes,
		MaxMsgs:                -1,
		MaxMsgsPerSubject:      1,
		MaxConsumers:           -1,
		Storage:                jetstream.FileStorage,
		Replicas:               1,
		Discard:                jetstream.DiscardNew,
		Duplicates:             2 * time.Minute,
		DenyDelete:             true,
		AllowRollup:            true,
		AllowDirect:            true,
		AllowMsgTTL:            true,
		AllowAtomicPublish:     true,
		SubjectDeleteMarkerTTL: markerAge,
	})
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", cfg.Name, err)
	}
	kv, err := s.js.KeyValue(ctx, cfg.Name)
	if err != nil {
		return nil, fmt.Errorf("opening bucket %s: %w", cfg.Name, err)
	}
	return &Bucket{kv: kv, js: s.js, prefix: prefix, updates: newTogether(s.js)}, nil
}

// Get returns the entry of a key, or access.ErrNoRecord.
func (b *Bucket) Get(ctx context.Context, key string) (Entry, error) {
	e, err := b.kv.Get(ctx, key)
	if err != nil {
		return Entry{}, b.failed("reading", key, err)
	}
	return Entry{Key: key, Value: e.Value(), Revision: e.Revision()}, nil
}

// Create writes a key that has no value, else access.ErrConflict. With a ttl the
// server forgets the key by itself, to the second; 0 keeps it.
func (b *Bucket) Create(ctx context.Context, key string, value []byte, ttl time.Duration) (uint64, error) {
	var opts []jetstream.KVCreateOpt
	if ttl > 0 {
		opts = append(opts, jetstream.KeyTTL(wholeSeconds(ttl)))
	}
	revision, err := b.kv.Create(ctx, key, value, opts...)
	if err != nil {
		return 0, b.failed("creating", key, err)
	}
	return revision, nil
}

// Update replaces the value if the key still has the revision, else access.ErrConflict.
func (b *Bucket) Update(ctx context.Context, key string, value []byte, ttl time.Duration, revision uint64) (uint64, error) {
	msg := nats.NewMsg(b.prefix + key)
	msg.Data = value
	msg.Header.Set(jetstream.ExpectedLastSubjSeqHeader, strconv.FormatUint(revision, 10))
	if ttl > 0 { // which KeyValue.Update cannot carry, and would make the key live for ever
		msg.Header.Set(jetstream.MsgTTLHeader, wholeSeconds(ttl).String())
	}
	revision, err := b.updates.write(ctx, msg)
	if err != nil {
		return 0, b.failed("updating", key, err)
	}
	return revision, nil
}

// Put writes a key whatever it holds. It is for keys with one writer.
func (b *Bucket) Put(ctx context.Context, key string, value []byte) (uint64, error) {
	revision, err := b.kv.Put(ctx, key, value)
	if err != nil {
		return 0, b.failed("writing", key, err)
	}
	return revision, nil
}

// Delete forgets a key. It is silent where there is nothing.
func (b *Bucket) Delete(ctx context.Context, key string) error {
	if _, err := b.Get(ctx, key); errors.Is(err, access.ErrNoRecord) {
		return nil // and no trace of a key that never was
	}
	if err := b.kv.Purge(ctx, key, jetstream.PurgeTTL(markerAge)); err != nil {
		return b.failed("deleting", key, err)
	}
	return nil
}

// DeleteRevision forgets a key that still has the revision, else access.ErrConflict.
func (b *Bucket) DeleteRevision(ctx context.Context, key string, revision uint64) error {
	err := b.kv.Purge(ctx, key, jetstream.PurgeTTL(markerAge), jetstream.LastRevision(revision))
	if err != nil {
		return b.failed("deleting", key, err)
	}
	return nil
}

// List returns the entries whose keys begin with prefix, in key order.
func (b *Bucket) List(ctx context.Context, prefix string) ([]Entry, error) {
	w, err := b.kv.Watch(ctx, filter(prefix), jetstream.IgnoreDeletes())
	if err != nil {
		return nil, b.failed("listing", prefix, err)
	}
	defer w.Stop()
	var list []Entry
	for {
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case e, open := <-w.Updates():
			switch {
			case !open:
				return nil, ErrClosed
			case e == nil: // that was all
				slices.SortFunc(list, func(a, b Entry) int { return strings.Compare(a.Key, b.Key) })
				return list, nil
			case strings.HasPrefix(e.Key(), prefix):
				list = append(list, Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision()})
			}
		}
	}
}

// Watch calls yield for every key that there is, in no order, then for every
// change, until ctx ends (nil), yield fails or the state is closed. A key may come
// twice with the same revision.
func (b *Bucket) Watch(ctx context.Context, yield func(Entry) error) error {
	w, err := b.kv.WatchAll(ctx)
	switch {
	case ctx.Err() != nil:
		return nil // w, if there is one, ends with it
	case err != nil:
		return b.failed("watching", ">", err)
	}
	defer w.Stop()
	for {
		select {
		case <-ctx.Done():
			return nil
		case e, open := <-w.Updates():
			switch {
			case !open && ctx.Err() != nil:
				return nil
			case !open:
				return ErrClosed
			case e == nil:
				continue
			}
			entry := Entry{Key: e.Key(), Value: e.Value(), Revision: e.Revision(), Deleted: e.Operation() != jetstream.KeyValuePut}
			if err := yield(entry); err != nil {
				return err
			}
		}
	}
}

// failed gives the errors that callers act on their names.
func (b *Bucket) failed(doing, key string, err error) error {
	var api *jetstream.APIError
	switch {
	case errors.Is(err, jetstream.ErrKeyNotFound), errors.Is(err, jetstream.ErrKeyDeleted):
		err = access.ErrNoRecord
	case errors.Is(err, jetstream.ErrKeyExists):
		err = access.ErrConflict
	case errors.As(err, &api) && (api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequence ||
		api.ErrorCode == jetstream.JSErrCodeStreamWrongLastSequenceConstant):
		err = access.ErrConflict
	}
	return fmt.Errorf("%s %s in bucket %s: %w", doing, area(key), b.kv.Bucket(), err)
}

// area is the part of a key that may stand in a log: the rest can be a hashed secret.
func area(key string) string {
	word, _, _ := strings.Cut(key, ".")
	return word
}

// filter is the narrowest subject filter that covers a prefix.
func filter(prefix string) string {
	if i := strings.LastIndexByte(prefix, '.'); i >= 0 {
		return prefix[:i+1] + ">"
	}
	return ">"
}

// wholeSeconds rounds up: a server-side TTL has no finer step.
func wholeSeconds(d time.Duration) time.Duration {
	return (d + time.Second - 1) / time.Second * time.Second
}
