package node

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/problem"
)

// holdTime is how long a request for bytes that are not there yet waits for them.
const holdTime = 10 * time.Second

// growing is a page as it goes out while it is scanned; see pagestore.PageReader.
type growing interface {
	io.ReaderAt
	Wait(ctx context.Context, beyond int64) error
	Size() (n int64, done bool, err error)
	Digest() string // SHA-256 of the whole in hexadecimal; "": not to be told
}

// sendGrowing sends a page that is being scanned. The answer ends well only if the
// page was committed.
func (n *Node) sendGrowing(w http.ResponseWriter, r *http.Request, page growing) error {
	h := w.Header()
	h.Set("Accept-Ranges", "bytes")
	h.Set("Cache-Control", "no-store") // an attempt at a page may still fail
	if r.Method == http.MethodHead {
		w.WriteHeader(http.StatusOK)
		return nil
	}
	ctx, cancel := context.WithCancel(r.Context())
	defer cancel()
	defer context.AfterFunc(n.ctx, cancel)()
	if from, to, ok := openRange(r, h.Get("ETag")); ok {
		return n.sendPart(ctx, w, r, page, from, to)
	}
	return follow(ctx, newStream(w, r), page)
}

// follow sends bytes as they come.
func follow(ctx context.Context, s *stream, page growing) error {
	s.WriteHeader(http.StatusOK)
	if err := s.flush(); err != nil {
		return fmt.Errorf("sending a growing page: %w", err)
	}
	for at := int64(0); ; {
		if err := page.Wait(ctx, at); err != nil {
			return failedPage(err)
		}
		size, done, err := page.Size()
		if err != nil {
			return failedPage(err)
		}
		if err := copyPart(s, page, at, size); err != nil {
			return err
		}
		if at = size; done {
			return nil
		}
		if err := s.flush(); err != nil {
			return fmt.Errorf("sending a growing page: %w", err)
		}
	}
}

// sendPart answers a range of a growing page: what there is from its first byte on,
// and waits for that byte.
func (n *Node) sendPart(ctx context.Context, w http.ResponseWriter, r *http.Request, page growing, from, to int64) error {
	hold, cancel := context.WithTimeout(ctx, holdTime)
	defer cancel()
	if err := page.Wait(hold, from); err != nil {
		if ctx.Err() == nil && errors.Is(err, context.DeadlineExceeded) {
			return problem.New(problem.PageNotReady, "There are no more bytes yet.").After(time.Second)
		}
		return failedPage(err)
	}
	size, done, err := page.Size()
	if err != nil {
		return failedPage(err)
	}
	if done { // its whole length is known now
		if err := n.account(w, r); err != nil {
			return err
		}
		return sendCommitted(w, r, page.Digest(), io.NewSectionReader(page, 0, size))
	}
	end := min(size, to+1)
	h := w.Header()
	h.Set("Content-Range", fmt.Sprintf("bytes %d-%d/*", from, end-1))
	h.Set("Content-Length", strconv.FormatInt(end-from, 10))
	s := newStream(w, r)
	s.WriteHeader(http.StatusPartialContent)
	return copyPart(s, page, from, end)
}

func copyPart(s *stream, page growing, from, to int64) error {
	buf := pieces.Get().(*[pieceBuffer]byte)
	defer pieces.Put(buf)
	for from < to {
		n, err := page.ReadAt(buf[:min(int64(len(buf)), to-from)], from)
		if n > 0 {
			if _, err := s.Write(buf[:n]); err != nil {
				return fmt.Errorf("sending a growing page: %w", err)
			}
			from += int64(n)
			continue
		}
		return failedPage(err)
	}
	return nil
}

// failedPage is what a reader of a page that is no page after all gets: as it has
// begun, its answer is reset.
func failedPage(err error) error {
	if errors.Is(err, pagestore.ErrPageFailed) {
		return problem.New(problem.NotFound, "This page was not scanned to its end.")
	}
	return fmt.Errorf("reading a growing page: %w", err)
}

// openRange is the request's Range if it is one range with a first byte, and meant for
// this attempt at the page. Others are ignored, as RFC 9110 section 14.2 allows.
func openRange(r *http.Request, etag string) (from, to int64, ok bool) {
	const unbounded = int64(1) << 62
	spec, isBytes := strings.CutPrefix(r.Header.Get("Range"), "bytes=")
	if v := r.Header.Get("If-Range"); !isBytes || v != "" && v != etag {
		return 0, 0, false
	}
	first, last, dash := strings.Cut(strings.TrimSpace(spec), "-")
	from, err := strconv.ParseInt(first, 10, 64)
	if !dash || err != nil || from < 0 {
		return 0, 0, false
	}
	if last == "" {
		return from, unbounded, true
	}
	to, err = strconv.ParseInt(last, 10, 64)
	return from, min(to, unbounded), err == nil && to >= from
}
