package node

import (
	"cmp"
	"context"
	"encoding/base64"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/node/pagestore"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// maxLabel is how many characters a scanner's name or location has at most.
const maxLabel = 80

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
	for _, l := range n.scanners() {
		key := n.listKey(l.scanner)
		if key <= string(after) {
			continue
		}
		s, ok := n.permitted(r.Context(), caller, l.seenBy(caller))
		if !ok {
			continue
		}
		if len(list.Items) == limit {
			list.Next = base64.RawURLEncoding.EncodeToString([]byte(last))
			break
		}
		list.Items, last = append(list.Items, s), key
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

// permitted fills in what the caller may do with the scanner; ok is false for one that
// the caller may not even see. The policy of gateways is for their callers.
func (n *Node) permitted(ctx context.Context, c access.Caller, s scan.Scanner) (_ scan.Scanner, ok bool) {
	s.Encryption = scan.EncryptionOff
	if c.Gateway != "" {
		s.Encryption = n.encryption()
	}
	s.May = n.guard.May(ctx, c, s.ID)
	return s, slices.Contains(s.May, scan.See)
}

// seenBy is the scanner as the caller may see it.
func (d *device) seenBy(ctx context.Context, c access.Caller) scan.Scanner {
	s, holder := d.view()
	s, _ = d.node.permitted(ctx, c, listed{s, holder}.seenBy(c))
	return s
}

func (n *Node) getScanner(w http.ResponseWriter, r *http.Request) error {
	d, err := n.scannerOf(r)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, d.seenBy(r.Context(), access.CallerOf(r.Context())))
}

// editScanner changes what people decided about a scanner. Jobs that wait for their
// owners already go on waiting when the scanner holds no more.
func (n *Node) editScanner(w http.ResponseWriter, r *http.Request) error {
	d, err := n.scannerOf(r)
	if err != nil {
		return err
	}
	var edit api.ScannerEdit
	if err := access.ReadJSON(r, &edit); err != nil {
		return err
	}
	for _, at := range []struct {
		field string
		text  *string
	}{{"name", edit.Name}, {"location", edit.Location}} {
		if at.text == nil {
			continue
		}
		*at.text = strings.TrimSpace(*at.text)
		if utf8.RuneCountInString(*at.text) > maxLabel || strings.ContainsFunc(*at.text, unicode.IsControl) {
			return problem.New(problem.BadRequest, "It has at most %d characters, in one line.", maxLabel).At(at.field)
		}
	}
	now, err := d.configure(context.WithoutCancel(r.Context()), func(s *pagestore.ScannerSettings) {
		set(&s.Name, edit.Name)
		set(&s.Location, edit.Location)
		set(&s.Hold, edit.Hold)
		if edit.Shared != nil {
			s.Shared = pagestore.ChoiceOf(*edit.Shared)
		}
	})
	if err != nil {
		return err
	}
	s := d.seenBy(r.Context(), access.CallerOf(r.Context()))
	access.Note(r.Context(), d.id, fmt.Sprintf("hold %t, shared %t", now.Hold, s.Shared))
	return access.WriteJSON(w, http.StatusOK, s)
}

// set changes what is said.
func set[T any](value, said *T) {
	if said != nil {
		*value = *said
	}
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
	return access.WriteJSON(w, http.StatusOK, d.seenBy(r.Context(), access.CallerOf(r.Context())).Status)
}
