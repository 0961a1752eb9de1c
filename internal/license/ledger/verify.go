package ledger

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"fmt"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/token"
)

// Verified is what Verify has read.
type Verified struct {
	Pages, Batches, Nodes int64
}

// Verify reads the whole ledger and checks that no place is missing, that each node's
// chain is unbroken and is what the receipts make of it, that each batch's end is signed
// by the node, and that no page of a job was counted twice. The error names the first
// place that is wrong. It needs 16 bytes of memory for each page.
func (b *Book) Verify(ctx context.Context) (Verified, error) {
	var v Verified
	heads := map[string]license.Head{}
	seen := map[[16]byte]struct{}{}
	ends := b.Pages()
	err := b.walk(ctx, 0, func(r record) error {
		if err := ctx.Err(); err != nil {
			return err
		}
		head, known := heads[r.node]
		if known && (head.Seq != r.first()-1 || head.Chain != hex.EncodeToString(r.before)) {
			return fmt.Errorf("page %d does not follow from what node %s had before", r.place, r.node)
		}
		keys, err := b.keysOf(r)
		if err != nil {
			return err
		}
		if heads[r.node], err = r.verify(keys); err != nil {
			return fmt.Errorf("page %d and those of its batch: %w", r.place, err)
		}
		for i := range r.receipts {
			name := pageName(&r.receipts[i])
			if _, twice := seen[name]; twice {
				return fmt.Errorf("page %d: page %d of job %s was counted before", r.place+int64(i), r.receipts[i].N, r.receipts[i].Job)
			}
			seen[name] = struct{}{}
		}
		v.Pages += int64(len(r.receipts))
		v.Batches++
		return nil
	})
	v.Nodes = int64(len(heads))
	if err == nil && v.Pages < ends {
		err = fmt.Errorf("it ends at page %d, and had %d", v.Pages, ends)
	}
	if err != nil {
		return v, fmt.Errorf("checking the ledger: %w", err)
	}
	return v, nil
}

// verify checks a record by itself.
func (r record) verify(keys []string) (license.Head, error) {
	signer, err := token.SignerUpTo(token.Max, r.head)
	if err != nil {
		return license.Head{}, err
	}
	if id, err := identity.ParseChain(ed25519.PublicKey(signer), keys); err != nil || id != r.node {
		return license.Head{}, fmt.Errorf("they are signed by a key that is not node %s's", r.node)
	}
	head, err := license.HeadIn(r.head, identity.PinOf(signer), r.node)
	if err != nil {
		return license.Head{}, err
	}
	chain, err := r.chain(r.last())
	if err != nil {
		return license.Head{}, err
	}
	if !bytes.Equal(chain, r.after) || head.Seq != r.last() || head.Chain != hex.EncodeToString(chain) {
		return license.Head{}, fmt.Errorf("they are not those that node %s signed", r.node)
	}
	return head, nil
}

// pageName stands for node, job and number: IDs of jobs hold the node's.
func pageName(r *receipt) (name [16]byte) {
	sum := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(r.Job), uint64(r.N)))
	copy(name[:], sum[:])
	return name
}
