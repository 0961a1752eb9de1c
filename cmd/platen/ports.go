package main

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strconv"
	"sync"

	"github.com/platen-scan/platen/proto/api"
)

// port is one address that a service wants to answer at.
type port struct {
	name    string // for people: "HTTPS"
	host    string // "" is every address
	number  int    // 0 takes any free one
	handler http.Handler
	secure  *tls.Config // nil: plain HTTP
	spare   bool        // the service does without it, as where a machine has no IPv6
}

func (p port) key() string { return p.name + " " + net.JoinHostPort(p.host, strconv.Itoa(p.number)) }

// ports are the open ports of a service. Set may change them while they serve. The
// zero ports has none.
type ports struct {
	base *base

	mu   sync.Mutex
	open []*openPort
	ctx  context.Context // of Serve; nil before
	runs sync.WaitGroup
	err  error // of a port that broke
	end  context.CancelFunc
}

type openPort struct {
	port
	net.Listener
	stop context.CancelFunc // nil until it serves
}

// Set opens the ports that are wanted and not open, and closes those that are open
// and not wanted. If one cannot be opened everything stays as it was.
func (p *ports) Set(wanted []port) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var keep, drop []*openPort
	missing := wanted
	for _, o := range p.open {
		if i := indexKey(missing, o.key()); i >= 0 {
			keep, missing = append(keep, o), append(append([]port{}, missing[:i]...), missing[i+1:]...)
		} else {
			drop = append(drop, o)
		}
	}
	for _, o := range drop { // first: a new one may take its place
		p.closeLocked(o)
	}
	fresh, err := openAll(missing)
	if err != nil {
		again := make([]port, len(drop))
		for i, o := range drop {
			again[i] = o.port
		}
		old, reopen := openAll(again)
		p.open = append(keep, old...)
		p.startLocked()
		return errors.Join(err, reopen)
	}
	p.open = append(keep, fresh...)
	p.startLocked()
	return nil
}

func indexKey(list []port, key string) int {
	for i, p := range list {
		if p.key() == key {
			return i
		}
	}
	return -1
}

// openAll opens all or none.
func openAll(list []port) ([]*openPort, error) {
	var opened []*openPort
	for _, p := range list {
		number := p.number
		if number == 0 { // the same free port on all addresses of one name
			for _, o := range opened {
				if o.name == p.name {
					number = portOf(o.Listener)
				}
			}
		}
		l, err := listen(net.JoinHostPort(p.host, strconv.Itoa(number)))
		if err != nil && p.spare {
			continue
		}
		if err != nil {
			for _, o := range opened {
				o.Close()
			}
			return nil, fmt.Errorf("opening the port for %s: %w", p.name, err)
		}
		opened = append(opened, &openPort{port: p, Listener: l})
	}
	return opened, nil
}

// closeLocked frees the address at once. What is under way has its time to end: the
// request that changes the ports may have come by this one.
func (p *ports) closeLocked(o *openPort) {
	if o.stop != nil {
		o.stop()
	}
	o.Close()
}

func (p *ports) startLocked() {
	if p.ctx == nil {
		return
	}
	for _, o := range p.open {
		if o.stop != nil {
			continue
		}
		ctx, stop := context.WithCancel(p.ctx)
		o.stop = stop
		p.runs.Go(func() {
			if err := p.base.serveHTTP(ctx, o.Listener, o.handler, o.secure); err != nil && ctx.Err() == nil {
				p.broke(err)
			}
		})
	}
}

func (p *ports) broke(err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.err = errors.Join(p.err, err)
	p.end()
}

// Serve answers on the ports until ctx ends or one of them breaks.
func (p *ports) Serve(ctx context.Context) error {
	ctx, end := context.WithCancel(ctx)
	defer end()
	p.mu.Lock()
	p.ctx, p.end = ctx, end
	p.startLocked()
	p.mu.Unlock()
	<-ctx.Done()
	p.runs.Wait()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.err
}

// Close closes ports that were never served.
func (p *ports) Close() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.open {
		o.Close()
	}
	p.open = nil
}

// number is the port that the first listener of this name has; 0 if there is none.
func (p *ports) number(name string) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, o := range p.open {
		if o.name == name {
			return portOf(o.Listener)
		}
	}
	return 0
}

// describe lists the open ports for people: one for both kinds of loopback.
func (p *ports) describe() []api.SetupPort {
	p.mu.Lock()
	defer p.mu.Unlock()
	var list []api.SetupPort
	for _, o := range p.open {
		p := api.SetupPort{Name: o.name, Address: addressName(o.host), Port: portOf(o.Listener), Protocol: api.SetupPortProtocolTcp, Open: true}
		if !slices.Contains(list, p) {
			list = append(list, p)
		}
	}
	return list
}

const loopback = "loopback" // as the address of a port

func addressName(host string) string {
	switch host {
	case "":
		return "all"
	case "127.0.0.1", "::1":
		return loopback
	}
	return host
}

// byPeer lets one listener on every address serve the machine itself and other
// devices each with its own handler.
func byPeer(here, others http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if local, ok := r.Context().Value(http.LocalAddrContextKey).(*net.TCPAddr); ok && local.IP.IsLoopback() {
			here.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	})
}
