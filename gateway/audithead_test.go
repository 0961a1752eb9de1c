package gateway

import (
	"context"
	"path/filepath"
	"testing"

	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/internal/identity"
)

// kept is an access.Auditor that remembers.
type kept struct{ entries []audit.Entry }

func (k *kept) Ready() error { return nil }
func (k *kept) Append(_ context.Context, e audit.Entry) error {
	k.entries = append(k.entries, e)
	return nil
}

// headOf is the signed head of a log with so many records.
func headOf(t *testing.T, signer *identity.Identity, records int) string {
	t.Helper()
	l, err := audit.Open(audit.Config{Dir: filepath.Join(t.TempDir(), "audit"), Signer: signer})
	if err != nil {
		t.Fatal(err)
	}
	for range records {
		if err := l.Append(t.Context(), audit.Entry{Action: "job.create", Result: audit.OK}); err != nil {
			t.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	return l.Head().String()
}

// TestAuditHeads keeps the newest head of each node and finds out when a log became shorter.
func TestAuditHeads(t *testing.T) {
	w := newWorld(t)
	found := &kept{}
	w.g.cfg.Audit = found
	fake := newFakeNode(t, "Reception")
	w.join(fake)
	n, _ := w.g.registry.get(fake.nodeID())
	stranger, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	three, five := headOf(t, fake.id, 3), headOf(t, fake.id, 5)
	for _, tt := range []struct {
		name, head, want string
		records          int
	}{
		{"the first", three, three, 0},
		{"none", "", three, 0},
		{"a later one", five, five, 0},
		{"no head", "{}", five, 0},
		{"a stranger's", headOf(t, stranger, 9), five, 0},
		{"a shorter log", three, three, 1},
		{"the same again", three, three, 1},
		{"as long, but another", headOf(t, fake.id, 3), "", 2},
	} {
		w.g.noteAudit(t.Context(), n, fake.id.Public(), tt.head)
		if tt.want == "" {
			tt.want = tt.head
		}
		if got := w.g.registry.record(n).Audit; got != tt.want || len(found.entries) != tt.records {
			t.Errorf("%s: kept %q with %d records, want %q with %d", tt.name, got, len(found.entries), tt.want, tt.records)
		}
	}
}
