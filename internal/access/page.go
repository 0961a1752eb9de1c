package access

import (
	"encoding/base64"
	"net/http"
	"net/url"
	"regexp"
	"strconv"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Bounds of the members limit and cursor of every list.
const (
	defaultLimit = 50
	maxLimit     = 200
	maxCursor    = 2048
)

// Page reads the query parameters of a list: how many items, and the cursor, which
// is "" at the beginning and else what this end has put into next before.
func Page(r *http.Request) (limit int, cursor string, err error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return 0, "", problem.New(problem.BadRequest, "The query is malformed.")
	}
	for _, name := range []string{"limit", "cursor"} {
		if len(q[name]) > 1 {
			return 0, "", problem.New(problem.BadRequest, "The parameter is there twice.").At(name)
		}
	}
	limit = defaultLimit
	if q.Has("limit") {
		limit, err = strconv.Atoi(q.Get("limit"))
		if err != nil || limit < 1 || limit > maxLimit {
			return 0, "", problem.New(problem.BadRequest, "It is a number from 1 to %d.", maxLimit).At("limit")
		}
	}
	cursor = q.Get("cursor")
	if len(cursor) > maxCursor {
		return 0, "", problem.New(problem.BadRequest, "Take cursors from the member next, unchanged.").At("cursor")
	}
	return limit, cursor, nil
}

// errCursor is for cursors that no list has given out.
func errCursor() error {
	return problem.New(problem.BadRequest, "Take cursors from the member next, unchanged.").At("cursor")
}

// pageOf cuts a page from items in order of their IDs. The cursor is the ID of the
// last item of the page before.
func pageOf[T any](items []T, id func(T) string, limit int, cursor string) (page []T, next string, err error) {
	after := ""
	if cursor != "" {
		b, err := base64.RawURLEncoding.DecodeString(cursor)
		if err != nil || !isText(string(b), shortIDLength) {
			return nil, "", errCursor()
		}
		after = string(b)
	}
	page = []T{}
	for _, item := range items {
		if id(item) <= after {
			continue
		}
		if len(page) == limit {
			return page, base64.RawURLEncoding.EncodeToString([]byte(id(page[limit-1]))), nil
		}
		page = append(page, item)
	}
	return page, "", nil
}

// checkPathValues judges the identifiers in the path by the names that the routes
// give them, before any handler looks one up.
func checkPathValues(r *http.Request) error {
	for name, kind := range map[string]scan.Kind{"scanner": scan.KindScanner, "job": scan.KindJob, "document": scan.KindDocument} {
		if v := r.PathValue(name); v != "" {
			if _, k, err := scan.ParseID(v); err != nil || k != kind {
				return problem.BadID.Error().At(name)
			}
		}
	}
	for _, name := range []string{"pairing", "session", "token", "user", "passkey", "permission", "origin", "change", "item"} {
		if v := r.PathValue(name); v != "" && !isText(v, shortIDLength) {
			return problem.BadID.Error().At(name)
		}
	}
	if v := r.PathValue("code"); v != "" && !isCode(v) {
		return problem.BadID.Error().At("code")
	}
	if v := r.PathValue("project"); v != "" && !handshake.MatchString(v) {
		return problem.BadID.Error().At("project")
	}
	if v := r.PathValue("seat"); v != "" {
		if n, err := strconv.ParseInt(v, 10, 64); err != nil || n < 1 || strconv.FormatInt(n, 10) != v {
			return problem.BadID.Error().At("seat")
		}
	}
	if v := r.PathValue("slot"); v != "" && v != "local" && v != "external" {
		return problem.BadID.Error().At("slot")
	}
	if v := r.PathValue("node"); v != "" && scan.ParseNodeID(v) != nil {
		return problem.BadID.Error().At("node")
	}
	if v := r.PathValue("n"); v != "" {
		if n, err := strconv.Atoi(v); err != nil || n < 1 || n > maxPage || strconv.Itoa(n) != v {
			return problem.BadID.Error().At("n")
		}
	}
	return nil
}

// handshake is a handshake code.
var handshake = regexp.MustCompile(`^[A-Za-z0-9]{1,32}-[A-Za-z0-9_]{1,64}$`)

// maxPage is the highest page number of the contract.
const maxPage = 100_000
