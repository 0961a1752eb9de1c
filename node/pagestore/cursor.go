package pagestore

import (
	"encoding/base64"
	"encoding/binary"
	"math"

	"github.com/platen-scan/platen/proto/problem"
)

// A cursor names the last item of a page of a list, so that the next begins behind
// it whatever was added or removed meanwhile. It is base64url of one byte for the
// list, the item's place and, where places are not unique, its ID. Whoever forges
// one sees no more than the list's own filter lets through.
type cursor struct {
	place int64
	id    string
}

// list tells apart the cursors of different lists.
type list byte

const (
	listJobs      list = 'J'
	listPages     list = 'P'
	listDocuments list = 'D'
)

const maxCursor = 128 // bytes of text

func (c cursor) encode(l list) string {
	b := binary.AppendUvarint([]byte{byte(l)}, uint64(c.place))
	return base64.RawURLEncoding.EncodeToString(append(b, c.id...))
}

// parseCursor reads a cursor of the list; ok is false for none.
func parseCursor(l list, text string) (c cursor, ok bool, err error) {
	if text == "" {
		return cursor{}, false, nil
	}
	if len(text) <= maxCursor {
		b, err := base64.RawURLEncoding.Strict().DecodeString(text)
		if err == nil && len(b) > 1 && b[0] == byte(l) {
			place, n := binary.Uvarint(b[1:])
			c = cursor{int64(place), string(b[1+max(n, 0):])}
			if n > 0 && place <= math.MaxInt64 && c.encode(l) == text {
				return c, true, nil
			}
		}
	}
	return cursor{}, false, problem.New(problem.BadRequest, "The cursor is not from this list.").At("cursor")
}

// Limits of one page of a list.
const (
	defaultLimit = 50
	maxLimit     = 200
)

// limited is how many items a page of a list has.
func limited(n int) int {
	if n <= 0 {
		return defaultLimit
	}
	return min(n, maxLimit)
}
