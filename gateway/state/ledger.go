package state

import (
	"context"
	"fmt"
	"strings"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/platen-scan/platen/internal/access"
)

// Ledger are Records for what only grows and may be larger than memory: the pages that a
// licence tracking server has counted. They differ from Records in List.
type Ledger struct{ Records }

var _ access.Records = (*Ledger)(nil)

// List yields the live records whose keys begin with prefix in the order in which they
// were written, which is that of their keys where these ascend. It holds a few of them
// at a time.
func (l *Ledger) List(ctx context.Context, prefix string, yield func(key string, value []byte) error) error {
	return l.bucket.Walk(ctx, prefix, func(e Entry) error {
		value, live := l.open(e)
		if !live {
			return nil
		}
		return yield(e.Key, value)
	})
}

// walkAhead bounds how much of a bucket Walk reads before yield has taken it, in bytes.
const walkAhead = 8 << 20

// Walk calls yield for each entry that is there and whose key begins with prefix, in the
// order in which they were written.
func (b *Bucket) Walk(ctx context.Context, prefix string, yield func(Entry) error) error {
	consumer, err := b.js.OrderedConsumer(ctx, "KV_"+b.kv.Bucket(), jetstream.OrderedConsumerConfig{
		FilterSubjects: []string{b.prefix + filter(prefix)},
		DeliverPolicy:  jetstream.DeliverAllPolicy,
	})
	if err != nil {
		return b.failed("reading through", prefix, err)
	}
	info, err := consumer.Info(ctx)
	if err != nil {
		return b.failed("reading through", prefix, err)
	}
	if info.NumPending == 0 {
		return nil
	}
	messages, err := consumer.Messages(jetstream.PullMaxBytes(walkAhead), jetstream.PullThresholdBytes(walkAhead/2))
	if err != nil {
		return b.failed("reading through", prefix, err)
	}
	defer messages.Stop()
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		if err != nil {
			return b.failed("reading through", prefix, err)
		}
		at, err := m.Metadata()
		if err != nil {
			return fmt.Errorf("reading through bucket %s: %w", b.kv.Bucket(), err)
		}
		key := strings.TrimPrefix(m.Subject(), b.prefix)
		if h := m.Headers(); h.Get("KV-Operation") == "" && h.Get("Nats-Marker-Reason") == "" && strings.HasPrefix(key, prefix) {
			if err := yield(Entry{Key: key, Value: m.Data(), Revision: at.Sequence.Stream}); err != nil {
				return err
			}
		}
		if at.NumPending == 0 {
			return nil
		}
	}
}
