package ledger

import (
	"encoding/csv"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// naive counts what the entries of a ledger say, without any cleverness.
func naive(entries []api.LedgerEntry, q Query, layout string) (rows []api.UsageRow) {
	type group struct{ period, item, project string }
	pages := map[group]int64{}
	clients, nodes := map[group]map[string]bool{}, map[group]map[string]bool{}
	slots := map[group]map[int64]map[string]bool{}
	put := func(m map[group]map[string]bool, g group, v string) {
		if m[g] == nil {
			m[g] = map[string]bool{}
		}
		if v != "" {
			m[g][v] = true
		}
	}
	for _, e := range entries {
		r := e.Receipt
		at := time.UnixMilli(r.At).UTC()
		if day := at.Truncate(24 * time.Hour); !q.From.IsZero() && day.Before(q.From) || !q.To.IsZero() && day.After(q.To) || q.Item != "" && q.Item != r.Item {
			continue
		}
		g := group{at.Format(layout), r.Item, r.Project}
		pages[g]++
		put(clients, g, r.Client)
		put(nodes, g, r.Node)
		if slots[g] == nil {
			slots[g] = map[int64]map[string]bool{}
		}
		slot := r.At / (3 * 60 * 1000)
		if slots[g][slot] == nil {
			slots[g][slot] = map[string]bool{}
		}
		if r.Client != "" {
			slots[g][slot][r.Client] = true
		}
	}
	for g, n := range pages {
		row := api.UsageRow{Period: g.period, Item: g.item, Project: g.project, Pages: n, Clients: int64(len(clients[g])), Nodes: int64(len(nodes[g]))}
		for _, s := range slots[g] {
			row.Concurrent = max(row.Concurrent, int64(len(s)))
		}
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b api.UsageRow) int {
		return strings.Compare(a.Period+"\x00"+a.Item+"\x00"+a.Project, b.Period+"\x00"+b.Item+"\x00"+b.Project)
	})
	return rows
}

func entries(t testing.TB, b *Book, after int64, node string) (list []api.LedgerEntry) {
	t.Helper()
	err := b.Scan(t.Context(), after, node, func(e api.LedgerEntry) error { list = append(list, e); return nil })
	if err != nil {
		t.Fatal(err)
	}
	return list
}

func day(month time.Month, day int) time.Time {
	return time.Date(2026, month, day, 0, 0, 0, 0, time.UTC)
}

func TestUsageEqualsTheLedger(t *testing.T) {
	for seed := range uint64(5) {
		r, records := seeded(seed), accesstest.NewRecords()
		b := open(t, records)
		span := []int64{dayMillis, 20 * 60 * 1000, 200 * dayMillis, 900 * dayMillis, 60_000}[seed]
		for range 4 {
			m := newMeter(t)
			for i := range 300 {
				if i%7 == 0 {
					m.job = scan.NewID(m.id.NodeID(), scan.KindJob)
				}
				client := fmt.Sprint("client", r.IntN(40))
				if r.IntN(5) == 0 {
					client = ""
				}
				m.add(api.Receipt{
					Job: m.job, N: i%7 + 1, Page: scan.NewID(m.id.NodeID(), scan.KindPage), Digest: strings.Repeat("0", 64),
					At: morning + r.Int64N(span), Item: []string{"", "a", "b"}[r.IntN(3)], Project: []string{"", "O-1", "O-2"}[r.IntN(3)], Client: client,
				})
			}
			for first := int64(1); first <= 300; first += 50 {
				if _, err := m.report(t, b, m.batch(first, first+49)); err != nil {
					t.Fatal(err)
				}
			}
		}
		all := entries(t, b, 0, "")
		for name, book := range map[string]*Book{"kept": b, "folded": open(t, records)} {
			for period, layout := range map[license.Period]string{license.Day: "2006-01-02", license.Month: "2006-01", license.Year: "2006", license.Whole: ""} {
				for _, q := range []Query{{}, {Item: "a"}, {From: day(12, 1)}, {To: day(11, 30)}, {From: day(11, 23), To: day(11, 23), Item: "b"}} {
					q.By = period
					got, want := book.Usage(q), naive(all, q, layout)
					if !slices.Equal(got, want) {
						t.Fatalf("seed %d, %s, Usage(%+v) =\n%+v, want\n%+v", seed, name, q, got, want)
					}
				}
			}
		}
	}
}

func TestScan(t *testing.T) {
	records, r := accesstest.NewRecords(), seeded(3)
	b := open(t, records)
	meters := []*meterOf{newMeter(t), newMeter(t)}
	for i := range 40 {
		m := meters[i%2]
		from := int64(len(m.rows)) + 1
		for range 1 + r.IntN(5) {
			m.commit(r)
		}
		if _, err := m.report(t, b, m.batch(from, int64(len(m.rows)))); err != nil {
			t.Fatal(err)
		}
	}
	all := entries(t, b, 0, "")
	for i, e := range all {
		if e.Place != int64(i)+1 {
			t.Fatalf("entry %d has place %d", i, e.Place)
		}
	}
	for after := range all {
		if got := entries(t, b, int64(after), ""); !slices.Equal(got, all[after:]) {
			t.Fatalf("Scan after %d = %d entries, want %d", after, len(got), len(all)-after)
		}
	}
	if got := entries(t, b, int64(len(all)), ""); len(got) != 0 {
		t.Errorf("Scan after the end = %d entries", len(got))
	}
	for _, m := range meters {
		got := entries(t, b, 0, m.id.NodeID())
		if len(got) != len(m.rows) {
			t.Fatalf("Scan of a node = %d entries, want %d", len(got), len(m.rows))
		}
		for i, e := range got {
			if e.Receipt != m.rows[i] || e.Chain != m.chains[i] {
				t.Fatalf("Scan of a node: entry %d = %+v, want %+v", i, e, m.rows[i])
			}
		}
	}
}

func TestWriteCSV(t *testing.T) {
	var out strings.Builder
	err := WriteCSV(&out, []api.UsageRow{
		{Period: "2026-11", Item: "=1+1", Organisation: "@cmd", Project: "O-\"x\",\ny", Kind: "-page", Pages: 12, Clients: 3, Nodes: 2, Concurrent: 1},
		{Period: "2026-12", Pages: 1},
	})
	if err != nil {
		t.Fatal(err)
	}
	lines, err := csv.NewReader(strings.NewReader(out.String())).ReadAll()
	want := [][]string{
		{"period", "item", "organisation", "project", "kind", "pages", "clients", "nodes", "concurrent"},
		{"2026-11", "'=1+1", "'@cmd", "O-\"x\",\ny", "'-page", "12", "3", "2", "1"},
		{"2026-12", "", "", "", "", "1", "0", "0", "0"},
	}
	if err != nil || !slices.EqualFunc(lines, want, slices.Equal) {
		t.Errorf("WriteCSV = %q, %v, want %q", lines, err, want)
	}
	if !strings.HasPrefix(out.String(), "period,") || strings.Count(out.String(), "\r\n") < 3 {
		t.Errorf("WriteCSV = %q, want lines that end as RFC 4180 says", out.String())
	}
}
