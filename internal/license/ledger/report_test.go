package ledger

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func pages(t testing.TB, n int) *meterOf {
	t.Helper()
	m, r := newMeter(t), seeded(1)
	for range n {
		m.commit(r)
	}
	return m
}

func TestReportCountsOnce(t *testing.T) {
	records, m := accesstest.NewRecords(), pages(t, 40)
	b := open(t, records)
	for _, step := range []struct {
		first, last, mark int64
	}{{1, 10, 10}, {1, 10, 10}, {5, 15, 15}, {1, 20, 20}, {3, 7, 20}, {20, 20, 20}, {21, 21, 21}, {1, 40, 40}, {40, 40, 40}, {16, 39, 40}} {
		mark, err := m.report(t, b, m.batch(step.first, step.last))
		if err != nil || mark.Seq != step.mark {
			t.Errorf("Report of %d to %d = %d, %v, want %d", step.first, step.last, mark.Seq, err, step.mark)
		}
	}
	if v, err := b.Verify(t.Context()); err != nil || v != (Verified{Pages: 40, Batches: 5, Nodes: 1}) {
		t.Errorf("Verify = %+v, %v", v, err)
	}
}

func TestReportGap(t *testing.T) {
	m := pages(t, 30)
	b := open(t, accesstest.NewRecords())
	if _, err := m.report(t, b, m.batch(1, 10)); err != nil {
		t.Fatal(err)
	}
	_, err := m.report(t, b, m.batch(12, 20))
	if !errors.Is(err, problem.ReceiptGap.Error()) {
		t.Fatalf("Report after the mark = %v, want ReceiptGap", err)
	}
	// As it comes at the other end.
	wire, _ := json.Marshal(problem.From(err))
	var doc struct{ Detail string }
	if err := json.Unmarshal(wire, &doc); err != nil {
		t.Fatal(err)
	}
	mark, ok := Gap(fmt.Errorf("asking: %w", &problem.Error{Code: problem.ReceiptGap, Detail: doc.Detail}))
	if want, _ := b.Head(m.id.NodeID()); !ok || mark != want || mark.Seq != 10 {
		t.Errorf("Gap(%q) = %+v, %v, want %+v", doc.Detail, mark, ok, want)
	}
	if _, err := m.report(t, b, m.batch(11, 30)); err != nil {
		t.Error(err)
	}
}

// A node that had another ledger before begins where that one ended.
func TestReportBeginsAnywhere(t *testing.T) {
	m := pages(t, 30)
	b := open(t, accesstest.NewRecords())
	if mark, err := m.report(t, b, m.batch(11, 20)); err != nil || mark.Seq != 20 {
		t.Fatalf("Report = %d, %v", mark.Seq, err)
	}
	if mark, err := m.report(t, b, m.batch(5, 25)); err != nil || mark.Seq != 25 || b.Pages() != 15 {
		t.Errorf("Report over the beginning = %d, %v with %d pages, want 25 and 15 pages", mark.Seq, err, b.Pages())
	}
	if _, err := m.report(t, b, m.batch(1, 10)); !errors.Is(err, problem.ReceiptGap.Error()) {
		t.Errorf("Report of what was before = %v, want ReceiptGap", err)
	}
	changed := m.batch(5, 25)
	changed.Receipts[0].Bytes++
	if _, err := m.report(t, b, m.sign(changed)); !errors.Is(err, problem.ReceiptInvalid.Error()) {
		t.Errorf("Report of another beginning = %v, want ReceiptInvalid", err)
	}
}

