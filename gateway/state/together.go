package state

import (
	"context"
	"crypto/rand"
	"strconv"
	"sync"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
)

// A write waits for the disk, and the server syncs each one by itself: when all nodes of
// a gateway come back at once, and each changes its record twice, the disk is what they
// wait for. So updates that come while another is being written are written together, as
// one atomic batch, which is synced once.
//
// A batch is refused whole if one of its updates is. Then each is tried by itself.
const (
	mostTogether  = 500 // the server takes 1000
	togetherLimit = 30 * time.Second
)

// Headers of a batch.
const (
	headerBatch       = "Nats-Batch-Id"
	headerBatchNumber = "Nats-Batch-Sequence"
	headerBatchCommit = "Nats-Batch-Commit"
)

// together gathers the updates of one bucket.
type together struct {
	js   jetstream.JetStream
	turn chan struct{} // holds a word while some are being written

	mu  sync.Mutex
	due []*update // in the order in which they came
}

// update is one message for a bucket's stream.
type update struct {
	msg      *nats.Msg
	done     chan struct{} // closed when it is written, or cannot be
	revision uint64
	err      error
}

func newTogether(js jetstream.JetStream) *together {
	return &together{js: js, turn: make(chan struct{}, 1)}
}

// write returns once the message is safe. If ctx ends before, it may or may not have
// been written.
func (t *together) write(ctx context.Context, msg *nats.Msg) (revision uint64, err error) {
	if err := ctx.Err(); err != nil {
		return 0, err
	}
	u := &update{msg: msg, done: make(chan struct{})}
	t.mu.Lock()
	t.due = append(t.due, u)
	t.mu.Unlock()
	for {
		select {
		case <-u.done:
			return u.revision, u.err
		case <-ctx.Done():
			return 0, ctx.Err()
		case t.turn <- struct{}{}:
			t.writeDue(context.WithoutCancel(ctx)) // whoever is first writes for all
			<-t.turn
		}
	}
}

// writeDue writes what has come until now.
func (t *together) writeDue(ctx context.Context) {
	t.mu.Lock()
	n := min(len(t.due), mostTogether)
	updates := t.due[:n:n]
	t.due = t.due[n:]
	t.mu.Unlock()
	if n == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, togetherLimit)
	defer cancel()
	if n > 1 && t.batch(ctx, updates) == nil {
		return
	}
	for _, u := range updates {
		ack, err := t.js.PublishMsg(ctx, u.msg)
		if u.err = err; err == nil {
			u.revision = ack.Sequence
		}
		close(u.done)
	}
}

// batch writes all, or none and says why.
func (t *together) batch(ctx context.Context, updates []*update) error {
	id, last := rand.Text(), len(updates)-1
	for i, u := range updates {
		msg := nats.NewMsg(u.msg.Subject)
		msg.Data = u.msg.Data
		for name, value := range u.msg.Header {
			msg.Header[name] = value
		}
		msg.Header.Set(headerBatch, id)
		msg.Header.Set(headerBatchNumber, strconv.Itoa(i+1))
		if i < last {
			if err := t.js.Conn().PublishMsg(msg); err != nil {
				return err
			}
			continue
		}
		msg.Header.Set(headerBatchCommit, "1")
		ack, err := t.js.PublishMsg(ctx, msg)
		if err != nil {
			return err
		}
		for i, u := range updates { // nothing else can stand between them
			u.revision = ack.Sequence - uint64(last-i)
			close(u.done)
		}
	}
	return nil
}
