package gateway

import (
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"strings"
)

// file is what an answer brings a stretch of: bytes that stay the same under one ETag.
type file struct {
	etag, kind string // as the node's headers have them
	sealed     bool   // its key is in each answer, wrapped anew: the ETag depends on the key itself
	from, end  int64  // the stretch: its first byte, and the one behind its last
	total      int64  // bytes of the whole
}

const headerSealed = "Platen-Sealed"

var (
	errOtherFile = errors.New("the node no longer has the same file")
	errBusy      = errors.New("the node has too much to do")
)

// fileOf tells what an answer brings. It is nothing that could be had again unless it
// is a stretch of known length under a strong ETag: not a page that grows, and not
// several stretches at once.
func fileOf(r *http.Request, answer *http.Response) (file, bool) {
	f := file{etag: answer.Header.Get("Etag"), kind: answer.Header.Get("Content-Type"), sealed: answer.Header.Get(headerSealed) != ""}
	if r.Method != http.MethodGet || answer.ContentLength <= 0 || len(f.etag) < 3 || f.etag[0] != '"' ||
		answer.Header.Get("Content-Encoding") != "" {
		return file{}, false
	}
	switch answer.StatusCode {
	case http.StatusOK:
		f.end, f.total = answer.ContentLength, answer.ContentLength
		return f, true
	case http.StatusPartialContent:
		var ok bool
		f.from, f.end, f.total, ok = contentRange(answer.Header.Get("Content-Range"))
		return f, ok && f.end-f.from == answer.ContentLength
	}
	return file{}, false
}

// check reports whether an answer brings a stretch of the file.
func (f file) check(answer *http.Response, from, to int64) error {
	start, end, total, ok := contentRange(answer.Header.Get("Content-Range"))
	switch {
	case answer.StatusCode == http.StatusTooManyRequests, answer.StatusCode == http.StatusServiceUnavailable:
		return errBusy
	case answer.StatusCode != http.StatusPartialContent:
		return fmt.Errorf("%w: status %d", errOtherFile, answer.StatusCode)
	case answer.Header.Get("Etag") != f.etag:
		return fmt.Errorf("%w: another ETag", errOtherFile)
	case answer.Header.Get("Content-Type") != f.kind || (answer.Header.Get(headerSealed) != "") != f.sealed ||
		answer.Header.Get("Content-Encoding") != "":
		return fmt.Errorf("%w: another form", errOtherFile)
	case !ok || start != from || end != to || total != f.total || answer.ContentLength >= 0 && answer.ContentLength != end-start:
		return fmt.Errorf("%w: another range", errOtherFile)
	}
	return nil
}

// conditions are the headers of a request that the rest of its answer is not asked for
// with: If-Range says all.
var conditions = []string{"If-Match", "If-Modified-Since", "If-None-Match", "If-Unmodified-Since", "Range"}

// restOf asks for the same as r, if it still is the same file.
func restOf(r *http.Request, f file) *http.Request {
	rest := r.Clone(r.Context())
	for _, name := range conditions {
		rest.Header.Del(name)
	}
	rest.Header.Set("If-Range", f.etag)
	return rest
}

// contentRange reads a Content-Range of one range and a known total (RFC 9110 14.4);
// end is the offset behind its last byte.
func contentRange(s string) (start, end, total int64, ok bool) {
	s, ok = strings.CutPrefix(s, "bytes ")
	span, size, known := strings.Cut(s, "/")
	first, last, two := strings.Cut(span, "-")
	if !ok || !known || !two {
		return 0, 0, 0, false
	}
	start, ok1 := digits(first)
	end, ok2 := digits(last)
	total, ok3 := digits(size)
	if !ok1 || !ok2 || !ok3 || start > end || end >= total {
		return 0, 0, 0, false
	}
	return start, end + 1, total, true
}

func digits(s string) (n int64, ok bool) {
	u, err := strconv.ParseUint(s, 10, 62) // no sign
	return int64(u), err == nil
}
