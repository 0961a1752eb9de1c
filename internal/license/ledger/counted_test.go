package ledger

import (
	"errors"
	"testing"

	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func TestCounted(t *testing.T) {
	records, m := accesstest.NewRecords(), pages(t, 30)
	b, other := open(t, records), open(t, records)
	for _, part := range [][2]int64{{11, 15}, {16, 16}, {17, 25}} {
		if _, err := m.report(t, other, m.batch(part[0], part[1])); err != nil {
			t.Fatal(err)
		}
	}
	for i, r := range m.rows {
		want := i >= 10 && i < 25
		if got, err := b.Counted(t.Context(), r); err != nil || got != want {
			t.Errorf("Counted of page %d = %v, %v, want %v", r.Seq, got, err, want)
		}
		r.Bytes++
		if got, err := b.Counted(t.Context(), r); err != nil || got {
			t.Errorf("Counted of another page %d = %v, %v", r.Seq, got, err)
		}
	}
	if got, err := b.Counted(t.Context(), pages(t, 1).rows[0]); err != nil || got {
		t.Errorf("Counted of an unknown node's page = %v, %v", got, err)
	}
}

func TestWholeBeginsWithTheFirstPage(t *testing.T) {
	m := pages(t, 30)
	b, err := Open(t.Context(), Config{Records: accesstest.NewRecords(), Server: newIdentity(t), Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	_, err = m.report(t, b, m.batch(11, 20))
	if mark, ok := Gap(err); !errors.Is(err, problem.ReceiptGap.Error()) || !ok || mark.Seq != 0 || mark.Chain != "" {
		t.Fatalf("Report from page 11 on = %v, want ReceiptGap from the first one on", err)
	}
	old := m.batch(11, 20) // of a node that has no receipts of the pages before
	old.Start = 10
	from, err := Open(t.Context(), Config{Records: accesstest.NewRecords(), Server: newIdentity(t), Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	if mark, err := m.report(t, from, old); err != nil || mark.Seq != 20 {
		t.Errorf("Report from the first receipt on = %d, %v, want 20", mark.Seq, err)
	}
	standby, err := Open(t.Context(), Config{Records: accesstest.NewRecords(), Server: newIdentity(t), Whole: true})
	if err != nil {
		t.Fatal(err)
	}
	err = from.Batches(t.Context(), 0, func(_ int64, batch api.ReceiptBatch) error { _, err := m.report(t, standby, batch); return err })
	if err != nil || standby.Pages() != 10 {
		t.Errorf("its copy: %v, %d pages, want 10", err, standby.Pages())
	}
	for _, part := range [][2]int64{{1, 10}, {11, 30}} {
		if mark, err := m.report(t, b, m.batch(part[0], part[1])); err != nil || mark.Seq != part[1] {
			t.Errorf("Report of %v = %d, %v", part, mark.Seq, err)
		}
	}
}
