package airscan

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"

	"github.com/platen-scan/platen/proto/problem"
)

const (
	maxAnswer  = 4 << 20 // of JSON
	maxProblem = 64 << 10
)

// decode reads the answer of a request: JSON into a T, or the problem as an error.
func decode[T any](res *http.Response, err error) (T, error) {
	var v T
	if err := accept(res, err); err != nil {
		return v, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&v); err != nil {
		return v, fmt.Errorf("reading an answer of the API: %w", err)
	}
	return v, nil
}

// accept turns an answer that is no success into its problem. The caller closes the body
// of a success.
func accept(res *http.Response, err error) error {
	if err != nil {
		return fmt.Errorf("asking the API: %w", err)
	}
	if res.StatusCode < 300 {
		return nil
	}
	defer res.Body.Close()
	var p problem.Error
	if err := json.NewDecoder(io.LimitReader(res.Body, maxProblem)).Decode(&p); err != nil {
		return fmt.Errorf("the API answered with status %d", res.StatusCode)
	}
	return &p
}

// done is accept for answers without a body.
func done(res *http.Response, err error) error {
	if err := accept(res, err); err != nil {
		return err
	}
	return res.Body.Close()
}

// problemOf is the problem in err, nil for an error on the way.
func problemOf(err error) *problem.Error {
	var p *problem.Error
	if errors.As(err, &p) {
		return p
	}
	return nil
}

// final reports whether asking again would not help: the scanner or job is not there for
// us, or never was.
func final(err error) bool {
	p := problemOf(err)
	return p != nil && !p.Code.Retryable() && p.Code != problem.Internal && p.Code != problem.EventsGone
}
