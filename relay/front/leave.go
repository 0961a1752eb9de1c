package front

import (
	"context"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
)

// counted counts requests under way.
func (f *Front) counted(h http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.underWay.Enter()
		defer f.underWay.Leave()
		h.ServeHTTP(w, r)
	})
}

// leave ends in good order: nobody new is let in; browsers and nodes are told to come
// back over other connections, and get what they asked for; the links stand until their
// owner, whose requests go over them, has closed them. All of it takes Grace at most,
// and nothing where a socket has failed.
func (s *serving) leave(quicIn *quic.Listener) {
	end, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), s.config.Grace)
	defer cancel()
	if s.failure() != nil {
		cancel()
	}
	s.tcp.Close()
	quicIn.Close()

	// Who has no request under way is not waited for long: a connection that was opened
	// in case it is needed counts as busy for seconds.
	answered, stop := context.WithCancel(end)
	defer stop()
	var leaving sync.WaitGroup
	leaving.Go(func() { s.web.Shutdown(answered); s.web.Close() })
	leaving.Go(func() { s.node.Shutdown(answered); s.node.Close() })
	leaving.Go(func() { s.web3.shutdown(answered) })
	left := make(chan struct{})
	go func() { leaving.Wait(); close(left) }()
	s.answer(end, left)
	stop()
	<-left

	s.open.wait(end)
}

// answer waits for the end of the requests under way, and a while for their last bytes;
// less if all have left.
func (s *serving) answer(ctx context.Context, left <-chan struct{}) {
	for {
		before := s.underWay.Total()
		select {
		case <-s.underWay.Idle():
		case <-left:
			return
		case <-ctx.Done():
			return
		}
		last := time.NewTimer(lastBytes)
		select {
		case <-last.C:
		case <-left:
			last.Stop()
			return
		case <-ctx.Done():
			last.Stop()
			return
		}
		if s.underWay.Total() == before {
			return
		}
	}
}
