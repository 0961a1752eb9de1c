package airscan

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
	"time"
	"unicode"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	holdPost     = 5 * time.Second
	createWithin = 20 * time.Second // clients wait 30 s for the answer
	createAgain  = 200 * time.Millisecond
	emptyLook    = 1500 * time.Millisecond // after which a feeder is believed to be empty still
	maxMachine   = 60                      // characters of what a client calls itself
)

// Retry-After of refusals.
const (
	learnSoon = 2 * time.Second
	busyAgain = time.Second
	downAgain = 10 * time.Second
)

// createJob makes a job, or takes up the place in the queue that is kept for its client,
// and holds the request until the scanner begins with it.
func (s *Server) createJob(w http.ResponseWriter, r *http.Request, _ target) error {
	settings, err := readSettings(w, r)
	if err != nil {
		return err
	}
	k := s.learned()
	if k == nil {
		return unavailable(learnSoon, "the scanner has not answered yet")
	}
	st := s.scannerStatus(r.Context())
	o, err := remedyFor(r).order(k, settings, st.Feeder == scan.FeederLoaded)
	if err != nil {
		s.askAgain()
		return err
	}
	client := clientOf(r)
	j := s.reclaim(client, o.key())
	if j == nil {
		if j, err = s.submit(r, k, o, st, settings.Job); err != nil {
			return err
		}
	}
	return s.hold(w, r, j)
}

// readSettings reads the body of a request. Clients send it with any media type.
func readSettings(w http.ResponseWriter, r *http.Request) (*escl.Settings, error) {
	body, err := readBody(w, r)
	if err != nil {
		return nil, err
	}
	settings, err := escl.ParseSettings(body)
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, text: err.Error()}
	}
	return settings, nil
}

// submit makes a job at the node.
func (s *Server) submit(r *http.Request, k *known, o order, st scan.Status, by escl.JobSource) (*job, error) {
	if st.State == scan.ScannerOffline {
		return nil, unavailable(downAgain, "the scanner does not answer")
	}
	client := clientOf(r)
	if err := s.room(client); err != nil {
		return nil, err
	}
	if o.feeder() && k.knowsEmpty(st) {
		// Somebody may have put paper in meanwhile, and what was seen is from before the
		// last job.
		if !sleep(r.Context(), emptyLook) {
			return nil, r.Context().Err()
		}
		if k.knowsEmpty(s.scannerStatus(r.Context())) {
			return nil, impossible("the feeder is empty")
		}
	}
	j := &job{
		uuid: newUUID(), client: client, api: s.cfg.API(client), order: o, key: o.key(), patient: remedyFor(r).patient,
		turn: make(chan struct{}, 1), changed: make(chan struct{}), since: time.Now(), used: time.Now(), pages: map[int]scan.Page{},
	}
	made, err := s.createAtNode(j, scan.JobRequest{Settings: o.Settings, Name: "Scan from " + nameOf(by, client)})
	if err != nil {
		return nil, s.notMade(err)
	}
	j.id, j.told = made.ID, made
	if !s.add(j) {
		s.drop(j)
		return nil, unavailable(downAgain, "the scanner is shared no more")
	}
	return j, nil
}

// createAtNode makes the job once, even if the answer is lost on the way. The client going away
// does not leave it open whether there is a job.
func (s *Server) createAtNode(j *job, request scan.JobRequest) (scan.Job, error) {
	ctx, cancel := context.WithTimeout(s.ctx, createWithin)
	defer cancel()
	params := &api.CreateJobParams{IdempotencyKey: j.uuid}
	made, err := api.Decode[scan.Job](j.api.CreateJob(ctx, s.cfg.Scanner, params, request))
	if err != nil && problemOf(err) == nil && sleep(ctx, createAgain) {
		made, err = api.Decode[scan.Job](j.api.CreateJob(ctx, s.cfg.Scanner, params, request))
	}
	return made, err
}

