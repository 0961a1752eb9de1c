// Package problem is the one error type that crosses processes: what the HTTP API
// answers as application/problem+json (RFC 9457), what the worker sends its node
// and what the clients show.
//
// The code table (codes.go) is append-only: a code keeps its meaning for ever.
// Whoever has an error that is no *Error answers Internal and keeps the detail in
// its own log; Detail is written for people and holds no secret.
package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"strconv"
	"time"
)

// MediaType is the Content-Type of a problem document.
const MediaType = "application/problem+json"

// Error is a problem. It is a value to return, compare with errors.Is by Code, and write.
type Error struct {
	Code       Code          // stable, from the table
	Detail     string        // what happened here, for people; "" leaves it to the title
	Field      string        // the member of the request that is wrong, as "settings.resolution"
	RetryAfter time.Duration // when trying again may help; 0 unknown
}

// New makes a problem with a detail.
func New(code Code, format string, args ...any) *Error {
	return &Error{Code: code, Detail: fmt.Sprintf(format, args...)}
}

// At says which member of the request is wrong.
func (e *Error) At(field string) *Error { e.Field = field; return e }

// After says when trying again may help.
func (e *Error) After(d time.Duration) *Error { e.RetryAfter = d; return e }

func (e *Error) Error() string {
	if e.Detail == "" {
		return string(e.Code) + ": " + e.Code.Title()
	}
	return string(e.Code) + ": " + e.Detail
}

// Is compares by code, so errors.Is(err, problem.JobWrongState.Error()) works.
func (e *Error) Is(target error) bool {
	t, ok := target.(*Error)
	return ok && t.Code == e.Code
}

// From finds the *Error in err, or answers Internal without detail.
func From(err error) *Error {
	var e *Error
	if errors.As(err, &e) {
		return e
	}
	return &Error{Code: Internal}
}

// document is the wire form.
type document struct {
	Type       string `json:"type"`
	Title      string `json:"title"`
	Status     int    `json:"status"`
	Code       Code   `json:"code"`
	Detail     string `json:"detail,omitempty"`
	Next       string `json:"next,omitempty"` // what to do next, for people
	Field      string `json:"field,omitempty"`
	Retryable  bool   `json:"retryable"`
	RetryAfter int    `json:"retryAfter,omitempty"` // seconds
}

// typeBase precedes the code in the type member of a problem document.
const typeBase = "urn:platen:problem:"

// MarshalJSON writes the problem document.
func (e *Error) MarshalJSON() ([]byte, error) {
	return json.Marshal(document{
		Type: typeBase + string(e.Code), Title: e.Code.Title(), Status: e.Code.Status(), Code: e.Code,
		Detail: e.Detail, Next: e.Code.Next(), Field: e.Field,
		Retryable: e.Code.Retryable(), RetryAfter: seconds(e.RetryAfter),
	})
}

// UnmarshalJSON reads a problem document. A code that this version does not know
// becomes Internal.
func (e *Error) UnmarshalJSON(b []byte) error {
	var d document
	if err := json.Unmarshal(b, &d); err != nil {
		return err
	}
	if _, known := table[d.Code]; !known {
		d.Code, d.Detail = Internal, d.Title
	}
	*e = Error{Code: d.Code, Detail: d.Detail, Field: d.Field, RetryAfter: time.Duration(d.RetryAfter) * time.Second}
	return nil
}

// Write answers a request with the problem in err.
func Write(w http.ResponseWriter, err error) {
	e := From(err)
	body, _ := json.Marshal(e) // strings and numbers only
	h := w.Header()
	h.Set("Content-Type", MediaType)
	h.Set("Cache-Control", "no-store")
	h.Set("X-Content-Type-Options", "nosniff")
	h.Del("Content-Length")
	h.Del("ETag")
	if s := seconds(e.RetryAfter); s > 0 {
		h.Set("Retry-After", strconv.Itoa(s))
	}
	w.WriteHeader(e.Code.Status())
	w.Write(append(body, '\n'))
}

func seconds(d time.Duration) int { return int((d + time.Second - 1) / time.Second) }
