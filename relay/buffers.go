package relay

import "sync"

// BufferSize is what bodies are copied with: large enough that system calls and
// frame headers do not count.
const BufferSize = 256 << 10

// Buffers lends copy buffers; it is an httputil.BufferPool for the gateway's
// reverse proxy. The zero value is ready.
type Buffers struct{ pool sync.Pool }

// Get lends a buffer of BufferSize bytes.
func (b *Buffers) Get() []byte {
	if p, ok := b.pool.Get().(*[BufferSize]byte); ok {
		return p[:]
	}
	return new([BufferSize]byte)[:]
}

// Put takes back what Get lent.
func (b *Buffers) Put(p []byte) {
	if len(p) == BufferSize {
		b.pool.Put((*[BufferSize]byte)(p))
	}
}

var copyBuffers Buffers
