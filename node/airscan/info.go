package airscan

import (
	"fmt"
	"net/http"
	"strconv"
	"time"

	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

// getImageInfo tells what the page that was handed out last has become.
func (s *Server) getImageInfo(w http.ResponseWriter, r *http.Request, at target) error {
	j := at.job
	j.mu.Lock()
	n, wiped := j.given, j.wiped || j.done
	if j.order.Concat && n > 0 {
		n = j.count
	}
	j.mu.Unlock()
	if n == 0 || wiped {
		return &refusal{status: http.StatusNotFound, text: "no page was handed out yet"}
	}
	page, err := s.page(r.Context(), j, n)
	if err != nil {
		return s.partNotSent(w, r, err)
	}
	info := escl.ImageInfo{
		JobURI: j.path(), JobUUID: j.uuid, Width: page.Width, Height: page.Height,
		BytesPerLine: bytesPerLine(page.Width, page.Mode, page.Depth),
	}
	return writeXML(w, http.StatusOK, info.XML())
}

// putBufferInfo tells what settings would give.
func (s *Server) putBufferInfo(w http.ResponseWriter, r *http.Request, _ target) error {
	settings, err := readSettings(w, r)
	if err != nil {
		return err
	}
	k := s.learned()
	if k == nil {
		return unavailable(learnSoon, "the scanner has not answered yet")
	}
	o, err := remedyFor(r).order(k, settings, s.scannerStatus(r.Context()).Feeder == scan.FeederLoaded)
	if err != nil {
		return err
	}
	area := k.area(o)
	info := escl.BufferInfo{
		Settings: k.complete(o, settings),
		Width:    scan.Pixels(area.Width, o.Settings.Resolution), Height: scan.Pixels(area.Height, o.Settings.Resolution),
	}
	info.BytesPerLine = bytesPerLine(info.Width, o.Settings.Mode, o.Settings.Depth)
	return writeXML(w, http.StatusOK, info.XML())
}

const (
	progressEvery = 100 * time.Millisecond
	progressLimit = 10 * time.Minute
)

// getProgress tells how far the next page is, line by line, until it can be fetched
// (an extension of NAPS2).
func (s *Server) getProgress(w http.ResponseWriter, r *http.Request, at target) error {
	j := at.job
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	w.WriteHeader(http.StatusOK)
	limit := time.NewTimer(progressLimit)
	defer limit.Stop()
	told := -1.0
	for {
		share, over, changed := s.progress(j)
		if share > told {
			told = share
			if _, err := fmt.Fprintf(w, "%s\n", strconv.FormatFloat(share, 'f', 3, 64)); err != nil {
				return errBroken
			}
			if err := http.NewResponseController(w).Flush(); err != nil {
				return errBroken
			}
		}
		if over || !sleep(r.Context(), progressEvery) {
			return nil
		}
		select {
		case <-changed:
		case <-limit.C:
			return nil
		case <-r.Context().Done():
			return nil
		case <-s.ctx.Done():
			return nil
		}
	}
}

// progress is how far the page is that the client gets next, from 0 to 1.
func (s *Server) progress(j *job) (share float64, over bool, changed <-chan struct{}) {
	k := s.learned()
	j.mu.Lock()
	defer j.mu.Unlock()
	if j.nextLocked() != (next{}) {
		return 1, true, j.changed
	}
	if g := j.growing; g.N > 0 {
		height := g.Height
		if height == 0 && k != nil {
			height = scan.Pixels(k.area(j.order).Height, g.Resolution)
		}
		if height > 0 {
			share = min(float64(g.Lines)/float64(height), 1)
		}
	}
	return share, false, j.changed
}

// getErrorDetails tells why a job failed (an extension of NAPS2).
func (s *Server) getErrorDetails(w http.ResponseWriter, _ *http.Request, at target) error {
	d := at.job.details()
	if d == nil {
		return &refusal{status: http.StatusNotFound, text: "nothing went wrong"}
	}
	return writeXML(w, http.StatusOK, d.XML())
}
