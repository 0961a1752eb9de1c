package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"

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
var ErrConvert = errors.New("the page cannot be used")

// Convert makes a rendition of a stored page in a worker process, so that neither its
// memory nor a fault in a native codec is the node's. It reads src from its start and
// moves its offset. What it wrote to dst before an error is no rendition.
func (w *Workers) Convert(ctx context.Context, src *os.File, from scan.Format, spec imaging.Spec, dst io.Writer) error {
	if err := w.task(ctx, src, convertArg, conversion{From: from, Spec: spec}, dst); err != nil {
		return fmt.Errorf("converting a page: %w", err)
	}
	return nil
}
