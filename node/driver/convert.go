package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

// conversion is the order of a converting worker.
type conversion struct {
	From scan.Format  `json:"from"`
	Spec imaging.Spec `json:"spec"`
}

// ErrConvert is a page that could not be converted: its file is damaged or of a kind
// that the rendition cannot hold.
var ErrConvert = errors.New("converting a page")

// Convert makes a rendition of a stored page in a worker process, so that neither its
// memory nor a fault in a native codec is the node's. It reads src from its start and
// moves its offset. What it wrote to dst before an error is no rendition.
func (w *Workers) Convert(ctx context.Context, src *os.File, from scan.Format, spec imaging.Spec, dst io.Writer) error {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return fmt.Errorf("converting a page: %w", err)
	}
	order, err := json.Marshal(conversion{From: from, Spec: spec})
	if err != nil {
		return fmt.Errorf("converting a page: %w", err)
	}
	p, err := w.start(src, convertArg, string(order))
	if err != nil {
		return fmt.Errorf("converting a page: %w", err)
	}
	worker := newWorker(p, w.Limits.withDefaults(), w.log())
	defer worker.discard()
	if err := worker.awaitHello(ctx); err != nil {
		return fmt.Errorf("converting a page: %w", err)
	}
	for {
		m, data, err := worker.next(ctx, time.Now().Add(worker.limits.Silent))
		switch {
		case err != nil && ctx.Err() != nil:
			return fmt.Errorf("converting a page: %w", ctx.Err())
		case errors.Is(err, os.ErrDeadlineExceeded):
			return fmt.Errorf("converting a page: %w", worker.fail("no bytes for too long"))
		case err != nil:
			return fmt.Errorf("converting a page: %w", worker.fail(endWords(err)))
		case data != nil:
			if _, err := dst.Write(data); err != nil {
				return fmt.Errorf("converting a page: %w", err)
			}
		case m.Reply != nil && m.Reply.Error != nil:
			return fmt.Errorf("%w: %s", ErrConvert, m.Reply.Error.Detail)
		case m.Reply != nil:
			return nil
		}
	}
}
