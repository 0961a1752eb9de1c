package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// server is a worker process at work: it answers its node's requests.
type server struct {
	driver  Driver
	codecs  imaging.Codecs
	frames  *frameWriter
	session *Session // nil until a device is open

	mu    sync.Mutex
	scans map[int]*pending // asked for and not yet answered, by seq
}

// pending is a scan that can be canceled from the moment its request was read.
type pending struct {
	ctx context.Context
	control
}

// closeLimit bounds the good manners after the node has gone or hung up.
const closeLimit = 4 * time.Second

// serve answers requests on the calling goroutine until in ends.
func (s *server) serve(in io.Reader) error {
	s.scans = make(map[int]*pending)
	if err := s.frames.json(message{Hello: &hello{Version: protocolVersion, Driver: s.driver.Name()}}); err != nil {
		return err
	}
	requests := make(chan request, 16)
	var readErr error
	go func() {
		readErr = s.read(in, requests)
		s.cancelAll()
		// A device that does not let go must not keep the process.
		time.AfterFunc(closeLimit, func() { os.Exit(exitFailed) })
		close(requests)
	}()
	for req := range requests {
		if req.Op == opCancel {
			s.giveUp()
			continue
		}
		if err := s.frames.json(message{Reply: s.answer(req)}); err != nil {
			return err
		}
	}
	if s.session != nil {
		if err := s.session.Close(); err != nil {
			fmt.Fprintln(os.Stderr, "closing the device:", err)
		}
	}
	return readErr
}

// read takes requests until the node closes its end.
func (s *server) read(in io.Reader, requests chan<- request) error {
	frames := newFrameReader(in)
	for {
		kind, p, err := frames.next()
		if errors.Is(err, io.EOF) {
			return nil
		}
		if err != nil {
			return fmt.Errorf("reading requests: %w", err)
		}
		var req request
		if kind != frameJSON {
			return fmt.Errorf("reading requests: %w: data", errFrame)
		}
		if err := json.Unmarshal(p, &req); err != nil {
			return fmt.Errorf("reading requests: %w", err)
		}
		switch req.Op {
		case opCancel, opFinish:
			s.interrupt(req)
			if req.Seq != 0 {
				continue
			}
		case opScan:
			ctx, cancel := context.WithCancel(context.Background())
			s.mu.Lock()
			s.scans[req.Seq] = &pending{ctx: ctx, control: control{cancel: cancel}}
			s.mu.Unlock()
		}
		requests <- req
	}
}

func (s *server) interrupt(req request) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p, ok := s.scans[req.Seq]
	switch {
	case !ok:
	case req.Op == opFinish:
		p.finish.Store(true)
	default:
		p.cancel()
	}
}

func (s *server) cancelAll() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.scans {
		p.cancel()
	}
}

func (s *server) answer(req request) *reply {
	r := &reply{Seq: req.Seq}
	ctx := context.Background() // the node kills a worker that takes too long
	var err error
	switch {
	case req.Op == opDevices:
		r.Devices, err = s.driver.Devices(ctx)
		r.Devices = fitDevices(r.Devices)
	case req.Op == opOpen && s.session == nil:
		err = s.open(ctx, req.Name)
	case s.session == nil:
		err = fmt.Errorf("request %q before a device is open", clip(req.Op, 40))
	case req.Op == opCapabilities:
		r.Capabilities, err = s.capabilities(ctx)
	case req.Op == opStatus:
		var st scan.Status
		st, err = s.session.Status(ctx)
		r.Status = &st
	case req.Op == opScan:
		err = s.scan(req)
	default:
		err = fmt.Errorf("unknown request %q", clip(req.Op, 40))
	}
	r.Error = toWire(err)
	return r
}

func (s *server) open(ctx context.Context, name string) error {
	dev, err := s.driver.Open(ctx, name)
	if err != nil {
		return err
	}
	s.session = NewSession(dev, s.codecs)
	s.session.alive = func() { s.frames.json(message{Alive: true}) } // an error shows at the next page byte
	return nil
}

// giveUp ends what a Stop left open.
func (s *server) giveUp() {
	if s.session != nil {
		s.session.endBatch()
	}
}

func (s *server) capabilities(ctx context.Context) (*scan.Capabilities, error) {
	c, err := s.session.Capabilities(ctx)
	if err != nil {
		return nil, err
	}
	c, err = fitCapabilities(c)
	return &c, err
}

func (s *server) scan(req request) error {
	s.mu.Lock()
	p := s.scans[req.Seq]
	s.mu.Unlock()
	defer func() {
		s.mu.Lock()
		delete(s.scans, req.Seq)
		s.mu.Unlock()
		p.cancel()
	}()
	if req.Settings == nil {
		return errors.New("a scan without settings")
	}
	return s.session.scan(p.ctx, *req.Settings, frameSink{s.frames}, &p.control)
}

// frameSink sends pages to the node. There is one page at a time, so it is its own PageSink.
type frameSink struct{ frames *frameWriter }

func (f frameSink) PageStarted(info PageInfo) (PageSink, error) {
	return f, f.frames.json(message{Page: &info})
}

func (f frameSink) Write(p []byte) (int, error) {
	if err := f.frames.data(p); err != nil {
		return 0, err
	}
	return len(p), nil
}

// Progress may fail: so will the next Write or Commit, which can say so.
func (f frameSink) Progress(lines int) { f.frames.json(message{Lines: lines}) }

func (f frameSink) Commit(height int, patches ...Patch) error {
	return f.frames.json(message{End: &pageEnd{Height: height, Patches: patches}})
}

// Abort needs no error: without its frame the page is void as well.
func (f frameSink) Abort(err error) { f.frames.json(message{Fail: toWire(err)}) }
