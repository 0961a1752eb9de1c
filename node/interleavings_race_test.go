//go:build race

package node

// interleavings are fewer where each is ten times slower and watched more closely.
const interleavings = 100
