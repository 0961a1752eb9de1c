package ledger

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"errors"
	"fmt"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
)

const keyPrefix = "ledger."

func key(place int64) string { return fmt.Sprintf("%s%020d", keyPrefix, place) }

// record is one batch, as it is stored.
type record struct {
	place  int64 // of the first page
	node   string
	before []byte // chain before the first page
	after  []byte // chain behind the last one
	head   string // the node's token for the end
	// keys are how the node's key follows from its first one, where the node's records
	// before do not say it.
	keys     []string
	receipts []receipt // their numbers follow each other
}

// receipt is an api.Receipt with its digest as bytes.
type receipt struct {
	api.Receipt
	digest [sha256.Size]byte
}

func (r receipt) wire() api.Receipt {
	r.Receipt.Digest = hex.EncodeToString(r.digest[:])
	return r.Receipt
}

// texts of a receipt that are often those of its neighbours.
func texts(r *api.Receipt) [6]*string {
	return [6]*string{&r.Job, &r.Item, &r.Project, &r.Block, &r.Origin, &r.Client}
}

const recordVersion = 1

// encode writes the record: numbers as varints, texts with their lengths, and each text
// that receipts share once.
//
//	version place node before after head count {key} first-seq
//	count {text} count {six numbers of texts, n, page, digest, bytes, time since the one before}
func (r record) encode() []byte {
	b := make([]byte, 0, 512+128*len(r.receipts))
	b = append(b, recordVersion)
	b = binary.AppendUvarint(b, uint64(r.place))
	for _, text := range []string{r.node, string(r.before), string(r.after), r.head} {
		b = appendText(b, text)
	}
	b = binary.AppendUvarint(b, uint64(len(r.keys)))
	for _, text := range r.keys {
		b = appendText(b, text)
	}
	b = binary.AppendUvarint(b, uint64(r.receipts[0].Seq))
	numbers, table := map[string]uint64{}, []string{}
	for i := range r.receipts {
		for _, text := range texts(&r.receipts[i].Receipt) {
			if _, ok := numbers[*text]; !ok {
				numbers[*text] = uint64(len(table))
				table = append(table, *text)
			}
		}
	}
	b = binary.AppendUvarint(b, uint64(len(table)))
	for _, text := range table {
		b = appendText(b, text)
	}
	b = binary.AppendUvarint(b, uint64(len(r.receipts)))
	at := int64(0)
	for i := range r.receipts {
		p := &r.receipts[i]
		for _, text := range texts(&p.Receipt) {
			b = binary.AppendUvarint(b, numbers[*text])
		}
		b = binary.AppendUvarint(b, uint64(p.N))
		b = appendText(b, p.Page)
		b = append(b, p.digest[:]...)
		b = binary.AppendUvarint(b, uint64(p.Bytes))
		b = binary.AppendVarint(b, p.At-at)
		at = p.At
	}
	return b
}

func appendText(b []byte, text string) []byte {
	return append(binary.AppendUvarint(b, uint64(len(text))), text...)
}

var errDamaged = errors.New("the record is damaged")

// decode reads a record. Its texts share the memory of one copy of value.
func decode(value []byte) (record, error) {
	d := decoder{rest: string(value)}
	var r record
	if d.byte() != recordVersion {
		return r, errors.New("the record is of another version of Platen")
	}
	r.place = d.number()
	r.node = d.text()
	r.before, r.after, r.head = []byte(d.text()), []byte(d.text()), d.text()
	for range d.count(maxKeys) {
		r.keys = append(r.keys, d.text())
	}
	first := d.number()
	table := make([]string, d.count(len(texts(&api.Receipt{}))*maxReceipts))
	for i := range table {
		table[i] = d.text()
	}
	r.receipts = make([]receipt, d.count(maxReceipts))
	at := int64(0)
	for i := range r.receipts {
		p := &r.receipts[i]
		p.Node, p.Seq = r.node, first+int64(i)
		for _, text := range texts(&p.Receipt) {
			if n := d.count(len(table) - 1); !d.bad {
				*text = table[n]
			}
		}
		p.N = int(d.number())
		p.Page = d.text()
		copy(p.digest[:], d.bytes(sha256.Size))
		p.Bytes = d.number()
		at += d.signed()
		p.At = at
	}
	if d.bad || d.rest != "" || r.place < 1 || first < 1 || len(r.receipts) == 0 || len(r.after) != sha256.Size {
		return record{}, errDamaged
	}
	return r, nil
}

// last is the number of the record's last page at its node.
func (r record) last() int64 { return r.receipts[len(r.receipts)-1].Seq }

// first is the number of its first one.
func (r record) first() int64 { return r.receipts[0].Seq }

// next is the place of what follows.
func (r record) next() int64 { return r.place + int64(len(r.receipts)) }

// chain recomputes the chain behind the page with this number.
func (r record) chain(seq int64) ([]byte, error) {
	chain := r.before
	for _, p := range r.receipts {
		if p.Seq > seq {
			break
		}
		var err error
		if chain, err = license.Chain(chain, p.wire()); err != nil {
			return nil, err
		}
	}
	return chain, nil
}

// decoder reads what appendText and the varints wrote. Once something is wrong it is bad
// and reads zeros.
type decoder struct {
	rest string
	bad  bool
}

func (d *decoder) bytes(n int) string {
	if n < 0 || n > len(d.rest) {
		d.bad, d.rest = true, ""
		return ""
	}
	text := d.rest[:n]
	d.rest = d.rest[n:]
	return text
}

func (d *decoder) byte() byte {
	if text := d.bytes(1); text != "" {
		return text[0]
	}
	return 0
}

func (d *decoder) uvarint() uint64 {
	var v uint64
	for shift := 0; shift < 64; shift += 7 {
		c := d.byte()
		v |= uint64(c&0x7f) << shift
		if c < 0x80 {
			return v
		}
	}
	d.bad = true
	return 0
}

func (d *decoder) number() int64 {
	v := d.uvarint()
	if v > 1<<62 {
		d.bad = true
		return 0
	}
	return int64(v)
}

func (d *decoder) signed() int64 {
	v := d.uvarint()
	return int64(v>>1) ^ -int64(v&1)
}

// count is a number that is at most most.
func (d *decoder) count(most int) int {
	v := d.uvarint()
	if most < 0 || v > uint64(most) {
		d.bad = true
		return 0
	}
	return int(v)
}

func (d *decoder) text() string { return d.bytes(d.count(len(d.rest))) }
