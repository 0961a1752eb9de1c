package gateway

import (
	"errors"
	"io"
	"sync"
	"time"
)

// waitingTime ends a request whose node does not begin to answer in answerLimit.
type waitingTime struct {
	mu    sync.Mutex
	timer *time.Timer
	over  bool // the answer has begun, or nobody waits for it
}

func newWaitingTime(end func()) *waitingTime {
	return &waitingTime{timer: time.AfterFunc(answerLimit, end)}
}

func (w *waitingTime) stop() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.over = true
	w.timer.Stop()
}

// again lets it begin anew.
func (w *waitingTime) again() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.over {
		w.timer.Reset(answerLimit)
	}
}

// upload is a request's body on its way to a node. While bytes come the node's answer is
// not waited for, and a client that sends none for answerLimit loses its place on the link.
type upload struct {
	io.ReadCloser
	waiting *waitingTime

	mu  sync.Mutex
	err error // that ended it early
}

func (u *upload) Read(p []byte) (int, error) {
	n, err := u.ReadCloser.Read(p)
	if n > 0 {
		u.waiting.again()
	}
	if err != nil && !errors.Is(err, io.EOF) {
		u.mu.Lock()
		u.err = err
		u.mu.Unlock()
	}
	return n, err
}

// problem is what was wrong with the body; nil: nothing, or there is none.
func (u *upload) problem() error {
	if u == nil {
		return nil
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	if u.err == nil {
		return nil
	}
	return badBody(u.err)
}
