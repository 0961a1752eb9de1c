package seal

import "encoding/binary"

// Sizes of chunks in bytes.
const (
	ChunkSize   = 64 << 10 // of plaintext; the final chunk has less
	overhead    = 16
	SealedChunk = ChunkSize + overhead
)

// Size is how many bytes sealing makes of so many.
func Size(plain int64) int64 { return plain + (plain/ChunkSize+1)*overhead }

// fullChunks is how many bytes of sealed chunks can go out while nobody knows how many will
// follow on the plain ones that are there.
func fullChunks(plain int64) int64 { return plain / ChunkSize * SealedChunk }

// Needed is how many plain bytes there must be, unless they are all, before more than
// beyond sealed bytes can go out.
func Needed(beyond int64) int64 { return (beyond/SealedChunk + 1) * ChunkSize }

const nonceSize = 12

// nonce is one, in memory that is used again.
type nonce [nonceSize]byte

func (n *nonce) of(index int64, final bool) []byte {
	binary.BigEndian.PutUint64(n[3:], uint64(index))
	n[11] = 0
	if final {
		n[11] = 1
	}
	return n[:]
}

// seal encrypts a chunk in place; there is room for the tag behind it.
func (k *Key) seal(n *nonce, chunk []byte, index int64) []byte {
	return k.aead.Seal(chunk[:0], n.of(index, len(chunk) < ChunkSize), chunk, nil)
}

// open decrypts a chunk in place.
func (k *Key) open(n *nonce, chunk []byte, index int64) ([]byte, error) {
	plain, err := k.aead.Open(chunk[:0], n.of(index, len(chunk) < SealedChunk), chunk, nil)
	if err != nil {
		return nil, ErrOpen
	}
	return plain, nil
}
