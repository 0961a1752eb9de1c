package license

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/token"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// HeaderReceipt carries a node's signed receipt with a committed page over a link.
const HeaderReceipt = "Platen-Receipt"

const (
	receiptPurpose = "platen-receipt/1"
	headPurpose    = "platen-meter-head/1"
	markPurpose    = "platen-meter-mark/1"
)

// Chain is the hash of a node's meter up to the receipt, given the hash before it. It
// covers length-prefixed texts and big-endian numbers, so that no receipt can be changed
// or taken away unseen.
func Chain(before []byte, r api.Receipt) ([]byte, error) {
	digest, err := hex.DecodeString(r.Digest)
	if err != nil || len(digest) != sha256.Size {
		return nil, problem.New(problem.ReceiptInvalid, "A digest is not one.")
	}
	b := make([]byte, 0, 512)
	for _, part := range []string{string(before), "2", r.Node, r.Job, r.Page, string(digest), r.Item, r.Project, r.Block, r.Origin, r.Client} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	for _, n := range []int64{r.Seq, int64(r.N), r.Bytes, r.At} {
		b = binary.BigEndian.AppendUint64(b, uint64(n))
	}
	sum := sha256.Sum256(b)
	return sum[:], nil
}

// SignReceipt is the value of HeaderReceipt.
func SignReceipt(node *identity.Identity, r api.Receipt) string {
	return token.Sign(node, receiptPurpose, r.Node, r)
}

// ReceiptIn reads a receipt that the node with this present pin signed.
func ReceiptIn(text, pin, node string) (api.Receipt, error) {
	var r api.Receipt
	if err := token.Open(text, pin, receiptPurpose, node, &r); err != nil || r.Node != node {
		return api.Receipt{}, problem.New(problem.ReceiptInvalid, "The receipt is not signed by the node.")
	}
	return r, nil
}

// Head is how far a meter or ledger is: the number of the last page, and the chain up to it.
type Head struct {
	Seq   int64  `json:"seq"`
	Chain string `json:"chain"` // hexadecimal
}

// SignHead is the node's word for its meter, at the end of a batch.
func SignHead(node *identity.Identity, h Head) string {
	return token.Sign(node, headPurpose, node.NodeID(), h)
}

// HeadIn reads a head that the node with this present pin signed.
func HeadIn(text, pin, node string) (h Head, err error) {
	if err := token.Open(text, pin, headPurpose, node, &h); err != nil {
		return Head{}, problem.New(problem.ReceiptInvalid, "The end of the batch is not signed by the node.")
	}
	return h, nil
}

// SignMark is a ledger's word to a node that all pages up to a head are counted.
func SignMark(server *identity.Identity, node string, h Head) string {
	return token.Sign(server, markPurpose, node, h)
}

// MarkIn reads a mark that the server with this pin signed for the node.
func MarkIn(text, pin, node string) (h Head, err error) {
	if err := token.Open(text, pin, markPurpose, node, &h); err != nil {
		return Head{}, problem.New(problem.ReceiptInvalid, "The mark is not signed by the server.")
	}
	return h, nil
}