func TestReportRefuses(t *testing.T) {
	other := pages(t, 3)
	m := pages(t, 20)
	elsewhere := scan.NewID(other.id.NodeID(), scan.KindJob)
	for name, change := range map[string]func(*api.ReceiptBatch){
		"nothing":              func(b *api.ReceiptBatch) { b.Receipts = nil },
		"too many":             func(b *api.ReceiptBatch) { b.Receipts = slices.Repeat(b.Receipts, 200) },
		"a hole":               func(b *api.ReceiptBatch) { b.Receipts = slices.Delete(b.Receipts, 2, 3) },
		"a swap":               func(b *api.ReceiptBatch) { b.Receipts[1], b.Receipts[2] = b.Receipts[2], b.Receipts[1] },
		"cut short":            func(b *api.ReceiptBatch) { b.Receipts = b.Receipts[:3] },
		"cut in front":         func(b *api.ReceiptBatch) { b.Receipts = b.Receipts[1:] },
		"another node's page":  func(b *api.ReceiptBatch) { b.Receipts[1].Node = other.id.NodeID() },
		"another node":         func(b *api.ReceiptBatch) { b.Node = other.id.NodeID() },
		"no node":              func(b *api.ReceiptBatch) { b.Node = "ledger.x" },
		"head of another":      func(b *api.ReceiptBatch) { b.Head = other.batch(1, 3).Head },
		"head of another end":  func(b *api.ReceiptBatch) { b.Head = m.batch(1, 4).Head },
		"no head":              func(b *api.ReceiptBatch) { b.Head = "" },
		"a digest":             func(b *api.ReceiptBatch) { b.Receipts[0].Digest = strings.Repeat("0", 64) },
		"a long digest":        func(b *api.ReceiptBatch) { b.Receipts[0].Digest += "00" },
		"a digest in capitals": func(b *api.ReceiptBatch) { b.Receipts[0].Digest = strings.Repeat("AB", 32) },
		"a size":               func(b *api.ReceiptBatch) { b.Receipts[0].Bytes = -1 },
		"a time":               func(b *api.ReceiptBatch) { b.Receipts[0].At = latest + 1 },
		"no page":              func(b *api.ReceiptBatch) { b.Receipts[0].N = 0 },
		"a page too many":      func(b *api.ReceiptBatch) { b.Receipts[0].N = maxPage + 1 },
		"another's job":        func(b *api.ReceiptBatch) { b.Receipts[0].Job = elsewhere },
		"no job":               func(b *api.ReceiptBatch) { b.Receipts[0].Job = "job" },
		"no identifier":        func(b *api.ReceiptBatch) { b.Receipts[0].Page = b.Receipts[0].Job },
		"a long origin":        func(b *api.ReceiptBatch) { b.Receipts[0].Origin = strings.Repeat("x", maxOrigin+1) },
		"a line":               func(b *api.ReceiptBatch) { b.Receipts[0].Client = "a\nb" },
		"a chain before":       func(b *api.ReceiptBatch) { b.Before = "00" },
		"another chain before": func(b *api.ReceiptBatch) { b.Before = strings.Repeat("00", 32) },
		"numbers below one": func(b *api.ReceiptBatch) {
			for i := range b.Receipts {
				b.Receipts[i].Seq -= 5
			}
		},
		"keys": func(b *api.ReceiptBatch) { b.Chain = []string{"x"} },
	} {
		b := open(t, accesstest.NewRecords())
		batch := m.batch(1, 5)
		change(&batch)
		if _, err := m.report(t, b, batch); !errors.Is(err, problem.ReceiptInvalid.Error()) {
			t.Errorf("%s: Report = %v, want ReceiptInvalid", name, err)
		}
		if b.Pages() != 0 {
			t.Errorf("%s: %d pages were counted", name, b.Pages())
		}
	}
	b := open(t, accesstest.NewRecords())
	if _, err := b.Report(t.Context(), license.Place{}, other.id.Pin(), m.batch(1, 5)); !errors.Is(err, problem.ReceiptInvalid.Error()) {
		t.Errorf("Report with another's pin = %v, want ReceiptInvalid", err)
	}
}

