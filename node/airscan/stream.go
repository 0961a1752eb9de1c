package airscan

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"time"
)

const (
	maxBody   = 64 << 10
	stallTime = 10 * time.Second // for a client to take or send one piece
	piece     = 32 << 10
)

// paced writes so that a client that takes nothing for stallTime is cut off, and a slow
// one is not.
type paced struct {
	http.ResponseWriter
	control *http.ResponseController
}

func newPaced(w http.ResponseWriter) *paced { return &paced{w, http.NewResponseController(w)} }

// Unwrap is for http.ResponseController.
func (p *paced) Unwrap() http.ResponseWriter { return p.ResponseWriter }

func (p *paced) WriteHeader(status int) {
	p.extend()
	p.ResponseWriter.WriteHeader(status)
}

func (p *paced) Write(b []byte) (n int, err error) {
	for {
		p.extend()
		m, err := p.ResponseWriter.Write(b[:min(len(b), piece)])
		n += m
		if b = b[m:]; err != nil || len(b) == 0 {
			return n, err
		}
	}
}

// FlushError sends what was written. An error says that the client is not there any more.
func (p *paced) FlushError() error {
	p.extend()
	err := p.control.Flush()
	if errors.Is(err, http.ErrNotSupported) {
		return nil // a test's
	}
	return err
}

func (p *paced) extend() {
	// A writer without deadlines is a test's.
	_ = p.control.SetWriteDeadline(time.Now().Add(stallTime))
}

// limitReading gives a body stallTime to come, and a request that has none no limit: one
// would end what is held for the client.
func (p *paced) limitReading(r *http.Request) {
	limit := time.Time{}
	if r.Body != http.NoBody {
		limit = time.Now().Add(stallTime)
	}
	_ = p.control.SetReadDeadline(limit) // as in extend
}

// readBody reads what a client sends, within limits of size and time.
func readBody(w http.ResponseWriter, r *http.Request) ([]byte, error) {
	defer func() { _ = http.NewResponseController(w).SetReadDeadline(time.Time{}) }()
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxBody))
	var large *http.MaxBytesError
	if errors.As(err, &large) {
		return nil, &refusal{status: http.StatusRequestEntityTooLarge, text: fmt.Sprintf("settings have at most %d bytes", maxBody)}
	}
	if err != nil {
		return nil, &refusal{status: http.StatusBadRequest, text: "the body did not come to its end"}
	}
	return body, nil
}
