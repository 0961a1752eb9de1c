package node

import (
	"cmp"
	"encoding/base64"
	"net/http"
	"slices"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// listScanners answers at once with what is known; drivers look again behind it.
func (n *Node) listScanners(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	after, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		return problem.New(problem.BadRequest, "Take cursors from the member next, unchanged.").At("cursor")
	}
	list := api.ScannerList{Items: []scan.Scanner{}}
	for _, f := range n.finders {
		looking, fault := f.state()
		list.Looking = list.Looking || looking
		if fault != nil {
			list.Faults = append(list.Faults, *fault)
		}
		f.refresh()
	}
	caller := access.CallerOf(r.Context())
	last := ""
	for _, s := range n.scanners() {
		key := n.listKey(s.scanner)
		if key <= string(after) {
			continue
		}
		if len(list.Items) == limit {
			list.Next = base64.RawURLEncoding.EncodeToString([]byte(last))
			break
		}
		list.Items, last = append(list.Items, s.seenBy(caller)), key
	}
	return access.WriteJSON(w, http.StatusOK, list)
}

// listed is a scanner and the owner of the job that its status names.
type listed struct {
	scanner scan.Scanner
	holder  string
}

func (l listed) seenBy(c access.Caller) scan.Scanner {
	if !c.Sees(l.holder) {
		l.scanner.Status.Job = ""
	}
	return l.scanner
}

// scanners are those that were found since the start, in the order of the list.
func (n *Node) scanners() []listed {
	var all []listed
	for _, d := range n.devices() {
		if s, holder := d.view(); s.Driver != "" {
			all = append(all, listed{s, holder})
		}
	}
	slices.SortFunc(all, func(a, b listed) int { return cmp.Compare(n.listKey(a.scanner), n.listKey(b.scanner)) })
	return all
}

// listKey orders scanners: by driver as configured, then by name.
func (n *Node) listKey(s scan.Scanner) string {
	i := slices.IndexFunc(n.finders, func(f *finder) bool { return f.driver == s.Driver })
	return string([]byte{byte(i + 1)}) + s.Name + "\x00" + s.ID
}

// scannerOf finds the actor of the scanner in the path.
func (n *Node) scannerOf(r *http.Request) (*device, error) {
	if d := n.device(r.PathValue("scanner")); d != nil {
		if s, _ := d.view(); s.Driver != "" {
			return d, nil
		}
	}
	return nil, problem.NotFound.Error()
}

func (d *device) seenBy(c access.Caller) scan.Scanner {
	s, holder := d.view()
	return listed{s, holder}.seenBy(c)
}

func (n *Node) getScanner(w http.ResponseWriter, r *http.Request) error {
	d, err := n.scannerOf(r)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, d.seenBy(access.CallerOf(r.Context())))
}

func (n *Node) getCapabilities(w http.ResponseWriter, r *http.Request) error {
	d, err := n.scannerOf(r)
	if err != nil {
		return err
	}
	caps, err := d.learn(r.Context())
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, caps)
}

func (n *Node) getStatus(w http.ResponseWriter, r *http.Request) error {
	d, err := n.scannerOf(r)
	if err != nil {
		return err
	}
	if err := d.ask(r.Context()); err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, d.seenBy(access.CallerOf(r.Context())).Status)
}