// A node that signs two histories is found out, wherever they part.
func TestReportRefusesAnotherHistory(t *testing.T) {
	m := pages(t, 300)
	b := open(t, accesstest.NewRecords())
	for seq := int64(1); seq <= 300; seq += 10 {
		if _, err := m.report(t, b, m.batch(seq, seq+9)); err != nil {
			t.Fatal(err)
		}
	}
	for _, part := range [][2]int64{{1, 10}, {3, 8}, {8, 13}, {291, 300}, {150, 300}, {1, 1}, {300, 300}, {280, 299}} {
		for i := part[0]; i <= part[1]; i++ {
			batch := m.batch(part[0], part[1])
			batch.Receipts[i-part[0]].Bytes ^= 1
			if _, err := m.report(t, b, m.sign(batch)); !errors.Is(err, problem.ReceiptInvalid.Error()) {
				t.Fatalf("Report of %v with another page %d = %v, want ReceiptInvalid", part, i, err)
			}
		}
		if mark, err := m.report(t, b, m.batch(part[0], part[1])); err != nil || mark.Seq != 300 {
			t.Errorf("Report of %v = %d, %v, want 300", part, mark.Seq, err)
		}
	}
	if b.Pages() != 300 {
		t.Errorf("%d pages, want 300", b.Pages())
	}
}

// What lies so far back that the Book does not look for it is never counted, but the node
// is told from where on to report.
func TestReportOfLongAgo(t *testing.T) {
	m := pages(t, keptSpans+10)
	b := open(t, accesstest.NewRecords())
	for seq := int64(1); seq <= keptSpans+10; seq++ {
		if _, err := m.report(t, b, m.batch(seq, seq)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := m.report(t, b, m.batch(1, 5)); !errors.Is(err, problem.ReceiptGap.Error()) {
		t.Errorf("Report = %v, want ReceiptGap", err)
	}
	if mark, err := m.report(t, b, m.batch(12, 20)); err != nil || mark.Seq != keptSpans+10 {
		t.Errorf("Report = %d, %v", mark.Seq, err)
	}
}

func TestReportRefusesAPageTwice(t *testing.T) {
	m := newMeter(t)
	job := scan.NewID(m.id.NodeID(), scan.KindJob)
	page := func(n int) {
		m.add(api.Receipt{Job: job, N: n, Page: scan.NewID(m.id.NodeID(), scan.KindPage), Digest: strings.Repeat("0", 64)})
	}
	page(1)
	page(2)
	page(2)
	b := open(t, accesstest.NewRecords())
	if _, err := m.report(t, b, m.batch(1, 3)); !errors.Is(err, problem.ReceiptInvalid.Error()) {
		t.Errorf("Report of a page twice in a batch = %v, want ReceiptInvalid", err)
	}
	if _, err := m.report(t, b, m.batch(1, 2)); err != nil {
		t.Fatal(err)
	}
	if _, err := m.report(t, b, m.batch(3, 3)); !errors.Is(err, problem.ReceiptInvalid.Error()) {
		t.Errorf("Report of a page twice = %v, want ReceiptInvalid", err)
	}
}

func TestReportOverAChangeOfKey(t *testing.T) {
	records, m, r := accesstest.NewRecords(), pages(t, 5), seeded(2)
	b := open(t, records)
	if _, err := m.report(t, b, m.batch(1, 5)); err != nil {
		t.Fatal(err)
	}
	oldPin := m.id.Pin()
	for range 2 {
		if _, err := m.id.Prepare(); err != nil {
			t.Fatal(err)
		}
		if err := m.id.Change(); err != nil {
			t.Fatal(err)
		}
		last := int64(len(m.rows))
		m.commit(r)
		m.commit(r)
		if _, err := m.report(t, b, m.batch(last+1, last+1)); err != nil {
			t.Fatal(err)
		}
		if _, err := m.report(t, b, m.batch(last, last+2)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := b.Report(t.Context(), license.Place{}, oldPin, m.batch(1, 5)); !errors.Is(err, problem.ReceiptInvalid.Error()) {
		t.Errorf("Report with the pin of an old key = %v, want ReceiptInvalid", err)
	}
	if v, err := b.Verify(t.Context()); err != nil || v.Pages != 9 {
		t.Errorf("Verify = %+v, %v", v, err)
	}
	// Another server copies it, from the beginning and from within.
	stand := open(t, accesstest.NewRecords())
	at := int64(0)
	for _, stop := range []int64{5, 9} {
		err := b.Batches(t.Context(), at, func(next int64, batch api.ReceiptBatch) error {
			if next > stop {
				return errStop
			}
			pin, err := Signer(batch)
			if err == nil {
				_, err = stand.Report(t.Context(), license.Place{}, pin, batch)
			}
			at = next
			return err
		})
		if err != nil && !errors.Is(err, errStop) {
			t.Fatal(err)
		}
	}
	want, _ := b.Head(m.id.NodeID())
	if got, _ := stand.Head(m.id.NodeID()); got != want {
		t.Errorf("the copy is at %+v, want %+v", got, want)
	}
}

var errStop = errors.New("stop")

// Two Books race for the same pages.
func TestTwoBooksCountOnce(t *testing.T) {
	const nodes, each = 8, 120
	records := accesstest.NewRecords()
	books := [2]*Book{}
	for i := range books {
		books[i] = open(t, records)
	}
	var wg sync.WaitGroup
	for range nodes {
		m := pages(t, each)
		for i, b := range books {
			wg.Go(func() {
				r := seeded(uint64(i))
				for mark := int64(0); mark < each; {
					first := max(1, mark+1-r.Int64N(4))
					answer, err := m.report(t, b, m.batch(first, min(each, first+r.Int64N(9))))
					if errors.Is(err, problem.ReceiptInvalid.Error()) {
						t.Error(err)
						return
					}
					if err == nil {
						mark = answer.Seq
					}
				}
			})
		}
	}
	wg.Wait()
	for i, b := range books {
		if err := b.Refresh(t.Context()); err != nil {
			t.Fatal(err)
		}
		if v, err := b.Verify(t.Context()); err != nil || v.Pages != nodes*each || b.Pages() != nodes*each {
			t.Errorf("book %d: Verify = %+v, %v, with %d pages, want %d", i, v, err, b.Pages(), nodes*each)
		}
	}
}

func TestServeFollowsAnotherBook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		records, m := accesstest.NewRecords(), pages(t, 3)
		follower := open(t, records)
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- follower.Serve(ctx) }()
		if _, err := m.report(t, open(t, records), m.batch(1, 3)); err != nil {
			t.Fatal(err)
		}
		time.Sleep(6 * time.Second)
		synctest.Wait()
		cancel()
		if err := <-done; err != nil || follower.Pages() != 3 {
			t.Errorf("Serve = %v, %d pages, want 3", err, follower.Pages())
		}
	})
}

