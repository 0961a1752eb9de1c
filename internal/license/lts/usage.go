package lts

import (
	"encoding/json"
	"net/http"
	"net/url"
	"regexp"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

var itemID = regexp.MustCompile(`^[a-z2-7]{20}$`)

// query reads the parameters of a request, each of which is there once.
func query(r *http.Request, names ...string) (map[string]string, error) {
	q, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, problem.New(problem.BadRequest, "The query is malformed.")
	}
	values := map[string]string{}
	for _, name := range names {
		if len(q[name]) > 1 {
			return nil, problem.New(problem.BadRequest, "The parameter is there twice.").At(name)
		}
		values[name] = q.Get(name)
	}
	return values, nil
}

func (d *desk) getUsage(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "from", "to", "by", "item", "format")
	if err != nil {
		return err
	}
	ask := ledger.Query{By: license.Month, Item: q["item"]}
	if ask.From, err = dayIn(q["from"], "from"); err != nil {
		return err
	}
	if ask.To, err = dayIn(q["to"], "to"); err != nil {
		return err
	}
	switch by := license.Period(q["by"]); by {
	case license.Whole:
	case license.Day, license.Month, license.Year:
		ask.By = by
	default:
		return problem.New(problem.BadRequest, "It is day, month or year.").At("by")
	}
	if ask.Item != "" && !itemID.MatchString(ask.Item) {
		return problem.BadID.Error().At("item")
	}
	if ask.Of, err = d.Server.Whose(r.Context()); err != nil {
		return err
	}
	rows := d.Book.Usage(ask)
	switch q["format"] {
	case "", "json":
		return access.WriteJSON(w, http.StatusOK, api.Usage{Items: rows})
	case "csv":
		w.Header().Set("Content-Type", "text/csv; charset=utf-8")
		w.Header().Set("Content-Disposition", `attachment; filename="platen-usage.csv"`)
		return ledger.WriteCSV(w, rows)
	}
	return problem.New(problem.BadRequest, "It is json or csv.").At("format")
}

func dayIn(text, name string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	t, err := time.Parse(time.DateOnly, text)
	if err != nil {
		return t, problem.New(problem.BadRequest, "It is a day as 2026-11-22.").At(name)
	}
	return t, nil
}

// exportLedger writes one entry a line, as they are read.
func (d *desk) exportLedger(w http.ResponseWriter, r *http.Request) error {
	q, err := query(r, "node")
	if err != nil {
		return err
	}
	if q["node"] != "" && scan.ParseNodeID(q["node"]) != nil {
		return problem.BadID.Error().At("node")
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	w.Header().Set("Content-Disposition", `attachment; filename="platen-ledger.jsonl"`)
	lines := json.NewEncoder(w)
	return d.Book.Scan(r.Context(), 0, q["node"], func(e api.LedgerEntry) error { return lines.Encode(e) })
}
