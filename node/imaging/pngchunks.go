package imaging

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"hash"
	"io"
	"math"
)

// pngData reads chunks, and as an io.Reader the data of consecutive IDAT chunks, the
// first of which is open. After the last of them it looks for the end of the file.
type pngData struct {
	r    *bufio.Reader
	crc  hash.Hash32
	left uint32 // bytes of the chunk that were not read
	done bool
}

// nextChunk begins a chunk and answers its kind.
func (d *pngData) nextChunk() (string, error) {
	var b [8]byte
	if _, err := io.ReadFull(d.r, b[:]); err != nil {
		return "", err
	}
	d.left = binary.BigEndian.Uint32(b[:])
	if d.left > math.MaxInt32 {
		return "", fmt.Errorf("%w: chunk of %d bytes", ErrDamaged, d.left)
	}
	d.crc.Reset()
	d.crc.Write(b[4:])
	return string(b[4:]), nil
}

func (d *pngData) readFull(p []byte) error {
	_, err := io.ReadFull(d.r, p)
	d.crc.Write(p)
	d.left -= uint32(len(p))
	return err
}

// endChunk skips the rest of the chunk and checks its checksum.
func (d *pngData) endChunk() error {
	if _, err := io.CopyN(d.crc, d.r, int64(d.left)); err != nil {
		return err
	}
	var sum [4]byte
	if _, err := io.ReadFull(d.r, sum[:]); err != nil {
		return err
	}
	d.left = 0
	if binary.BigEndian.Uint32(sum[:]) != d.crc.Sum32() {
		return fmt.Errorf("%w: a chunk has a wrong checksum", ErrDamaged)
	}
	return nil
}

// Read gives the data of the IDAT chunks.
func (d *pngData) Read(p []byte) (int, error) {
	if d.done {
		return 0, io.EOF
	}
	for d.left == 0 {
		if err := d.endChunk(); err != nil {
			return 0, damagedEOF(err)
		}
		kind, err := d.nextChunk()
		if err != nil {
			return 0, damagedEOF(err)
		}
		if kind != "IDAT" {
			d.done = true
			return 0, d.finish(kind)
		}
	}
	n, err := d.r.Read(p[:min(len(p), int(d.left))])
	d.crc.Write(p[:n])
	d.left -= uint32(n)
	if n > 0 {
		return n, nil
	}
	return 0, damagedEOF(err)
}

// finish reads to the end of the file and answers io.EOF if all is well.
func (d *pngData) finish(kind string) error {
	for {
		if err := d.endChunk(); err != nil {
			return damagedEOF(err)
		}
		if kind == "IEND" {
			return io.EOF
		}
		var err error
		if kind, err = d.nextChunk(); err != nil {
			return damagedEOF(err)
		}
		if kind == "IDAT" {
			return fmt.Errorf("%w: image data out of place", ErrDamaged)
		}
	}
}
