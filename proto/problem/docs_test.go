package problem

import (
	"flag"
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write the code table into the API guide")

// The API guide lists every code; `go test ./proto/problem -update` brings it up to date.
func TestGuideListsEveryCode(t *testing.T) {
	const guide = "../../docs/api.md"
	const begin, end = "<!-- codes -->\n", "<!-- /codes -->"
	b, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table (%s)", guide, begin)
	}
	codes := Codes()
	slices.SortFunc(codes, func(a, b Code) int {
		if d := a.Status() - b.Status(); d != 0 {
			return d
		}
		return strings.Compare(string(a), string(b))
	})
	var table strings.Builder
	table.WriteString("| status | code | what happened | what to do |\n|---|---|---|---|\n")
	for _, c := range codes {
		fmt.Fprintf(&table, "| %d | `%s` | %s | %s |\n", c.Status(), c, c.Title(), c.Next())
	}
	want := before + begin + table.String() + end + after
	if want == string(b) {
		return
	}
	if !*update {
		t.Fatalf("the table of codes in %s is stale; run go test ./proto/problem -update", guide)
	}
	if err := os.WriteFile(guide, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
