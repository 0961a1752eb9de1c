package sane

import (
	"encoding/binary"
	"math/bits"
)

// bigEndian turns 16 bit samples in the host's order into big-endian ones, in place.
func bigEndian(p []byte) {
	for ; len(p) >= 8; p = p[8:] {
		v := binary.LittleEndian.Uint64(p) // four samples
		binary.LittleEndian.PutUint64(p, swapSamples(v))
	}
	for ; len(p) >= 2; p = p[2:] {
		binary.BigEndian.PutUint16(p, binary.NativeEndian.Uint16(p))
	}
}

// swapSamples swaps the bytes of each sample where the host needs it.
func swapSamples(v uint64) uint64 {
	if hostIsBig {
		return v
	}
	const low = 0x00ff00ff00ff00ff
	return bits.RotateLeft64(v&low, 8) | bits.RotateLeft64(v&^low, -8)
}

var hostIsBig = binary.NativeEndian.Uint16([]byte{0, 1}) == 1
