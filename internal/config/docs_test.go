package config

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// The operator guide lists every key; `go test ./internal/config -update` brings it up to date.
func TestGuideListsEveryKey(t *testing.T) {
	const guide = "../../docs/operator.md"
	const begin, end = "<!-- keys -->\n", "<!-- /keys -->"
	b, err := os.ReadFile(guide)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, ok := strings.Cut(string(b), begin)
	_, after, ok2 := strings.Cut(rest, end)
	if !ok || !ok2 {
		t.Fatalf("%s has no place for the table (%s)", guide, begin)
	}
	var table strings.Builder
	table.WriteString("| section | key | default | value | meaning |\n|---|---|---|---|---|\n")
	for _, k := range Keys() {
		fmt.Fprintf(&table, "| `[%s]` | `%s` | %s | %s | %s |\n", k.Section, k.Key, k.Default, k.Unit, k.Meaning)
	}
	want := before + begin + table.String() + end + after
	if want == string(b) {
		return
	}
	if !*update {
		t.Fatalf("the table of keys in %s is stale; run go test ./internal/config -update", guide)
	}
	if err := os.WriteFile(guide, []byte(want), 0o644); err != nil {
		t.Fatal(err)
	}
}
