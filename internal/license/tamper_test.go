package license_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
)

// signed are texts that somebody signed, each with what reads it.
type signed struct {
	name string
	text string
	take func(text string) error
}

func receipt(seq int64) api.Receipt {
	digest := sha256.Sum256([]byte{byte(seq)})
	return api.Receipt{
		Node: node.NodeID(), Seq: seq, Job: "j-0123456789", N: 1, Page: "p-0123456789", Digest: hex.EncodeToString(digest[:]), Bytes: 26_092_080,
		At: start.UnixMilli(), Item: "abcdefghijklmnopqrst", Block: "b1", Origin: shop, Client: license.ClientHash(shop, client),
	}
}

func allSigned(t testing.TB) []signed {
	vendors := []string{vendor.Pin()}
	pages, seats := key(license.Page), key(license.Browser)
	from, until := start, start.Add(license.LeaseTime)
	lease := license.Lease{
		ID: "l1", Item: seats.ID, Revision: 1, For: gateway.Pin(), Holder: license.ClientHash(shop, client), Seat: 1, Origin: shop, From: from, Until: until,
	}.Sign(lts)
	block := license.Block{ID: "b1", Item: pages.ID, Revision: 1, For: gateway.Pin(), Node: node.NodeID(), Pages: 50, From: from, Until: until}.Sign(lts)
	head := license.Head{Seq: 7, Chain: hex.EncodeToString(make([]byte, 32))}
	permit := func(text string) error {
		p, err := license.ParsePermit(text)
		if err != nil {
			return err
		}
		claim := license.Claim{Origin: shop, Client: license.ClientHash(shop, client)}
		return judgedFrom(p, claim, license.Place{Pin: gateway.Pin()}, start)
	}
	// A lease or block of another signer is judged with its key: here as the server's.
	byServer := func(signer string, err error) error {
		if err == nil && signer != lts.Pin() {
			return errSigner
		}
		return err
	}
	return []signed{
		{"key", issue(t, seats), func(text string) error { _, err := license.Parse(text, vendors); return err }},
		{"lease", lease, func(text string) error { l, err := license.ParseLease(text); return byServer(l.Signer, err) }},
		{"block", block, func(text string) error {
			b, err := license.ParseBlock(text, node.NodeID())
			return byServer(b.Signer, err)
		}},
		{"receipt", license.SignReceipt(node, receipt(1)), func(text string) error { _, err := license.ReceiptIn(text, node.Pin(), node.NodeID()); return err }},
		{"head", license.SignHead(node, head), func(text string) error { _, err := license.HeadIn(text, node.Pin(), node.NodeID()); return err }},
		{"mark", license.SignMark(lts, node.NodeID(), head), func(text string) error { _, err := license.MarkIn(text, lts.Pin(), node.NodeID()); return err }},
		{"permit of a seat", license.Permit{Key: issue(t, seats), Lease: lease}.String(), permit},
		{"permit of pages", license.Permit{Key: issue(t, pages), Blocks: []string{block}}.String(), permit},
	}
}

type signerError struct{}

func (signerError) Error() string { return "signed by somebody else" }

var errSigner = signerError{}

// TestNoByteChanges puts other bytes in the place of each byte, takes each away, and
// doubles each.
func TestNoByteChanges(t *testing.T) {
	for _, s := range allSigned(t) {
		t.Run(s.name, func(t *testing.T) {
			t.Parallel()
			if err := s.take(s.text); err != nil {
				t.Fatalf("as it was signed: %v", err)
			}
			tries := 0
			refused := func(text string, i int) {
				if tries++; s.take(text) == nil {
					t.Errorf("changed at byte %d and taken: %.60s", i, text[max(0, i-30):])
				}
			}
			for i := range len(s.text) {
				for _, other := range othersOf(s.text[i]) {
					refused(s.text[:i]+string([]byte{other})+s.text[i+1:], i)
				}
				refused(s.text[:i]+s.text[i+1:], i)
				refused(s.text[:i+1]+s.text[i:], i)
				refused(s.text[:i], i)
			}
			refused(s.text+"A", len(s.text))
			refused(s.text+".", len(s.text))
			t.Logf("%d bytes, %d changes", len(s.text), tries)
		})
	}
}

// othersOf are bytes in place of one: neighbours by each bit, and what the encoding knows.
// At the end of a token there are bits that mean nothing; they count too.
func othersOf(b byte) []byte {
	var list []byte
	for bit := range 8 {
		list = append(list, b^1<<bit)
	}
	for _, o := range []byte("A-.;=") {
		if o != b {
			list = append(list, o)
		}
	}
	return list
}

