package pagestore

import (
	"context"
	"encoding/json"
	"time"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// License is what a job goes under, as its receipts say.
type License struct {
	Item    string `json:"item"`
	Project string `json:"project,omitempty"`
	Origin  string `json:"origin,omitempty"`
	Client  string `json:"client,omitempty"`
	// Paged: each page spends one of a block of the item.
	Paged bool `json:"paged,omitempty"`
}

// Block is a number of pages that the node may commit of an item.
type Block struct {
	ID      string
	Item    string
	Project string
	Pages   int64
	Over    int64     // beyond these, for jobs under way
	Until   time.Time // no job begins with it from then on
}

// unlimited is how many pages are left where none are counted.
const unlimited = int64(-1)

// admit adds the order's blocks and judges whether a page is left for it. It returns its
// licence as it is stored.
func admit(t *tx, n NewJob, now scan.Time) (string, error) {
	if n.License == nil {
		return "", nil
	}
	if err := addBlocks(t, n.Blocks); err != nil {
		return "", err
	}
	if n.License.Paged {
		wallet, err := loadWallet(t.view, n.License.Item, now)
		if err != nil {
			return "", err
		}
		if wallet.pages() == 0 {
			return "", problem.New(problem.LicensePages, "Licence %s: what was reserved of it for this node is used up.", n.License.Item)
		}
	}
	b, err := json.Marshal(n.License)
	return string(b), err
}

// addBlocks puts blocks in that were not there before. Of one that was, the server may
// have put off the end; the rest stays as it is, so that what is spent stays spent however
// often it is shown. That is why none is ever deleted.
func addBlocks(t *tx, blocks []Block) error {
	for _, b := range blocks {
		if _, err := t.exec(`INSERT INTO blocks (item, id, project, pages, over, until) VALUES (?, ?, ?, ?, ?, ?)
			ON CONFLICT DO UPDATE SET until = excluded.until WHERE excluded.until > until`,
			b.Item, b.ID, b.Project, b.Pages, b.Over, b.Until.UnixMilli()); err != nil {
			return err
		}
	}
	return nil
}

// AddBlocks puts pages into the wallet that were not there before, and puts off the end
// of those that were.
func (s *Store) AddBlocks(ctx context.Context, blocks []Block) error {
	return s.write(ctx, "adding pages of a licence", func(t *tx) error { return addBlocks(t, blocks) })
}

// PagesLeft is how many more pages the job may have under its licence; false where none
// are counted.
func (s *Store) PagesLeft(ctx context.Context, job string) (n int64, counted bool, err error) {
	v := s.index.view(ctx)
	j, err := s.loadJob(v, job)
	if err == nil && j.license != nil && j.license.Paged {
		var w wallet
		w, err = loadWallet(v, j.license.Item, j.Created)
		n, counted = w.left(), true
	}
	if err != nil {
		return 0, false, readError(ctx, "reading the pages of a licence", err)
	}
	return n, counted, nil
}

// terms are what a page is committed under.
type terms struct {
	license *License
	made    scan.Time // the job was
}

func (j jobRow) terms() terms { return terms{j.license, j.Created} }

// spend takes a page, and says of which block and how many the job may have still. There
// is always one: a sheet that has moved is never lost, and counted beyond all over-use if
// need be.
func (u terms) spend(t *tx, now scan.Time) (block string, left int64, err error) {
	if u.license == nil || !u.license.Paged {
		return "", unlimited, nil
	}
	w, err := loadWallet(t.view, u.license.Item, u.made)
	if err != nil || len(w) == 0 {
		return "", 0, err
	}
	b := w.next(now)
	b.used++
	_, err = t.exec("UPDATE blocks SET used = used + 1 WHERE item = ? AND id = ?", u.license.Item, b.id)
	return b.id, w.left(), err
}

// wallet is what a job may spend of, the block that ends first coming first.
type wallet []*walletBlock

type walletBlock struct {
	id                string
	pages, over, used int64
	until             scan.Time
}

// loadWallet are the item's blocks that had not ended when a job was made: a job that is
// under way ends well, also beyond their time.
func loadWallet(v view, item string, made scan.Time) (w wallet, err error) {
	err = v.each("SELECT id, pages, over, used, until FROM blocks WHERE item = ? AND until > ? ORDER BY until, id",
		[]any{item, ms(made)}, func(row func(...any) error) error {
			b := &walletBlock{}
			var until int64
			err := row(&b.id, &b.pages, &b.over, &b.used, &until)
			b.until = at(until)
			w = append(w, b)
			return err
		})
	return w, err
}

// next is the block to take a page of: the first one that lives and has any, else one
// whose time is over, else the last one with its over-use.
func (w wallet) next(now scan.Time) *walletBlock {
	var ended *walletBlock
	for _, b := range w {
		switch {
		case b.used >= b.pages:
		case b.until.After(now.Time):
			return b
		case ended == nil:
			ended = b
		}
	}
	if ended != nil {
		return ended
	}
	return w[len(w)-1]
}

// pages is how many there are for jobs that begin.
func (w wallet) pages() (n int64) {
	for _, b := range w {
		n += max(b.pages-b.used, 0)
	}
	return n
}

// left is how many there are for a job under way.
func (w wallet) left() int64 {
	if len(w) == 0 {
		return 0
	}
	last := w[len(w)-1]
	return w.pages() + max(last.over-max(last.used-last.pages, 0), 0)
}
