package api

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// What a client takes for an answer, in bytes.
const (
	maxAnswer  = 4 << 20 // JSON
	maxProblem = 64 << 10
	maxEvent   = 1 << 20 // one line of an event stream
)

// Decode reads the answer of a request: JSON into a T, or the problem as an error.
func Decode[T any](res *http.Response, err error) (T, error) {
	var v T
	if err := Accept(res, err); err != nil {
		return v, err
	}
	defer res.Body.Close()
	if err := json.NewDecoder(io.LimitReader(res.Body, maxAnswer)).Decode(&v); err != nil {
		return v, fmt.Errorf("reading the answer of %s: %w", res.Request.URL.Path, err)
	}
	return v, nil
}

// Accept turns an answer that is no success into its problem. The caller closes the body of
// a success.
func Accept(res *http.Response, err error) error {
	if err != nil {
		return err
	}
	if res.StatusCode < 300 {
		return nil
	}
	defer res.Body.Close()
	var p problem.Error
	if err := json.NewDecoder(io.LimitReader(res.Body, maxProblem)).Decode(&p); err != nil {
		return fmt.Errorf("%s answered %s", res.Request.URL.Host, res.Status)
	}
	return &p
}

// Done is Accept for answers without a body.
func Done(res *http.Response, err error) error {
	if err := Accept(res, err); err != nil {
		return err
	}
	return res.Body.Close()
}

// Events reads a stream of events until it ends or each answers an error. alive, which may be
// nil, hears of every line, also of those that only say that the stream stands.
func Events(stream io.Reader, alive func(), each func(scan.Event) error) error {
	lines := bufio.NewScanner(stream)
	lines.Buffer(nil, maxEvent)
	for lines.Scan() {
		if alive != nil {
			alive()
		}
		data, ok := strings.CutPrefix(lines.Text(), "data:")
		if !ok {
			continue
		}
		var e scan.Event
		if err := json.Unmarshal([]byte(data), &e); err != nil {
			return fmt.Errorf("reading an event: %w", err)
		}
		if err := each(e); err != nil {
			return err
		}
	}
	return lines.Err()
}
