package gateway

import (
	"context"
	"crypto/sha256"
	"fmt"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const (
	receiptTime = 30 * time.Second // see Config.ReceiptTime
	partTime    = time.Hour        // in which a page of which a part was passed on must have been committed or given up
	maxOwed     = 1024             // receipts of one node that are watched for at a time
	maxCounted  = 1 << 14          // pages that are known to be counted; then it begins anew
	settleLimit = 10 * time.Second // for one look at the ledger and the node
	settleMost  = 8                // looks at a time
)

// Ledger knows which pages are counted, also by way of other gateways.
type Ledger interface {
	// Counted reports whether exactly this receipt is in the ledger; of old pages the number
	// may tell.
	Counted(ctx context.Context, r api.Receipt) (bool, error)
	// Head is how far the ledger is with a node; false if it has no page of it.
	Head(node string) (license.Head, bool)
}

// receiptWatches see to it that what was passed on is counted: by a report that comes by
// this gateway (Tracking), or in the ledger by another one. A node that does not report in
// time gets a fault, and the job is canceled. They live as long as Serve does; pages that
// were passed on before a restart owe nothing but the receipts of their next reader.
type receiptWatches struct {
	g    *Gateway
	wake chan struct{} // holds a word when there is something earlier to look at

	mu      sync.Mutex
	owed    map[pageKey]*owed
	of      map[string]int // how many, by node
	counted map[pageKey]countedPage
	numbers map[number]pageKey // of counted
}

// number is that of a page at its node.
type number struct {
	node string
	seq  int64
}

// countedPage is a receipt that is in the ledger.
type countedPage struct {
	receipt api.Receipt
	shown   [sha256.Size]byte // of the token that it was shown in, once that was found good; zero: it was not
}

// owed is a receipt that is watched for. receiptWatches.mu guards it.
type owed struct {
	key     pageKey
	page    string // ID of the page whose bytes passed
	node    *node
	caller  access.Caller
	receipt api.Receipt // that was shown; its Seq is 0: none was
	whole   bool        // the page passed to its end, so it must have been committed
	forged  bool        // another one was counted
	next    time.Time   // when to look
	due     time.Time   // when it must be counted
	until   time.Time   // of a part: when it is not waited for any longer
	looking bool
}

func newReceiptWatches(g *Gateway) *receiptWatches {
	return &receiptWatches{g: g, wake: make(chan struct{}, 1),
		owed: map[pageKey]*owed{}, of: map[string]int{}, counted: map[pageKey]countedPage{}, numbers: map[number]pageKey{}}
}

// isCounted reports whether the page is known to be counted.
func (r *receiptWatches) isCounted(key pageKey) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	_, ok := r.counted[key]
	return ok
}

// shown takes in a receipt that came with a page, and has it watched for unless it is counted.
func (r *receiptWatches) shown(a *accounting, receipt api.Receipt) error {
	if known, err := r.known(a, receipt); known || err != nil {
		return err
	}
	counted, err := r.g.ledger.Counted(a.ctx, receipt)
	if err != nil {
		return fmt.Errorf("looking for a page in the ledger: %w", err)
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if counted {
		if !r.knowLocked(receipt) {
			return a.invalid("A receipt has the number of another page.")
		}
		r.dropLocked(r.owed[a.page])
		return nil
	}
	w := r.owed[a.page]
	if w == nil {
		if w, err = r.addLocked(a); err != nil {
			return err
		}
	}
	if w.contradicts(receipt) {
		return a.invalid("There are two receipts for one page.")
	}
	if !w.whole {
		w.due = time.Now().Add(r.g.cfg.ReceiptTime)
	}
	w.page, w.receipt, w.whole, w.next = receipt.Page, receipt, true, w.due
	r.wakeUp()
	return nil
}

// known reports whether there is nothing to do for a receipt that was shown.
func (r *receiptWatches) known(a *accounting, receipt api.Receipt) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.counted[a.page]; ok {
		if known.receipt != receipt {
			return false, a.invalid("A receipt is not the one that was counted.")
		}
		return true, nil
	}
	w := r.owed[a.page]
	return w != nil && w.receipt == receipt, nil
}

