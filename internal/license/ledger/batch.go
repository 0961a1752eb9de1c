package ledger

import (
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/hex"
	"math"
	"strings"
	"unicode/utf8"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Limits of a batch.
const (
	maxReceipts = 500
	maxKeys     = 32
	maxPage     = 100_000 // of a job
	maxOrigin   = 300     // characters
	maxProject  = 100
	maxName     = 64
	maxBytes    = int64(1) << 40 // of a page
)

// latest is the last millisecond that can be written as a date.
const latest = 253_402_300_799_999

// run is a batch that is good in itself: one unbroken run of receipts of one node, whose
// end the node signed.
type run struct {
	batch    api.ReceiptBatch
	receipts []receipt
	chains   [][]byte // before the first receipt, then behind each
}

func (r run) first() int64 { return r.receipts[0].Seq }

func (r run) last() int64 { return r.receipts[len(r.receipts)-1].Seq }

// at is the chain behind a page from the one before the first on.
func (r run) at(seq int64) []byte { return r.chains[seq-r.first()+1] }

// Signer is the pin of the key that signed a batch's head, once it is sure that the key
// follows from the first one of the batch's node.
func Signer(b api.ReceiptBatch) (pin string, err error) {
	key, err := token.SignerUpTo(token.Max, b.Head)
	if err != nil {
		return "", invalid("The end of the batch is not signed.")
	}
	if id, err := identity.ParseChain(ed25519.PublicKey(key), b.Chain); err != nil || id != b.Node {
		return "", invalid("The key of the node does not follow from its first one.")
	}
	return identity.PinOf(key), nil
}

// check judges a batch by itself. The bounds go before whatever costs something.
func check(pin string, b api.ReceiptBatch) (run, error) {
	r := run{batch: b}
	if scan.ParseNodeID(b.Node) != nil {
		return r, invalid("The node's ID is not one.")
	}
	if len(b.Receipts) == 0 || len(b.Receipts) > maxReceipts || len(b.Chain) > maxKeys {
		return r, invalid("A batch has 1 to %d pages.", maxReceipts)
	}
	before, err := hex.DecodeString(b.Before)
	if err != nil || len(before) != 0 && len(before) != sha256.Size {
		return r, invalid("The chain before the batch is not one.")
	}
	if signer, err := Signer(b); err != nil {
		return r, err
	} else if signer != pin {
		return r, invalid("The end of the batch is signed by another key than the node's.")
	}
	r.receipts = make([]receipt, len(b.Receipts))
	r.chains = make([][]byte, 1, 1+len(b.Receipts))
	r.chains[0] = before
	first := b.Receipts[0].Seq
	if first < 1 || first > math.MaxInt64-maxReceipts {
		return r, invalid("The pages of a node are counted from 1 on.")
	}
	for i, p := range b.Receipts {
		if p.Node != b.Node || p.Seq != first+int64(i) {
			return r, invalid("The pages do not follow each other.")
		}
		if why := strange(p); why != "" {
			return r, invalid("Page %d: %s.", p.Seq, why)
		}
		chain, err := license.Chain(r.chains[i], p)
		if err != nil {
			return r, err
		}
		r.chains = append(r.chains, chain)
		r.receipts[i].Receipt = p
		hex.Decode(r.receipts[i].digest[:], []byte(p.Digest)) // strange and Chain have read it
	}
	head, err := license.HeadIn(b.Head, pin, b.Node)
	if err != nil {
		return r, err
	}
	if head.Seq != r.last() || head.Chain != hex.EncodeToString(r.chains[len(r.chains)-1]) {
		return r, invalid("The pages are not those that the node signed.")
	}
	return r, nil
}

// strange says what no node's page has.
func strange(p api.Receipt) string {
	switch {
	case !ofNode(p.Job, p.Node, scan.KindJob):
		return "its job is not one of the node"
	case p.N < 1 || p.N > maxPage:
		return "its number in the job is not possible"
	case !ofNode(p.Page, p.Node, scan.KindPage):
		return "its identifier is not one of the node"
	case len(p.Digest) != 2*sha256.Size || strings.Trim(p.Digest, "0123456789abcdef") != "":
		return "its digest is not one"
	case p.Bytes < 0 || p.Bytes > maxBytes:
		return "its size is not possible"
	case p.At < 0 || p.At > latest:
		return "its time is not possible"
	case !text(p.Item, maxName) || !text(p.Project, maxProject) || !text(p.Block, maxName) ||
		!text(p.Origin, maxOrigin) || !text(p.Client, maxName):
		return "what it says of its licence is too long"
	}
	return ""
}

// ofNode reports whether the ID names something of the kind at the node.
func ofNode(id, node string, kind scan.Kind) bool {
	prefix, k, err := scan.ParseID(id)
	return err == nil && k == kind && prefix == scan.Prefix(node)
}

// text reports whether s is at most so long and printable, so that it can stand in
// exports and on pages.
func text(s string, most int) bool {
	if len(s) > most || !utf8.ValidString(s) {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f }) < 0
}

func invalid(format string, args ...any) error {
	return problem.New(problem.ReceiptInvalid, format, args...)
}
