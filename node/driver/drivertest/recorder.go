package drivertest

import (
	"bytes"
	"image"
	_ "image/jpeg" // pages are decoded by their own headers
	_ "image/png"
	"sync"
	"testing"

	"github.com/platen-scan/platen/node/driver"
)

// Recorder is a Sink that keeps what it gets. The hooks are called before the event is
// recorded; an error of theirs is the answer.
type Recorder struct {
	OnPage   func(n int, info driver.PageInfo) error
	OnWrite  func(n int, bytes int) error
	OnCommit func(n int) error

	mu    sync.Mutex
	pages []*Page
}

// Page is a page as it came.
type Page struct {
	Info      driver.PageInfo
	Data      []byte
	Height    int
	Lines     []int
	Committed bool
	Aborted   error

	n    int
	sink *Recorder
}

// PageStarted records a page.
func (r *Recorder) PageStarted(info driver.PageInfo) (driver.PageSink, error) {
	r.mu.Lock()
	n := len(r.pages) + 1
	r.mu.Unlock()
	if r.OnPage != nil {
		if err := r.OnPage(n, info); err != nil {
			return nil, err
		}
	}
	p := &Page{Info: info, n: n, sink: r}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pages = append(r.pages, p)
	return p, nil
}

// Pages are the pages so far, in order.
func (r *Recorder) Pages() []*Page {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]*Page(nil), r.pages...)
}

// Committed are the whole pages so far.
func (r *Recorder) Committed() []*Page {
	var whole []*Page
	for _, p := range r.Pages() {
		if p.Committed {
			whole = append(whole, p)
		}
	}
	return whole
}

// Write keeps the bytes.
func (p *Page) Write(b []byte) (int, error) {
	if p.sink.OnWrite != nil {
		if err := p.sink.OnWrite(p.n, len(p.Data)); err != nil {
			return 0, err
		}
	}
	p.Data = append(p.Data, b...)
	return len(b), nil
}

// Progress keeps the number.
func (p *Page) Progress(lines int) { p.Lines = append(p.Lines, lines) }

// Commit applies the patches.
func (p *Page) Commit(height int, patches ...driver.Patch) error {
	if p.sink.OnCommit != nil {
		if err := p.sink.OnCommit(p.n); err != nil {
			p.Aborted = err
			return err
		}
	}
	for _, patch := range patches {
		copy(p.Data[patch.Offset:], patch.Data)
	}
	p.Height, p.Committed = height, true
	return nil
}

// Abort keeps the reason.
func (p *Page) Abort(err error) { p.Aborted = err }

// Decode decodes a committed page.
func (p *Page) Decode(t *testing.T) image.Image {
	t.Helper()
	img, format, err := image.Decode(bytes.NewReader(p.Data))
	if err != nil {
		t.Fatalf("page %d, %d bytes of %s: %v", p.n, len(p.Data), p.Info.Format, err)
	}
	if format != string(p.Info.Format) {
		t.Errorf("page %d is a %s file, announced as %s", p.n, format, p.Info.Format)
	}
	return img
}

// check holds every page against the rules of Sink.
func (r *Recorder) check(t *testing.T) {
	t.Helper()
	for _, p := range r.Pages() {
		if p.Committed == (p.Aborted != nil) {
			t.Errorf("page %d: committed is %v and aborted with %v; want exactly one", p.n, p.Committed, p.Aborted)
		}
		for i, lines := range p.Lines {
			if i > 0 && lines < p.Lines[i-1] || p.Info.Height > 0 && lines > p.Info.Height {
				t.Errorf("page %d of %d rows: progress went %v", p.n, p.Info.Height, p.Lines)
				break
			}
		}
		if !p.Committed {
			continue
		}
		if p.Info.Height > 0 && p.Height != p.Info.Height {
			t.Errorf("page %d was announced with %d rows and committed with %d", p.n, p.Info.Height, p.Height)
		}
		size := p.Decode(t).Bounds().Size()
		if want := (image.Point{p.Info.Width, p.Height}); size != want {
			t.Errorf("page %d is %v pixels, want %v", p.n, size, want)
		}
	}
}
