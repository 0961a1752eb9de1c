package accesstest

import (
	"bytes"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/getkin/kin-openapi/openapi3filter"
	"github.com/getkin/kin-openapi/routers"
	"github.com/getkin/kin-openapi/routers/gorillamux"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
)

// Spec reads proto/openapi.yaml of the module in which the test runs.
func Spec(t testing.TB) []byte {
	t.Helper()
	dir, err := os.Getwd()
	if err != nil {
		t.Fatal(err)
	}
	for ; ; dir = filepath.Dir(dir) {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			break
		}
		if dir == filepath.Dir(dir) {
			t.Fatal("no go.mod above the test's folder")
		}
	}
	spec, err := os.ReadFile(filepath.Join(dir, "proto", "openapi.yaml"))
	if err != nil {
		t.Fatal(err)
	}
	return spec
}

func load(t testing.TB, spec []byte) *openapi3.T {
	t.Helper()
	doc, err := openapi3.NewLoader().LoadFromData(spec)
	if err != nil {
		t.Fatalf("loading the API document: %v", err)
	}
	return doc
}

// End says which operations of the document an end has.
type End struct {
	Tags    []string // all operations with one of these
	Without []string // but for these operation IDs
}

// ContractCheck compares a route table with the API document: each route is an
// operation there, and each operation of the end is a route.
func ContractCheck(t *testing.T, spec []byte, routes []access.Route, end End) {
	t.Helper()
	doc := load(t, spec)
	inTable := map[string]bool{}
	for _, r := range routes {
		inTable[r.Method+" "+strings.TrimPrefix(r.Path, "/api/v1")] = true
	}
	inDocument := map[string]bool{}
	for path, item := range doc.Paths.Map() {
		for method, operation := range item.Operations() {
			key := method + " " + path
			inDocument[key] = true
			ours := slices.ContainsFunc(operation.Tags, func(tag string) bool { return slices.Contains(end.Tags, tag) }) &&
				!slices.Contains(end.Without, operation.OperationID)
			switch {
			case ours && !inTable[key]:
				t.Errorf("the document has %s (%s), the table has not", key, operation.OperationID)
			case !ours && inTable[key]:
				t.Errorf("the table has %s (%s), which is no operation of this end", key, operation.OperationID)
			}
		}
	}
	for key := range inTable {
		if !inDocument[key] {
			t.Errorf("the table has %s, the document has not", key)
		}
	}
}

// Validate wraps a handler: every answer to a path of the document is checked against
// the document, and so is every request that the handler accepted.
func Validate(t testing.TB, h http.Handler) http.Handler {
	t.Helper()
	doc := load(t, Spec(t))
	router, err := gorillamux.NewRouter(doc)
	if err != nil {
		t.Fatalf("routing by the API document: %v", err)
	}
	return &validator{t: t, next: h, router: router}
}

type validator struct {
	t      testing.TB
	next   http.Handler
	mu     sync.Mutex // the document's routes and schemas are not for concurrent use
	router routers.Router
}

func (v *validator) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	v.mu.Lock()
	route, parameters, err := v.router.FindRoute(relative(r))
	v.mu.Unlock()
	if err != nil { // the handler must know no better
		answer := &recorder{ResponseWriter: w}
		v.next.ServeHTTP(answer, r)
		if answer.status/100 == 2 && strings.HasPrefix(r.URL.Path, "/api/v1/") && r.Method != http.MethodOptions && r.Method != http.MethodHead {
			v.t.Errorf("%s %s: status %d, but the document has no such operation", r.Method, r.URL.Path, answer.status)
		}
		return
	}
	var body []byte
	if r.Body != nil {
		if body, err = io.ReadAll(r.Body); err != nil {
			v.t.Errorf("%s %s: reading the request: %v", r.Method, r.URL.Path, err)
		}
		r.Body = io.NopCloser(bytes.NewReader(body))
	}
	input := &openapi3filter.RequestValidationInput{
		Request: relative(r), PathParams: parameters, Route: route,
		Options: &openapi3filter.Options{
			AuthenticationFunc: openapi3filter.NoopAuthenticationFunc, IncludeResponseStatus: true,
			RejectWhenRequestBodyNotSpecified: true, SkipSettingDefaults: true,
		},
	}
	input.Request.Body = io.NopCloser(bytes.NewReader(body))
	answer := &recorder{ResponseWriter: w}
	v.next.ServeHTTP(answer, r)
	v.check(input, answer, len(body))
}

func (v *validator) check(input *openapi3filter.RequestValidationInput, answer *recorder, length int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	r := input.Request
	if length == 0 {
		r.Body, r.ContentLength = http.NoBody, 0
	}
	if answer.status/100 == 2 {
		if err := openapi3filter.ValidateRequest(r.Context(), input); err != nil {
			v.t.Errorf("%s %s: status %d for a request that the document refuses: %v", r.Method, r.URL.Path, answer.status, err)
		}
	}
	options := *input.Options
	kind := answer.Header().Get("Content-Type")
	options.ExcludeResponseBody = kind != "application/json" && kind != problem.MediaType
	err := openapi3filter.ValidateResponse(r.Context(), &openapi3filter.ResponseValidationInput{
		RequestValidationInput: input, Status: answer.status, Header: answer.Header(), Options: &options,
		Body: io.NopCloser(bytes.NewReader(answer.body.Bytes())),
	})
	if err != nil {
		v.t.Errorf("%s %s: the answer with status %d is not as in the document: %v\n%s", r.Method, r.URL.Path, answer.status, err, answer.body.Bytes())
	}
	if answer.status >= 400 && kind != problem.MediaType {
		v.t.Errorf("%s %s: status %d with Content-Type %q, want a problem", r.Method, r.URL.Path, answer.status, kind)
	}
}

// relative is the request as the document's server, /api/v1, sees it.
func relative(r *http.Request) *http.Request {
	c := r.Clone(r.Context())
	c.Body = http.NoBody
	c.URL.Scheme, c.URL.Host = "", ""
	return c
}

// recorder passes an answer on and keeps what JSON needs for its check.
type recorder struct {
	http.ResponseWriter
	status int
	body   bytes.Buffer
}

const maxRecorded = 4 << 20

func (r *recorder) Unwrap() http.ResponseWriter { return r.ResponseWriter }

func (r *recorder) WriteHeader(status int) {
	if r.status == 0 && status >= 200 {
		r.status = status
	}
	r.ResponseWriter.WriteHeader(status)
}

func (r *recorder) Write(b []byte) (int, error) {
	if r.status == 0 {
		r.status = http.StatusOK
	}
	if strings.Contains(r.Header().Get("Content-Type"), "json") && r.body.Len()+len(b) <= maxRecorded {
		r.body.Write(b)
	}
	return r.ResponseWriter.Write(b)
}

func (r *recorder) Flush() { http.NewResponseController(r.ResponseWriter).Flush() }
