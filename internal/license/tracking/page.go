package tracking

import (
	"encoding/base64"

	"github.com/platen-scan/platen/proto/problem"
)

// pageOf cuts a page from a list in the order of its names. The cursor is the name of the
// last one on the page before.
func pageOf[T any](all []T, name func(T) string, limit int, cursor string) (page []T, next string, err error) {
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return nil, "", problem.New(problem.BadRequest, "Take cursors from the member next, unchanged.").At("cursor")
	}
	for _, v := range all {
		if cursor != "" && name(v) <= string(after) {
			continue
		}
		if len(page) == limit {
			return page, base64.RawURLEncoding.EncodeToString([]byte(name(page[limit-1]))), nil
		}
		page = append(page, v)
	}
	return page, "", nil
}
