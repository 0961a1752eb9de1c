package access

import (
	"bytes"
	"encoding"
	"encoding/json"
	"errors"
	"io"
	"reflect"
	"slices"
	"strconv"
	"strings"
	"unicode/utf8"

	"github.com/platen-scan/platen/proto/problem"
)

const maxDepth = 32

// checkShape walks the tokens of a body beside the Go type that it is meant for. The
// decoder of encoding/json would pass over case, repetition and omissions, and could
// not say where an unknown member stands.
func checkShape(body []byte, v any) error {
	if !utf8.Valid(body) {
		return problem.New(problem.InvalidJSON, "The body is not UTF-8.")
	}
	s := shape{tokens: json.NewDecoder(bytes.NewReader(body))}
	s.tokens.UseNumber()
	t := reflect.TypeOf(v)
	first, err := s.next("")
	if err != nil {
		return err
	}
	if first != json.Delim('{') {
		return problem.New(problem.InvalidJSON, "The body is not an object.")
	}
	if err := s.object(t, "", 1); err != nil {
		return err
	}
	if _, err := s.tokens.Token(); !errors.Is(err, io.EOF) {
		return problem.New(problem.InvalidJSON, "Something follows the object.")
	}
	return nil
}

type shape struct{ tokens *json.Decoder }

func (s *shape) next(path string) (json.Token, error) {
	t, err := s.tokens.Token()
	if err != nil {
		return nil, problem.New(problem.InvalidJSON, "At byte %d: it is not JSON.", s.tokens.InputOffset()).At(path)
	}
	return t, nil
}

func (s *shape) value(t reflect.Type, path string, depth int) error {
	token, err := s.next(path)
	if err != nil {
		return err
	}
	if depth > maxDepth {
		return problem.New(problem.InvalidJSON, "It is nested too deep.").At(path)
	}
	switch token {
	case json.Delim('{'):
		return s.object(t, path, depth)
	case json.Delim('['):
		return s.array(t, path, depth)
	case nil:
		return problem.New(problem.InvalidJSON, "null does not go there; leave the member out.").At(path)
	}
	return nil
}

func (s *shape) array(t reflect.Type, path string, depth int) error {
	var element reflect.Type
	if t = concrete(t); t != nil && (t.Kind() == reflect.Slice || t.Kind() == reflect.Array) {
		element = t.Elem()
	}
	for i := 0; s.tokens.More(); i++ {
		if err := s.value(element, path+"."+strconv.Itoa(i), depth+1); err != nil {
			return err
		}
	}
	_, err := s.next(path)
	return err
}

func (s *shape) object(t reflect.Type, path string, depth int) error {
	t = concrete(t)
	members, strict := membersOf(t)
	var seen []string
	for s.tokens.More() {
		token, err := s.next(path)
		if err != nil {
			return err
		}
		name := token.(string) // Token gives nothing else for a name
		at := join(path, name)
		if slices.Contains(seen, name) {
			return problem.New(problem.InvalidJSON, "The member is there twice.").At(at)
		}
		seen = append(seen, name)
		i := slices.IndexFunc(members, func(m member) bool { return m.name == name })
		var inner reflect.Type
		switch {
		case i >= 0:
			inner = members[i].kind
		case strict:
			return problem.UnknownField.Error().At(at)
		case t != nil && t.Kind() == reflect.Map:
			inner = t.Elem()
		}
		if err := s.value(inner, at, depth+1); err != nil {
			return err
		}
	}
	if _, err := s.next(path); err != nil {
		return err
	}
	for _, m := range members {
		if m.required && !slices.Contains(seen, m.name) {
			return problem.New(problem.InvalidJSON, "The member is missing.").At(join(path, m.name))
		}
	}
	return nil
}

func join(path, name string) string {
	const most = 64 // of a name that a client made up
	name = cut(strings.ToValidUTF8(name, ""), most)
	if path == "" {
		return name
	}
	return path + "." + name
}

// concrete follows pointers; nil for types whose JSON is their own business.
func concrete(t reflect.Type) reflect.Type {
	for t != nil {
		if p := reflect.PointerTo(t); p.Implements(unmarshaler) || p.Implements(textUnmarshaler) {
			return nil
		}
		if t.Kind() != reflect.Pointer {
			return t
		}
		t = t.Elem()
	}
	return nil
}

var (
	unmarshaler     = reflect.TypeFor[json.Unmarshaler]()
	textUnmarshaler = reflect.TypeFor[encoding.TextUnmarshaler]()
)

type member struct {
	name     string
	kind     reflect.Type
	required bool // it has neither omitempty nor omitzero, as in the API document
}

// membersOf lists a struct's members; strict is false for what is no struct.
func membersOf(t reflect.Type) (members []member, strict bool) {
	if t == nil || t.Kind() != reflect.Struct {
		return nil, false
	}
	for f := range t.Fields() {
		name, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "-" || !f.IsExported() {
			continue
		}
		if name == "" {
			name = f.Name
		}
		members = append(members, member{name, f.Type, !strings.Contains(options, "omit")})
	}
	return members, true
}
