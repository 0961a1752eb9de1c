package node

import (
	"context"
	"net"
	"net/http"
	"sync"
)

// serveJoined serves on l until ctx ends or l fails, which is the error. Then it breaks off
// what is under way, and returns once the last handler has. gone hears of each connection
// that has ended; nil: nobody does.
func serveJoined(ctx context.Context, server *http.Server, l net.Listener, gone func(net.Conn)) error {
	var conns, closing sync.WaitGroup
	server.ConnState = func(c net.Conn, s http.ConnState) {
		switch s {
		case http.StateNew:
			conns.Add(1)
		case http.StateClosed, http.StateHijacked:
			if gone != nil {
				gone(c)
			}
			conns.Done()
		case http.StateActive, http.StateIdle:
		}
	}
	until, end := context.WithCancel(ctx)
	closing.Go(func() {
		<-until.Done()
		server.Close()
	})
	err := server.Serve(l)
	end()
	closing.Wait()
	server.Close() // once more: a connection may have been new during the first time
	conns.Wait()
	if ctx.Err() != nil {
		return nil
	}
	return err
}
