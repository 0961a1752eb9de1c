// Package state is the gateway's durable memory and the only user of NATS: the
// registry of nodes, what scanners each node had last, and the records of package
// access (sessions, pairings, join tokens).
//
// Everything is a key-value bucket of a JetStream server that runs inside the
// process, listens on no port and syncs to disk before it acknowledges. Whoever
// holds a State may take a written value as safe once the call returns. Pages and
// heartbeats never come here.
package state