// mayPass judges the beginning of a page that grows.
func (r *receiptWatches) mayPass(a *accounting, page string) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.counted[a.page]; ok && known.receipt.Page != page {
		return a.invalid("A page grows anew that was counted.")
	}
	if w := r.owed[a.page]; w != nil && w.whole {
		return a.missing("A page that had come to its end came again without its receipt.")
	}
	return r.roomLocked(a.node)
}

// passed notes that bytes of a growing page went out, to its end if whole.
func (r *receiptWatches) passed(a *accounting, page string, whole bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if known, ok := r.counted[a.page]; ok && known.receipt.Page == page {
		return // it was reported while the reader was at it
	}
	w := r.owed[a.page]
	if w != nil && w.whole {
		w.forged = w.forged || whole && w.page != page // to their end came two
		return
	}
	if w == nil { // bodies under way at once may be more than there is room for
		w = r.putLocked(a)
	}
	w.page, w.whole = page, whole
	w.due = time.Now().Add(r.g.cfg.ReceiptTime)
	w.next = w.due
	r.wakeUp()
}

// observe takes in receipts of the node that were counted.
func (r *receiptWatches) observe(n *node, receipts []api.Receipt) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, receipt := range receipts {
		if receipt.Node != n.id {
			continue
		}
		w := r.owed[pageKey{receipt.Job, receipt.N}]
		if w != nil && w.contradicts(receipt) {
			w.forged, w.next = true, time.Now()
			r.wakeUp()
			continue
		}
		r.dropLocked(w)
		r.knowLocked(receipt) // that it is counted once is the server's to see to
	}
}

// contradicts reports whether a receipt is not for what passed. A part that passed may
// have been of an earlier attempt at the page.
func (w *owed) contradicts(receipt api.Receipt) bool {
	return w.receipt.Seq != 0 && w.receipt != receipt || w.whole && w.page != receipt.Page
}

// knowLocked notes a page that is counted; false if its number is another page's.
func (r *receiptWatches) knowLocked(receipt api.Receipt) bool {
	if len(r.counted) >= maxCounted {
		clear(r.counted)
		clear(r.numbers)
	}
	key, at := pageKey{receipt.Job, receipt.N}, number{receipt.Node, receipt.Seq}
	if other, taken := r.numbers[at]; taken && other != key {
		return false
	}
	if r.counted[key].receipt != receipt {
		r.counted[key], r.numbers[at] = countedPage{receipt: receipt}, key
	}
	return true
}

// again is the receipt that a token holds, if that was shown before and is counted: its
// signature is good then.
func (r *receiptWatches) again(key pageKey, text string) (api.Receipt, bool) {
	r.mu.Lock()
	known, ok := r.counted[key]
	r.mu.Unlock()
	return known.receipt, ok && known.shown == sha256.Sum256([]byte(text))
}

// good notes a token whose signature is good, if its receipt is counted.
func (r *receiptWatches) good(receipt api.Receipt, text string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	key := pageKey{receipt.Job, receipt.N}
	if known, ok := r.counted[key]; ok && known.receipt == receipt {
		known.shown = sha256.Sum256([]byte(text))
		r.counted[key] = known
	}
}

func (r *receiptWatches) roomLocked(n *node) error {
	if r.of[n.id] < maxOwed {
		return nil
	}
	return problem.New(problem.TooManyRequests, "%d pages of this computer wait for their receipts.", maxOwed).After(time.Second)
}

func (r *receiptWatches) addLocked(a *accounting) (*owed, error) {
	if err := r.roomLocked(a.node); err != nil {
		return nil, err
	}
	return r.putLocked(a), nil
}

func (r *receiptWatches) putLocked(a *accounting) *owed {
	w := &owed{key: a.page, node: a.node, caller: access.CallerOf(a.ctx), until: time.Now().Add(partTime)}
	r.owed[a.page] = w
	r.of[a.node.id]++
	return w
}

func (r *receiptWatches) dropLocked(w *owed) {
	if w == nil || r.owed[w.key] != w {
		return
	}
	delete(r.owed, w.key)
	if r.of[w.node.id]--; r.of[w.node.id] == 0 {
		delete(r.of, w.node.id)
	}
}

func (r *receiptWatches) wakeUp() {
	select {
	case r.wake <- struct{}{}:
	default:
	}
}
