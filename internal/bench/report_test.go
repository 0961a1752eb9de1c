//go:build bench || scale

package bench

import (
	"flag"
	"fmt"
	"os"
	"strings"
	"testing"
)

var out = flag.String("out", "", "file to write the results to")

// report collects the document's sections, and what is to be reached.
type report struct {
	strings.Builder
	goals []string
}

func (r *report) section(title, text string) { fmt.Fprintf(r, "\n## %s\n\n%s\n\n", title, text) }

// goal says what is to be reached and what was measured.
func (r *report) goal(what, reach, format string, measured any) {
	r.goals = append(r.goals, fmt.Sprintf("%s | %s | "+format, what, reach, measured))
}

func (r *report) table(head string, rows ...string) {
	fmt.Fprintf(r, "| %s |\n|%s\n", head, strings.Repeat("---|", strings.Count(head, "|")+1))
	for _, row := range rows {
		fmt.Fprintf(r, "| %s |\n", row)
	}
}

// write shows the document, whose head is given, and writes it where -out says.
func (r *report) write(t *testing.T, head string) {
	t.Helper()
	summary := &report{}
	summary.section("What is to be reached", "")
	summary.table("what | reach | this run", r.goals...)
	document := head + strings.ReplaceAll(summary.String()+r.String(), "\n\n\n\n", "\n\n")
	t.Log("\n" + document)
	if *out != "" {
		if err := os.WriteFile(*out, []byte(document), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}
