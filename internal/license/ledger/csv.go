package ledger

import (
	"encoding/csv"
	"io"
	"strconv"
	"strings"

	"github.com/platen-scan/platen/proto/api"
)

// WriteCSV writes rows as RFC 4180 says, under the names that they have in JSON. A text
// that a spreadsheet would run as a formula gets an apostrophe in front.
func WriteCSV(w io.Writer, rows []api.UsageRow) error {
	out := csv.NewWriter(w)
	out.UseCRLF = true
	out.Write([]string{"period", "item", "organisation", "project", "kind", "pages", "clients", "nodes", "concurrent"})
	for _, r := range rows {
		line := []string{r.Period, r.Item, r.Organisation, r.Project, r.Kind}
		for i := range line {
			line[i] = harmless(line[i])
		}
		for _, n := range []int64{r.Pages, r.Clients, r.Nodes, r.Concurrent} {
			line = append(line, strconv.FormatInt(n, 10))
		}
		out.Write(line) // Error says what came of it
	}
	out.Flush()
	return out.Error()
}

func harmless(text string) string {
	if text != "" && strings.ContainsRune("=+-@\t\r\n", rune(text[0])) {
		return "'" + text
	}
	return text
}
