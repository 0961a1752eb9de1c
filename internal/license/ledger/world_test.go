package ledger

import (
	"encoding/hex"
	"math/rand/v2"
	"testing"

	"go.uber.org/goleak"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Sun Nov 22 2026 10:00 UTC.
const morning = 1_795_341_600_000

// meterOf is the meter of a node: rows that are durable, and the chain behind each.
type meterOf struct {
	id     *identity.Identity
	rows   []api.Receipt
	chains []string // behind each row
	job    string
	n      int
}

func newMeter(t testing.TB) *meterOf { return &meterOf{id: newIdentity(t)} }

// commit adds a page.
func (m *meterOf) commit(r *rand.Rand) {
	if m.job == "" || r.IntN(5) == 0 {
		m.job, m.n = scan.NewID(m.id.NodeID(), scan.KindJob), 0
	}
	m.n++
	digest := make([]byte, 32)
	for i := range digest {
		digest[i] = byte(r.Uint32())
	}
	m.add(api.Receipt{
		Job: m.job, N: m.n, Page: scan.NewID(m.id.NodeID(), scan.KindPage), Digest: hex.EncodeToString(digest),
		Bytes: r.Int64N(1 << 24), At: morning + r.Int64N(90*dayMillis),
		Item:   []string{"", "aaaaaaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbbbbbb"}[r.IntN(3)],
		Client: []string{"", "c1", "c2", "c3", "c4"}[r.IntN(5)], Project: []string{"", "ORG-A"}[r.IntN(2)],
		Origin: "https://app.example.com",
	})
}

func (m *meterOf) add(p api.Receipt) {
	p.Node, p.Seq = m.id.NodeID(), int64(len(m.rows)+1)
	m.chains = append(m.chains, hex.EncodeToString(chainOf(m.before(p.Seq), p)))
	m.rows = append(m.rows, p)
}

func chainOf(before string, p api.Receipt) []byte {
	b, _ := hex.DecodeString(before)
	chain, err := license.Chain(b, p)
	if err != nil {
		panic(err)
	}
	return chain
}

func (m *meterOf) before(seq int64) string {
	if seq <= 1 {
		return ""
	}
	return m.chains[seq-2]
}

// batch holds the pages of the numbers from first to last.
func (m *meterOf) batch(first, last int64) api.ReceiptBatch {
	return m.sign(api.ReceiptBatch{Before: m.before(first), Receipts: append([]api.Receipt(nil), m.rows[first-1:last]...)})
}

// sign makes a batch whole, whatever its receipts are.
func (m *meterOf) sign(b api.ReceiptBatch) api.ReceiptBatch {
	b.Node, b.Chain = m.id.NodeID(), m.id.Chain()
	chain := b.Before
	for _, p := range b.Receipts {
		chain = hex.EncodeToString(chainOf(chain, p))
	}
	b.Head = license.SignHead(m.id, license.Head{Seq: b.Receipts[len(b.Receipts)-1].Seq, Chain: chain})
	return b
}

func (m *meterOf) report(t testing.TB, b *Book, batch api.ReceiptBatch) (api.ReceiptMark, error) {
	t.Helper()
	mark, err := b.Report(t.Context(), license.Place{}, m.id.Pin(), batch)
	if err == nil {
		head, markErr := license.MarkIn(mark.Mark, b.cfg.Server.Pin(), m.id.NodeID())
		if markErr != nil || head.Seq != mark.Seq || head.Seq > int64(len(m.rows)) || head.Chain != m.before(head.Seq+1) {
			t.Fatalf("mark %d, signed %+v (%v), is not on the node's chain", mark.Seq, head, markErr)
		}
	}
	return mark, err
}

func open(t testing.TB, r access.Records) *Book {
	t.Helper()
	b, err := Open(t.Context(), Config{Records: r, Server: newIdentity(t)})
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func seeded(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 1)) }
