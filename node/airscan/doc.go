// Package airscan is the eSCL server: a shared scanner as operating systems use it
// without drivers (Apple calls it AirScan). It is a client of Platen's HTTP API and
// translates: the scanner may be this node's own, or one of another node that is reached
// through the gateway.
//
// A client's job is a job of the API, in the same queue as everybody's. The request that
// makes it is held for a moment until the scanner begins with it; a client that would
// have to wait longer is told to come again, and finds its place in the queue kept for
// ten seconds. Pages are handed out one by one, each until its last byte was taken.
// Two minutes after the last of that, job and pages are deleted.
//
// eSCL has no sign-in: whose job it is, is told by the unguessable name that it got. Who
// may ask at all is decided before requests come here (access.Neighbours).
package airscan

import (
	"log/slog"
	"net/netip"

	"github.com/platen-scan/platen/proto/api"
)

// Config is what a Server is made of.
type Config struct {
	Scanner string // ID; needed
	// API is the HTTP API for a client at an address: what it makes belongs to that client.
	// The unspecified address is the server itself, which only looks. Needed.
	API func(client netip.Addr) *api.Client
	// Admin is a page for people that clients lead to; nil or "": none.
	Admin func() string
	// Spool is a folder for files in the making; "": the system's.
	Spool string
	// Changed is called when what Describe answers has changed; may be nil. It must not block.
	Changed func()
	Log     *slog.Logger // nil: none
}
