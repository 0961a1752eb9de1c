package pagestore

import (
	"encoding/hex"
	"errors"
	"testing"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// allReceipts reads the meter in batches, and checks that they follow one after another.
func allReceipts(t testing.TB, s *Store, limit int) []api.Receipt {
	t.Helper()
	var all []api.Receipt
	_, start, err := s.MeterHead(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	chain, err := s.ChainAt(t.Context(), start)
	if err != nil {
		t.Fatal(err)
	}
	for seq := start; ; {
		before, list, head, err := s.Receipts(t.Context(), seq, limit)
		if err != nil {
			t.Fatal(err)
		}
		if before != chain {
			t.Fatalf("the chain before %d is %s, want %s", seq+1, before, chain)
		}
		if len(list) == 0 {
			if head != (license.Head{Seq: seq, Chain: chain}) {
				t.Fatalf("head without receipts is %+v, want %d, %s", head, seq, chain)
			}
			return all
		}
		for _, r := range list {
			if seq++; r.Seq != seq {
				t.Fatalf("receipt %d follows %d", r.Seq, seq-1)
			}
			b, err := hex.DecodeString(chain)
			if err != nil {
				t.Fatal(err)
			}
			next, err := license.Chain(b, r)
			if err != nil {
				t.Fatal(err)
			}
			chain = hex.EncodeToString(next)
		}
		if head != (license.Head{Seq: seq, Chain: chain}) {
			t.Fatalf("head = %+v, want %d, %s", head, seq, chain)
		}
		all = append(all, list...)
	}
}

// checkMeter demands that the chain is whole, that the meter has each page once and that
// every page under a page licence was spent of a block, none of another.
func checkMeter(t testing.TB, s *Store) {
	t.Helper()
	spent := map[[2]string]int{}
	pages := map[string]bool{}
	for _, r := range allReceipts(t, s, 7) {
		if pages[r.Page] {
			t.Errorf("page %s was counted twice", r.Page)
		}
		pages[r.Page] = true
		if r.Block != "" {
			spent[[2]string{r.Item, r.Block}]++
		}
	}
	err := s.index.view(t.Context()).each("SELECT item, id, used FROM blocks", nil, func(row func(...any) error) error {
		var item, id string
		var used int
		if err := row(&item, &id, &used); err != nil {
			return err
		}
		if got := spent[[2]string{item, id}]; got != used {
			t.Errorf("block %s of %s: %d pages are spent, and %d counted", id, item, used, got)
		}
		delete(spent, [2]string{item, id})
		return nil
	})
	if err != nil || len(spent) > 0 {
		t.Errorf("pages of blocks that are not there: %v, %v", spent, err)
	}
}

func TestReceipts(t *testing.T) {
	s, _ := newStore(t)
	if head, start, err := s.MeterHead(t.Context()); err != nil || start != 0 || head != (license.Head{}) {
		t.Errorf("MeterHead of an empty meter = %+v, %d, %v", head, start, err)
	}
	if got := allReceipts(t, s, 10); len(got) != 0 {
		t.Errorf("receipts of an empty meter: %+v", got)
	}
	plain := newJob(t, s)
	page, _ := commitPage(t, s, plain.ID, 64)
	under := License{Item: "item", Project: "P", Origin: "https://app.example", Client: "c"}
	licensed := newJob(t, s, func(n *NewJob) { n.License = &under })
	for range 3 {
		commitPage(t, s, licensed.ID, 64)
	}
	setState(t, s, licensed.ID, scan.JobCompleted)
	if err := s.DeleteJob(t.Context(), licensed.ID); err != nil { // rows outlive their job
		t.Fatal(err)
	}
	all := allReceipts(t, s, 3)
	if len(all) != 4 {
		t.Fatalf("%d receipts, want 4", len(all))
	}
	want := api.Receipt{Seq: 1, Node: testNode, Job: plain.ID, N: 1, Page: page.ID, Digest: page.Digest, Bytes: page.Bytes, At: page.Committed.UnixMilli()}
	if all[0] != want {
		t.Errorf("receipt %+v, want %+v", all[0], want)
	}
	if r := all[1]; r.Item != under.Item || r.Project != under.Project || r.Origin != under.Origin || r.Client != under.Client || r.Block != "" {
		t.Errorf("receipt %+v, want what the job goes under and no block", r)
	}
	if one, err := s.Receipt(t.Context(), licensed.ID, 2); err != nil || one != all[2] {
		t.Errorf("Receipt = %+v, %v, want %+v", one, err, all[2])
	}
	if _, err := s.Receipt(t.Context(), licensed.ID, 4); !errors.Is(err, ErrNoReceipt) {
		t.Errorf("Receipt of no page = %v", err)
	}
	for _, seq := range []int64{5, -1} {
		if _, err := s.ChainAt(t.Context(), seq); !errors.Is(err, ErrNoReceipt) {
			t.Errorf("ChainAt %d = %v, want ErrNoReceipt", seq, err)
		}
	}
	if _, _, _, err := s.Receipts(t.Context(), 5, 10); !errors.Is(err, ErrNoReceipt) {
		t.Errorf("Receipts after what there is = %v, want ErrNoReceipt", err)
	}
}