// TestNoFieldOfAReceiptChanges changes each member: the chain becomes another one.
func TestNoFieldOfAReceiptChanges(t *testing.T) {
	before := make([]byte, 32)
	good, err := license.Chain(before, receipt(1))
	if err != nil {
		t.Fatal(err)
	}
	for name, edit := range map[string]func(*api.Receipt){
		"node": func(r *api.Receipt) { r.Node = other.NodeID() }, "seq": func(r *api.Receipt) { r.Seq++ }, "job": func(r *api.Receipt) { r.Job += "x" },
		"n": func(r *api.Receipt) { r.N++ }, "page": func(r *api.Receipt) { r.Page = "" }, "bytes": func(r *api.Receipt) { r.Bytes-- },
		"digest": func(r *api.Receipt) { r.Digest = hex.EncodeToString(make([]byte, 32)) }, "at": func(r *api.Receipt) { r.At++ },
		"item": func(r *api.Receipt) { r.Item = "" }, "project": func(r *api.Receipt) { r.Project = "ACME-1" }, "block": func(r *api.Receipt) { r.Block = "b2" },
		"origin": func(r *api.Receipt) { r.Origin = "" }, "client": func(r *api.Receipt) { r.Client = "" },
		"a letter goes to the next": func(r *api.Receipt) { r.Job, r.Page = r.Job+r.Page[:1], r.Page[1:] },
	} {
		r := receipt(1)
		edit(&r)
		if got, err := license.Chain(before, r); err != nil || bytes.Equal(got, good) {
			t.Errorf("%s changed: chain %x, %v", name, got, err)
		}
	}
	if got, _ := license.Chain(good, receipt(1)); bytes.Equal(got, good) {
		t.Error("the chain does not hold what was before")
	}
	for _, digest := range []string{"", "zz", "00", hex.EncodeToString(make([]byte, 33))} {
		r := receipt(1)
		r.Digest = digest
		if _, err := license.Chain(before, r); err == nil {
			t.Errorf("digest %q is taken", digest)
		}
	}
}

// The fuzzers start from what is good. A text that is taken must be it.
func fuzzSigned(f *testing.F, name string) {
	for _, s := range allSigned(f) {
		if s.name != name {
			continue
		}
		f.Add(s.text)
		f.Add(s.text[:len(s.text)-1] + "A")
		f.Add("v4.public." + s.text)
		f.Add("")
		f.Fuzz(func(t *testing.T, text string) {
			// Copied keys have blanks around them.
			if err := s.take(text); err == nil && (name != "key" && text != s.text || string(bytes.TrimSpace([]byte(text))) != s.text) {
				t.Errorf("taken: %q", text)
			}
		})
	}
}

func FuzzKey(f *testing.F)         { fuzzSigned(f, "key") }
func FuzzLease(f *testing.F)       { fuzzSigned(f, "lease") }
func FuzzBlock(f *testing.F)       { fuzzSigned(f, "block") }
func FuzzReceipt(f *testing.F)     { fuzzSigned(f, "receipt") }
func FuzzHead(f *testing.F)        { fuzzSigned(f, "head") }
func FuzzMark(f *testing.F)        { fuzzSigned(f, "mark") }
func FuzzPermit(f *testing.F)      { fuzzSigned(f, "permit of a seat") }
func FuzzPagesPermit(f *testing.F) { fuzzSigned(f, "permit of pages") }

// FuzzHandshake and FuzzPattern read what people write.
func FuzzHandshake(f *testing.F) {
	f.Add("ACME-desk_1")
	f.Add("-")
	f.Fuzz(func(t *testing.T, text string) {
		o, c, err := license.ParseHandshake(text)
		if err == nil && (o == "" || c == "" || len(o) > 32 || len(c) > 64) {
			t.Errorf("ParseHandshake(%q) = %q, %q", text, o, c)
		}
	})
}

func FuzzPattern(f *testing.F) {
	f.Add("https://*.example.com", "https://a.example.com")
	f.Add("http://localhost:3000", "http://localhost:3000")
	f.Fuzz(func(t *testing.T, pattern, origin string) {
		if !license.OriginMatches(pattern, origin) {
			return
		}
		p, err := license.ParsePattern(pattern)
		if err != nil || !p.Sub && p.Origin.String() != origin {
			t.Errorf("%q matches %q", pattern, origin)
		}
	})
}

// What a page and a job cost: docs/benchmarks.md.
func BenchmarkChecks(b *testing.B) {
	vendors := []string{vendor.Pin()}
	seats, pages := issue(b, key(license.Browser)), key(license.Page)
	block := license.Block{
		ID: "b1", Item: pages.ID, Revision: 1, For: gateway.Pin(), Node: node.NodeID(), Pages: 50, From: start, Until: start.Add(license.BlockTime),
	}.Sign(lts)
	job := license.Permit{Key: issue(b, pages), Blocks: []string{block}}.String()
	j := &license.Judge{Vendors: func() []string { return vendors }, Node: node.NodeID(), Clock: func() time.Time { return start }, End: "office"}
	claim, from := license.Claim{Origin: shop, Client: "c"}, license.Place{Pin: gateway.Pin()}
	text := license.SignReceipt(node, receipt(1))
	before := make([]byte, 32)
	d := newDesk(func(d *desk) {
		d.now, d.server.now = func() time.Time { return start }, func() time.Time { return start }
	})
	for _, part := range []struct {
		name string
		do   func() error
	}{
		{"job: Parse a key", func() error { _, err := license.Parse(seats, vendors); return err }},
		{"job: Desk.Permit of a leased seat", func() error {
			_, err := d.Permit(b.Context(), caller(keyTerms(seats)), "", node.NodeID(), 1)
			return err
		}},
		{"job: Judge pages", func() error { _, err := j.Judge(b.Context(), claim, from, job, start); return err }},
		{"page: SignReceipt", func() error { license.SignReceipt(node, receipt(1)); return nil }},
		{"page: ReceiptIn", func() error { _, err := license.ReceiptIn(text, node.Pin(), node.NodeID()); return err }},
		{"page: Chain", func() error { _, err := license.Chain(before, receipt(1)); return err }},
	} {
		b.Run(part.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if err := part.do(); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
