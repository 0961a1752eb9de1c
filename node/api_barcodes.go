package node

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// errUnreadable is a page from which a module got nothing, for people.
var errUnreadable = errors.New("the page's file is damaged, or reading it took more than it may")

// maxReading is the size of a file that a module has made of a page.
const maxReading = 16 << 20

// getBarcodes reads the barcodes on a page. They are kept with it.
func (n *Node) getBarcodes(w http.ResponseWriter, r *http.Request) error {
	if err := n.licensed(r, license.Barcode); err != nil {
		return err
	}
	only := api.BarcodeFormat(r.URL.Query().Get("format"))
	if only != "" && !only.Valid() {
		return problem.New(problem.BadRequest, "There is no such kind of barcode.").At("format")
	}
	page, err := n.pageToRead(r)
	if err != nil {
		return err
	}
	list, err := n.barcodes(r.Context(), page, only)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, list)
}

// pageToRead is the page in the path, if the caller may be told what is written on it.
func (n *Node) pageToRead(r *http.Request) (scan.Page, error) {
	job, _, err := n.jobOf(r)
	if err != nil {
		return scan.Page{}, err
	}
	if err := n.readable(r, job.Recipient); err != nil {
		return scan.Page{}, err
	}
	page, _, err := n.store.Page(r.Context(), job.ID, pageNumber(r))
	return page, err
}

// barcodes are those of one format on a page, or of all for "".
func (n *Node) barcodes(ctx context.Context, page scan.Page, only api.BarcodeFormat) (list api.BarcodeList, err error) {
	f, err := n.makeOnce(ctx, page, "barcodes "+string(only), func(ctx context.Context, src *os.File, dst io.Writer) error {
		return n.workers.Barcodes(ctx, src, page.Format, only, dst)
	})
	if errors.Is(err, driver.ErrConvert) || errors.Is(err, driver.ErrWorker) {
		err = fmt.Errorf("%w: %w", errUnreadable, err)
	}
	if err != nil {
		return list, n.moduleProblem(err, license.Barcode, page.ID)
	}
	defer f.Close()
	return list, readJSONFile(f, &list)
}

// readJSONFile reads what a module has kept.
func readJSONFile(f *os.File, into any) error {
	if err := json.NewDecoder(io.LimitReader(f, maxReading)).Decode(into); err != nil {
		return fmt.Errorf("reading what a module has kept: %w", err)
	}
	return nil
}

// upperFirst is an error as a sentence.
func upperFirst(err error) string {
	if errors.Is(err, errUnreadable) {
		err = errUnreadable // the rest is for the log
	}
	s := err.Error()
	if s == "" || s[0] < 'a' || s[0] > 'z' {
		return s
	}
	return string(s[0]-'a'+'A') + s[1:]
}
