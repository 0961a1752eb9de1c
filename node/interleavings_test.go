//go:build !race

package node

// interleavings is how often two people meet at the scanner of TestMisdelivery.
const interleavings = 1000
