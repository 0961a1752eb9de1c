package main

import (
	"strconv"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/relay/front"
)

// fronted is what gateway and licence tracking server have in common: one port for
// browsers and other ends, a state, and what licences are counted by.
type fronted struct {
	*base
	state   *state.State
	tracker *tracker
	desk    *license.Desk // of a tracking server: for what it says of the licence, nobody scans there
	front   *front.Front
}

// port is the one for browsers and other ends.
func (f *fronted) port() int { return portOf(f.front) }

func (f *fronted) endpoint() endpoint {
	return endpoint{URL: "https://127.0.0.1:" + strconv.Itoa(f.port()), Token: f.token, CA: f.ca.Pin(), Setup: f.setupURL()}
}

// meet writes down how this machine's commands reach the service, and answers how.
func (f *fronted) meet() (*client, error) {
	e := f.endpoint()
	if err := writeEndpoint(f.data, e); err != nil {
		return nil, err
	}
	return newClient(e)
}

func (f *fronted) close() {
	f.base.close()
	if f.tracker != nil {
		f.tracker.close()
	}
	if f.state != nil {
		if err := f.state.Close(); err != nil {
			f.log.Error("closing the state failed", "error", err)
		}
	}
}
