package airscan

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Paths on a scanner's port. SANE's own client builds those of jobs by itself.
const (
	IconPath = "/icon.png"
	root     = "/eSCL"
	jobsPath = root + "/ScanJobs"
)

// route is a request that is answered. In its path {job} and {n} stand for one segment.
type route struct {
	method, path string
	handle       func(*Server, http.ResponseWriter, *http.Request, target) error
}

// target is what {job} and {n} stand for.
type target struct {
	job *job
	n   int
}

var routes = []route{
	{http.MethodGet, "/", (*Server).getHome},
	{http.MethodGet, IconPath, (*Server).getIcon},
	{http.MethodGet, root + "/ScannerCapabilities", (*Server).getCapabilities},
	{http.MethodGet, root + "/ScannerStatus", (*Server).getStatus},
	{http.MethodPut, root + "/ScanBufferInfo", (*Server).putBufferInfo},
	{http.MethodPost, jobsPath, (*Server).createJob},
	{http.MethodDelete, jobsPath + "/{job}", (*Server).deleteJob},
	{http.MethodGet, jobsPath + "/{job}/NextDocument", (*Server).getNext},
	{http.MethodGet, jobsPath + "/{job}/ScanImageInfo", (*Server).getImageInfo},
	{http.MethodGet, jobsPath + "/{job}/Progress", (*Server).getProgress},
	{http.MethodGet, jobsPath + "/{job}/ErrorDetails", (*Server).getErrorDetails},
	{http.MethodGet, jobsPath + "/{job}/{n}", (*Server).getDocument},
}

// refusal is an answer that is no success.
type refusal struct {
	status int
	text   string        // one sentence
	after  time.Duration // when to come again; 0: not said
}

func (e *refusal) Error() string { return e.text }

func unavailable(after time.Duration, text string) error {
	return &refusal{status: http.StatusServiceUnavailable, text: text, after: after}
}

// errBroken ends an answer that cannot be brought to its end.
var errBroken = errors.New("the answer broke off")

func (s *Server) serveHTTP(plain http.ResponseWriter, r *http.Request) {
	w := newPaced(plain)
	w.limitReading(r)
	h := w.Header()
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	err := s.answer(w, r)
	var refused *refusal
	switch {
	case err == nil:
	case errors.As(err, &refused):
		refused.write(w)
	case errors.Is(err, errBroken), errors.Is(err, context.Canceled):
		panic(http.ErrAbortHandler) // the client must not take what it has for the whole
	default:
		s.log.Error("an eSCL request failed", "path", r.URL.Path, "error", err)
		(&refusal{status: http.StatusInternalServerError, text: "something went wrong; the log says more"}).write(w)
	}
}

func (e *refusal) write(w http.ResponseWriter) {
	h := w.Header()
	if e.after > 0 {
		h.Set("Retry-After", strconv.Itoa(int((e.after+time.Second-1)/time.Second)))
	}
	for _, name := range []string{"Content-Length", "Content-Location", "Content-Range", "Accept-Ranges", "ETag"} {
		if name != "Content-Range" || e.status != http.StatusRequestedRangeNotSatisfiable {
			h.Del(name)
		}
	}
	h.Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(e.status)
	_, _ = w.Write([]byte(e.text + "\n")) // who does not read it has gone
}

// answer finds who answers a request.
func (s *Server) answer(w *paced, r *http.Request) error {
	if !clientOf(r).IsValid() {
		return &refusal{status: http.StatusForbidden, text: "who asks is not known"}
	}
	var allow []string
	for _, route := range routes {
		uuid, n, ok := match(route.path, r.URL.Path)
		if !ok {
			continue
		}
		if route.method != r.Method {
			allow = append(allow, route.method)
			continue
		}
		at := target{n: n}
		if uuid != "" {
			if at.job = s.find(uuid); at.job == nil {
				return &refusal{status: http.StatusNotFound, text: "there is no such job"}
			}
			defer at.job.use()()
		}
		return route.handle(s, w, r, at)
	}
	if allow == nil {
		return &refusal{status: http.StatusNotFound, text: "there is nothing here"}
	}
	slices.Sort(allow)
	w.Header().Set("Allow", strings.Join(slices.Compact(allow), ", "))
	return &refusal{status: http.StatusMethodNotAllowed, text: "this cannot be done here"}
}

// match compares a path with that of a route. Clients put slashes where they like.
func match(pattern, path string) (uuid string, n int, ok bool) {
	want, got := segments(pattern), segments(path)
	if len(want) != len(got) {
		return "", 0, false
	}
	for i, segment := range want {
		switch segment {
		case "{job}":
			uuid = got[i]
		case "{n}":
			var err error
			if n, err = strconv.Atoi(got[i]); err != nil || n < 1 || got[i] != strconv.Itoa(n) {
				return "", 0, false
			}
		case got[i]:
		default:
			return "", 0, false
		}
	}
	return uuid, n, true
}

func segments(path string) []string {
	return strings.FieldsFunc(path, func(c rune) bool { return c == '/' })
}

func (s *Server) getCapabilities(w http.ResponseWriter, r *http.Request, _ target) error {
	k := s.learned()
	if k == nil {
		return unavailable(learnSoon, "the scanner has not answered yet")
	}
	offers := remedyFor(r).offers(k.offers)
	offers.IconURI = base(r) + IconPath
	offers.AdminURI = s.admin()
	if offers.AdminURI == "" {
		offers.AdminURI = base(r) + "/"
	}
	return writeXML(w, http.StatusOK, offers.XML())
}

// admin is the page for people about the scanner, "" where there is none but ours.
func (s *Server) admin() string {
	if s.cfg.Admin == nil {
		return ""
	}
	return s.cfg.Admin()
}

func (s *Server) deleteJob(w http.ResponseWriter, r *http.Request, at target) error {
	if at.job.dismiss() {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(r.Context()), tendTime)
		defer cancel()
		if err := s.cancel(ctx, at.job); err != nil {
			s.log.Warn("a job of an eSCL client cannot be canceled yet", "job", at.job.id, "error", err)
		}
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func writeXML(w http.ResponseWriter, status int, body []byte) error {
	h := w.Header()
	h.Set("Content-Type", "text/xml")
	h.Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body) // who does not read it has gone
	return nil
}
