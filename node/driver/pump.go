package driver

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/scan"
)

const (
	stripBytes    = 256 << 10 // raw rows read ahead, at least one row
	stripCount    = 4
	chunkBytes    = 64 << 10 // encoded bytes gathered while more rows wait
	progressEvery = 50 * time.Millisecond
	aliveEvery    = time.Second
)

// pump takes one page from the device through the encoder to its sink. Reading and
// encoding overlap: the goroutine that owns the device reads, another one encodes.
// The encoder gets what is there as soon as it has nothing to do, so the first strip
// leaves at once, and a fast device fills whole strips meanwhile.
type pump struct {
	dev   Device
	img   imaging.Image
	out   chunker
	alive func()

	full chan []byte   // whole rows, for the encoder
	free chan []byte   // strips to fill
	lost chan struct{} // closed when the encoder has failed
}

// run returns the number of rows and the patches of a whole page.
func (p *pump) run(ctx context.Context, format scan.Format, quality int, codecs imaging.Codecs) (int, []Patch, error) {
	enc, err := imaging.NewEncoder(&p.out, p.img, format, quality, codecs)
	if err != nil {
		return 0, nil, &Stop{Reason: scan.ReasonUnsupported, Detail: err.Error()}
	}
	size := max(stripBytes/p.img.Stride(), 1) * p.img.Stride()
	p.full = make(chan []byte, stripCount)
	p.free = make(chan []byte, stripCount)
	for range stripCount {
		p.free <- make([]byte, 0, size)
	}
	p.lost = make(chan struct{})
	encoded := make(chan error, 1)
	go func() { encoded <- p.encode(enc) }()

	rows, readErr := p.read(ctx)
	close(p.full)
	encErr := <-encoded
	closeErr := enc.Close()
	switch {
	case encErr != nil:
		return 0, nil, encErr
	case readErr != nil:
		return 0, nil, readErr
	case closeErr != nil:
		return 0, nil, p.fault("finishing a page", closeErr)
	}
	if err := p.out.flush(); err != nil {
		return 0, nil, err
	}
	p.out.sink.Progress(rows)
	var patches []Patch
	if offset, data, ok := enc.Patch(); ok {
		patches = append(patches, Patch{Offset: offset, Data: data})
	}
	return rows, patches, nil
}

// read fills strips until the page ends and counts its rows.
func (p *pump) read(ctx context.Context) (rows int, err error) {
	stride := p.img.Stride()
	strip := <-p.free
	told := time.Now()
	for {
		n, err := p.dev.Read(strip[len(strip):cap(strip)])
		strip = strip[:len(strip)+n]
		if n == 0 && err == nil {
			if now := time.Now(); now.Sub(told) >= aliveEvery {
				told = now
				p.alive()
			}
		}
		whole := len(strip) / stride
		if p.img.Height > 0 && rows+whole > p.img.Height {
			return 0, &Stop{Reason: scan.ReasonShortPage, Detail: fmt.Sprintf("more than the %d rows announced", p.img.Height)}
		}
		if whole > 0 && (err != nil || len(strip)+stride > cap(strip) || len(p.full) == 0) {
			rest := strip[whole*stride:]
			var next []byte
			select {
			case next = <-p.free:
			case <-p.lost:
				return 0, nil // the encoder's error is the one that counts
			}
			next = append(next[:0], rest...)
			p.full <- strip[:whole*stride]
			strip, rows = next, rows+whole
		}
		switch {
		case err == io.EOF:
			return rows, p.checkEnd(rows, len(strip))
		case err != nil:
			return 0, err
		case ctx.Err() != nil:
			return 0, context.Canceled
		}
	}
}

func (p *pump) checkEnd(rows, rest int) error {
	if rows == 0 || rest > 0 || p.img.Height > 0 && rows != p.img.Height {
		return &Stop{Reason: scan.ReasonShortPage,
			Detail: fmt.Sprintf("%d rows and %d bytes came, %d rows were announced", rows, rest, p.img.Height)}
	}
	return nil
}

// encode runs until full is closed; after an error it only hands strips back.
func (p *pump) encode(enc imaging.Encoder) error {
	var failed error
	var told time.Time
	for strip := range p.full {
		if failed == nil {
			if failed = p.encodeStrip(enc, strip, &told); failed != nil {
				close(p.lost)
			}
		}
		p.free <- strip
	}
	return failed
}

func (p *pump) encodeStrip(enc imaging.Encoder, strip []byte, told *time.Time) error {
	if err := enc.WriteRows(strip); err != nil {
		return p.fault("encoding a page", err)
	}
	if len(p.full) > 0 {
		return nil
	}
	if err := p.out.flush(); err != nil {
		return err
	}
	if now := time.Now(); now.Sub(*told) >= progressEvery {
		*told = now
		p.out.sink.Progress(enc.Rows())
	}
	return nil
}

// fault tells an error of the sink, which came through the encoder, from one of the encoder.
func (p *pump) fault(doing string, err error) error {
	if p.out.err != nil {
		return p.out.err
	}
	if errors.Is(err, imaging.ErrTooLarge) {
		return &Stop{Reason: scan.ReasonUnsupported, Detail: err.Error()}
	}
	return fmt.Errorf("%s: %w", doing, err)
}

// chunker gathers what an encoder writes in small pieces.
type chunker struct {
	sink PageSink
	buf  []byte
	err  error // of the sink; final
}

func (c *chunker) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	if len(c.buf)+len(b) > chunkBytes {
		if err := c.flush(); err != nil {
			return 0, err
		}
	}
	if len(b) >= chunkBytes {
		return c.pass(b)
	}
	c.buf = append(c.buf, b...)
	return len(b), nil
}

func (c *chunker) flush() error {
	if c.err == nil && len(c.buf) > 0 {
		c.pass(c.buf)
		c.buf = c.buf[:0]
	}
	return c.err
}

func (c *chunker) pass(b []byte) (int, error) {
	n, err := c.sink.Write(b)
	if err == nil && n < len(b) {
		err = io.ErrShortWrite
	}
	if err != nil {
		c.err = fmt.Errorf("writing a page: %w", err)
		return n, c.err
	}
	return n, nil
}
