package node

import (
	"net/http"
	"testing"
)

// What a page that grows answers in part. A list of ranges, even of one, it does not: a
// gateway relies on that to have the beginning of pages that are whole only.
func TestOpenRange(t *testing.T) {
	for asked, want := range map[string][2]int64{"bytes=0-": {0, 1 << 62}, "bytes=5-9": {5, 9}, "bytes=0-65535,": {}, "bytes=0-1,3-4": {}, "bytes=-5": {}, "bytes=9-5": {}, "": {}} {
		from, to, ok := openRange(&http.Request{Header: http.Header{"Range": {asked}}}, `"page"`)
		if ok != (want != [2]int64{}) || ok && [2]int64{from, to} != want {
			t.Errorf("openRange(%q) = %d, %d, %t, want %v", asked, from, to, ok, want)
		}
	}
}
