package gateway

import (
	"errors"
	"io"
	"net/http"
	"sync"
)

// growing lets a page pass that has no receipt yet, and notes what became of it.
func (a *accounting) growing(answer *http.Response) error {
	page, form := pageIn(answer.Header.Get("Etag"))
	if page == "" || form != "" && answer.Header.Get(headerSealed) == "" {
		return a.missing("A page came without its receipt.")
	}
	if err := accountable(a.g.registry.record(a.node)); err != nil {
		return err
	}
	if err := a.g.receipts.mayPass(a, page); err != nil {
		return err
	}
	whole := answer.StatusCode == http.StatusOK
	answer.Body = &growingBody{ReadCloser: answer.Body, ended: func(well bool) {
		a.g.receipts.passed(a, page, whole && well)
	}}
	return nil
}

// growingBody says once how a body ended of which bytes passed.
type growingBody struct {
	io.ReadCloser
	bytes int64
	once  sync.Once
	ended func(well bool)
}

func (b *growingBody) Read(p []byte) (int, error) {
	n, err := b.ReadCloser.Read(p)
	b.bytes += int64(n)
	if err != nil {
		b.end(errors.Is(err, io.EOF))
	}
	return n, err
}

func (b *growingBody) Close() error {
	b.end(false)
	return b.ReadCloser.Close()
}

func (b *growingBody) end(well bool) {
	if b.bytes > 0 {
		b.once.Do(func() { b.ended(well) })
	}
}