// newUUID is a random one (RFC 9562, section 5.4): who does not hear it cannot guess it.
func newUUID() string {
	var b [16]byte
	rand.Read(b[:]) // never fails: crypto/rand
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// drop cancels and deletes a job that no client hears of.
func (s *Server) drop(j *job) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(s.ctx), leaveTime)
	defer cancel()
	if err := s.remove(ctx, j); err != nil {
		s.log.Info("a job of an eSCL client stays at its node", "job", j.id, "error", err)
	}
}

// notMade says why there is no job.
func (s *Server) notMade(err error) error {
	p := problemOf(err)
	if p == nil {
		s.log.Warn("a job of an eSCL client was not made", "error", err)
		return unavailable(downAgain, "the scanner cannot be reached")
	}
	text := strings.TrimSpace(p.Detail)
	if text == "" {
		text = p.Code.Title()
	}
	switch p.Code {
	case problem.SettingsUnsupported, problem.FormatUnsupported:
		s.askAgain()
		return impossible("%s", text)
	case problem.NotFound, problem.PermissionDenied:
		return &refusal{status: http.StatusNotFound, text: "this scanner is not shared with you"}
	case problem.EncryptionRequired: // eSCL cannot, and trying again does not help
		return &refusal{status: http.StatusNotFound, text: text}
	}
	if p.RetryAfter > 0 {
		return unavailable(p.RetryAfter, text)
	}
	return unavailable(downAgain, text)
}

// nameOf is what people are shown of who scans: the client's own word, or its address.
func nameOf(by escl.JobSource, client netip.Addr) string {
	clean := strings.Map(func(c rune) rune {
		if !unicode.IsPrint(c) {
			return ' '
		}
		return c
	}, by.Machine)
	clean = strings.Join(strings.Fields(clean), " ")
	if clean == "" {
		return client.String()
	}
	if runes := []rune(clean); len(runes) > maxMachine {
		clean = string(runes[:maxMachine])
	}
	return clean
}

// hold waits until the scanner begins with the job, or keeps its place for the client's
// next try. A client that goes away meanwhile wants it no more.
func (s *Server) hold(w http.ResponseWriter, r *http.Request, j *job) error {
	ctx, cancel := context.WithTimeout(r.Context(), holdPost)
	defer cancel()
	defer context.AfterFunc(s.ctx, cancel)()
	left := j.leftQueue(ctx)
	switch {
	case errors.Is(r.Context().Err(), context.Canceled):
		s.abandon(j)
		return r.Context().Err()
	case !left:
		j.setClaim(reserved)
		return unavailable(busyAgain, "the scanner is busy; your place is kept for a moment")
	}
	j.mu.Lock()
	failed := j.ending != nil && j.count == 0
	ending := j.ending
	j.mu.Unlock()
	if failed { // before it began
		s.abandon(j)
		return notBegun(ending)
	}
	j.setClaim(claimed)
	w.Header().Set("Location", base(r)+j.path())
	w.WriteHeader(http.StatusCreated)
	return nil
}

// notBegun is what a client hears whose job ended before the scanner began with it.
func notBegun(e *ending) error {
	switch {
	case e.feeder != "":
		return impossible("%s", e.details.Message)
	case e.details != nil:
		return unavailable(downAgain, e.details.Message)
	}
	return unavailable(busyAgain, "the job was canceled")
}

// base is the address of this server as the client knows it; "" where only the client can
// tell it: a link-local address is of no use without its zone, and is a path then.
func base(r *http.Request) string {
	u := url.URL{Scheme: "http", Host: r.Host}
	if ip, err := netip.ParseAddr(u.Hostname()); err == nil && ip.Is6() && ip.IsLinkLocalUnicast() {
		return ""
	}
	if r.TLS != nil {
		u.Scheme = "https"
	}
	if u.Host == "" {
		return ""
	}
	return u.String()
}

// clientOf is the address that a request comes from.
func clientOf(r *http.Request) netip.Addr {
	at, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	return at.Addr().Unmap().WithZone("")
}