func TestOpenFindsDamage(t *testing.T) {
	m := pages(t, 30)
	records := accesstest.NewRecords()
	b := open(t, records)
	for seq := int64(1); seq <= 30; seq += 10 {
		if _, err := m.report(t, b, m.batch(seq, seq+9)); err != nil {
			t.Fatal(err)
		}
	}
	value, revision, err := records.Get(t.Context(), key(11))
	if err != nil {
		t.Fatal(err)
	}
	for i := range value {
		bad := bytes.Clone(value)
		bad[i] ^= 1
		if revision, err = records.Update(t.Context(), key(11), bad, time.Time{}, revision); err != nil {
			t.Fatal(err)
		}
		again, err := Open(t.Context(), Config{Records: records, Server: b.cfg.Server})
		if err == nil {
			_, err = again.Verify(t.Context())
		}
		if err == nil {
			t.Fatalf("byte %d of a record was changed unseen", i)
		}
	}
	if err := records.Delete(t.Context(), key(11)); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), Config{Records: records, Server: b.cfg.Server}); err == nil {
		t.Error("Open of a ledger with a hole succeeded")
	}
	if err := records.Delete(t.Context(), key(21)); err != nil {
		t.Fatal(err)
	}
	if _, err := b.Verify(t.Context()); err == nil {
		t.Error("Verify of a ledger that was cut short succeeded")
	}
}

func FuzzDecode(f *testing.F) {
	m := pages(f, 12)
	r, err := check(m.id.Pin(), m.batch(1, 12))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(record{place: 1, node: m.id.NodeID(), after: r.at(12), head: r.batch.Head, keys: []string{"a"}, receipts: r.receipts}.encode())
	f.Fuzz(func(t *testing.T, value []byte) {
		r, err := decode(value)
		if err != nil {
			return
		}
		again, err := decode(r.encode())
		if err != nil || !bytes.Equal(again.encode(), r.encode()) {
			t.Errorf("a record changes when it is written again: %v", err)
		}
	})
}
