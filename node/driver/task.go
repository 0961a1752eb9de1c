package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/platen-scan/platen/node/barcode"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// reading is the order of a worker that reads barcodes.
type reading struct {
	From scan.Format       `json:"from"`
	Only api.BarcodeFormat `json:"only,omitempty"`
}

// Barcodes reads the codes of one format, or of all for "", on a stored page in a worker
// process that may have so much memory and processor time and no more: the decoders are
// not ours, and neither is the image. It reads src from its start and moves its offset.
// What it writes to dst is an api.BarcodeList as JSON. A page that cannot be decoded is
// ErrConvert; a process that failed, also at its limits, is a *WorkerError.
func (w *Workers) Barcodes(ctx context.Context, src *os.File, from scan.Format, only api.BarcodeFormat, dst io.Writer) error {
	if err := w.task(ctx, src, barcodesArg, reading{From: from, Only: only}, dst); err != nil {
		return fmt.Errorf("reading barcodes: %w", err)
	}
	return nil
}

// task has a worker make something of a stored page.
func (w *Workers) task(ctx context.Context, src *os.File, arg string, order any, dst io.Writer) error {
	if _, err := src.Seek(0, io.SeekStart); err != nil {
		return err
	}
	text, err := json.Marshal(order)
	if err != nil {
		return err
	}
	p, err := w.start(src, arg, string(text))
	if err != nil {
		return err
	}
	worker := newWorker(p, w.Limits.withDefaults(), w.log())
	defer worker.discard()
	if err := worker.awaitHello(ctx); err != nil {
		return err
	}
	for {
		m, data, err := worker.next(ctx, time.Now().Add(worker.limits.Silent))
		switch {
		case err != nil && ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, os.ErrDeadlineExceeded):
			return worker.fail("no bytes for too long")
		case err != nil:
			return worker.fail(endWords(err))
		case data != nil:
			if _, err := dst.Write(data); err != nil {
				return err
			}
		case m.Reply != nil && m.Reply.Error != nil:
			return fmt.Errorf("%w: %s", ErrConvert, m.Reply.Error.Detail)
		case m.Reply != nil:
			return nil
		}
	}
}

// taskMain is a worker that makes one thing of a stored page and goes.
func taskMain(arg string, orders []string, src *os.File, frames *frameWriter, codecs imaging.Codecs) int {
	var do func(dst io.Writer) error
	malformed := len(orders) != 1
	if !malformed && arg == convertArg {
		var order conversion
		malformed = json.Unmarshal([]byte(orders[0]), &order) != nil
		do = func(dst io.Writer) error { return codecs.Convert(src, order.From, order.Spec, dst) }
	} else if !malformed {
		var order reading
		malformed = json.Unmarshal([]byte(orders[0]), &order) != nil
		do = func(dst io.Writer) error { return readBarcodes(src, order, dst) }
	}
	if malformed {
		fmt.Fprintln(os.Stderr, "worker: malformed order")
		return exitUsage
	}
	if err := frames.json(message{Hello: &hello{Version: protocolVersion, Driver: arg}}); err != nil {
		return exitFailed
	}
	out := &chunker{sink: frameSink{frames}}
	err := do(out)
	if err == nil {
		err = out.flush()
	}
	r := &reply{}
	if err != nil {
		r.Error = &wireError{Kind: kindConvert, Detail: clip(err.Error(), maxDetail)}
	}
	if err := frames.json(message{Reply: r}); err != nil {
		return exitFailed
	}
	return exitOK
}

// readBarcodes writes the list of the codes on a page.
func readBarcodes(src io.ReadSeeker, order reading, dst io.Writer) error {
	limitProcess()
	m, page, err := imaging.Gray(src, order.From, barcode.MaxPixels)
	if err != nil {
		return err
	}
	list := api.BarcodeList{Items: []api.Barcode{}}
	across, down := float32(page.Width)/float32(m.Rect.Dx()), float32(page.Height)/float32(m.Rect.Dy())
	for _, c := range barcode.Read(m, order.Only) {
		at := func(x, y int) api.Point { return api.Point{X: float32(x) * across, Y: float32(y) * down} }
		b := c.Box
		list.Items = append(list.Items, api.Barcode{
			Format: c.Format, Text: c.Text,
			Points: []api.Point{at(b.Min.X, b.Min.Y), at(b.Max.X, b.Min.Y), at(b.Max.X, b.Max.Y), at(b.Min.X, b.Max.Y)},
		})
	}
	return json.NewEncoder(dst).Encode(list)
}
