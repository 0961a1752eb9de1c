package access

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"

	"github.com/platen-scan/platen/proto/problem"
)

// MaxJSON is the largest JSON body that is read, whatever the route allows.
const MaxJSON = 256 << 10

// ReadJSON reads the body of a client's request into the struct that v points to. It
// is strict: application/json, one object, no unknown, repeated or null member, no
// member without omitempty left out, depth at most 32. Errors are problems.
func ReadJSON(r *http.Request, v any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	if err := checkShape(body, v); err != nil {
		return err
	}
	return decode(body, v)
}

// ReadPeerJSON is ReadJSON for requests between our own ends, which may be of
// different versions: members that are not known are passed over.
func ReadPeerJSON(r *http.Request, v any) error {
	body, err := readBody(r)
	if err != nil {
		return err
	}
	return decode(body, v)
}

// ReadPeerJSONUpTo is ReadPeerJSON for bodies of up to most bytes, where our own ends send
// lists. The route has to allow it too.
func ReadPeerJSONUpTo(most int64, r *http.Request, v any) error {
	body, err := readBodyUpTo(most, r)
	if err != nil {
		return err
	}
	return decode(body, v)
}

func readBody(r *http.Request) ([]byte, error) { return readBodyUpTo(MaxJSON, r) }

func readBodyUpTo(most int64, r *http.Request) ([]byte, error) {
	if kind, parameters, err := mime.ParseMediaType(r.Header.Get("Content-Type")); err != nil ||
		kind != "application/json" || len(r.Header.Values("Content-Type")) != 1 || !isUTF8(parameters) {
		return nil, problem.MediaTypeWrong.Error()
	}
	if r.ContentLength > most {
		return nil, tooLarge(most)
	}
	body, err := io.ReadAll(io.LimitReader(r.Body, most+1))
	var limit *http.MaxBytesError
	switch {
	case errors.As(err, &limit):
		return nil, tooLarge(limit.Limit)
	case err != nil:
		return nil, problem.New(problem.BadRequest, "The body ended early.")
	case int64(len(body)) > most:
		return nil, tooLarge(most)
	}
	return body, nil
}

func isUTF8(parameters map[string]string) bool {
	charset, ok := parameters["charset"]
	return !ok && len(parameters) == 0 || len(parameters) == 1 && (charset == "utf-8" || charset == "UTF-8")
}

func decode(body []byte, v any) error {
	err := json.Unmarshal(body, v)
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var known *problem.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &known):
		return known
	case errors.As(err, &syntax):
		return problem.New(problem.InvalidJSON, "At byte %d: %s.", syntax.Offset, syntax)
	case errors.As(err, &kind):
		return problem.New(problem.InvalidJSON, "A %s does not go there.", kind.Value).At(kind.Field)
	}
	return problem.New(problem.InvalidJSON, "%s.", err)
}

// WriteJSON answers with v. It encodes before it begins the answer, so that a value
// that cannot be encoded becomes a problem.
func WriteJSON(w http.ResponseWriter, status int, v any) error {
	body, err := json.Marshal(v)
	if err != nil {
		return fmt.Errorf("encoding an answer: %w", err)
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	if _, err := w.Write(append(body, '\n')); err != nil {
		return fmt.Errorf("writing an answer: %w", err)
	}
	return nil
}
