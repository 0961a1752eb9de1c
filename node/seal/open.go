package seal

import "io"

// Opener reads the plaintext of sealed bytes. Read gives io.EOF only after the final chunk,
// and ErrOpen where there is none or a chunk is not what was sealed; whatever was read before
// is right.
type Opener struct {
	key   *Key
	src   io.Reader
	buf   [SealedChunk]byte
	plain []byte // opened and not read yet
	index int64
	nonce nonce
	err   error
}

// Open reads the chunks from the one with a number on, as they come from src. Errors of src
// but io.EOF are returned as they are.
func (k *Key) Open(src io.Reader, from int64) *Opener { return &Opener{key: k, src: src, index: from} }

func (o *Opener) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	for len(o.plain) == 0 {
		if o.err != nil {
			return 0, o.err
		}
		o.plain, o.err = o.next()
	}
	n := copy(p, o.plain)
	o.plain = o.plain[n:]
	return n, nil
}

// next opens a chunk; the error, if there is one, comes after it.
func (o *Opener) next() ([]byte, error) {
	n, err := o.fill()
	if err != nil && err != io.EOF {
		return nil, err
	}
	if n < overhead {
		return nil, ErrOpen // cut: the final chunk is missing
	}
	plain, openErr := o.key.open(&o.nonce, o.buf[:n], o.index)
	if openErr != nil {
		return nil, openErr
	}
	o.index++
	return plain, err
}

// fill reads a chunk; io.EOF says that it is the last.
func (o *Opener) fill() (n int, err error) {
	for n < len(o.buf) && err == nil {
		var m int
		m, err = o.src.Read(o.buf[n:])
		n += m
	}
	if n == len(o.buf) {
		return n, nil // a final chunk is shorter: whatever ended here, something is missing
	}
	return n, err
}
