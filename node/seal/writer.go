package seal

import "io"

// Writer seals what is written to it. Without Close what it wrote does not open to its end.
type Writer struct {
	key   *Key
	dst   io.Writer
	buf   []byte
	index int64
	nonce nonce
}

// NewWriter writes to dst, a chunk at a time. The key seals nothing else.
func NewWriter(key *Key, dst io.Writer) *Writer {
	return &Writer{key: key, dst: dst, buf: make([]byte, 0, SealedChunk)}
}

func (w *Writer) Write(p []byte) (n int, err error) {
	for len(p) > 0 {
		m := min(len(p), ChunkSize-len(w.buf))
		w.buf = append(w.buf, p[:m]...)
		n, p = n+m, p[m:]
		if len(w.buf) == ChunkSize {
			if err := w.send(); err != nil {
				return n, err
			}
		}
	}
	return n, nil
}

func (w *Writer) send() error {
	_, err := w.dst.Write(w.key.seal(&w.nonce, w.buf, w.index))
	w.buf = w.buf[:0]
	w.index++
	return err
}

// Close writes the final chunk: all that was sealed is there. dst stays open.
func (w *Writer) Close() error { return w.send() }
