package seal

import (
	"errors"
	"fmt"
	"io"
)

// Reader reads the sealed form of bytes that can be read at any place. It keeps one chunk
// in memory. One goroutine uses it.
type Reader struct {
	key   *Key
	src   io.ReaderAt
	plain int64 // bytes of src
	whole bool  // and there will be no more
	at    int64

	buf   []byte
	chunk []byte // the sealed chunk in buf
	index int64  // its number; -1: none
	nonce nonce
}

// NewReader reads what sealing makes of the first size bytes of src.
func NewReader(key *Key, src io.ReaderAt, size int64) *Reader {
	return &Reader{key: key, src: src, plain: size, whole: true, index: -1}
}

// NewGrowing reads what sealing makes of src, of which nothing is there yet; see Extend.
func NewGrowing(key *Key, src io.ReaderAt) *Reader {
	return &Reader{key: key, src: src, index: -1}
}

// Extend says how many bytes of src there are by now, and whether they are all.
func (r *Reader) Extend(size int64, whole bool) { r.plain, r.whole = size, whole }

// Size is how many sealed bytes can be read.
func (r *Reader) Size() int64 {
	if r.whole {
		return Size(r.plain)
	}
	return fullChunks(r.plain)
}

// ReadAt reads as io.ReaderAt does, but not by several goroutines at a time.
func (r *Reader) ReadAt(p []byte, off int64) (n int, err error) {
	if off < 0 {
		return 0, errors.New("seal: negative offset")
	}
	for size := r.Size(); n < len(p); {
		if off >= size {
			return n, io.EOF
		}
		if err := r.load(off / SealedChunk); err != nil {
			return n, err
		}
		m := copy(p[n:], r.chunk[off%SealedChunk:])
		n += m
		off += int64(m)
	}
	return n, nil
}

// load seals the chunk with a number.
func (r *Reader) load(index int64) error {
	if r.index == index {
		return nil
	}
	from := index * ChunkSize
	length := min(r.plain-from, ChunkSize)
	if int64(cap(r.buf)) < length+overhead {
		r.buf = make([]byte, length+overhead)
	}
	r.index = -1
	if n, err := r.src.ReadAt(r.buf[:length], from); int64(n) < length {
		if err == io.EOF { // shorter than was said
			err = io.ErrUnexpectedEOF
		}
		return fmt.Errorf("reading what is to be sealed: %w", err)
	}
	r.chunk, r.index = r.key.seal(&r.nonce, r.buf[:length:length+overhead], index), index
	return nil
}

// Read is for http.ServeContent.
func (r *Reader) Read(p []byte) (int, error) {
	n, err := r.ReadAt(p, r.at)
	r.at += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// Seek is for http.ServeContent.
func (r *Reader) Seek(offset int64, whence int) (int64, error) {
	switch whence {
	case io.SeekStart:
	case io.SeekCurrent:
		offset += r.at
	case io.SeekEnd:
		offset += r.Size()
	default:
		return 0, errors.New("seal: no such whence")
	}
	if offset < 0 {
		return 0, errors.New("seal: negative offset")
	}
	r.at = offset
	return offset, nil
}
