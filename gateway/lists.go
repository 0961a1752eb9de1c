package gateway

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func (g *Gateway) listScanners(w http.ResponseWriter, r *http.Request) error {
	limit, from, err := g.place(r, "scanners")
	if err != nil {
		return err
	}
	ctx := r.Context()
	caller := access.CallerOf(ctx)
	list := api.ScannerList{Items: []scan.Scanner{}}
	for more := true; more && len(list.Items) < limit; {
		var page []scan.Scanner
		page, list.Incomplete, more = g.registry.scannerPage(from.ID, limit-len(list.Items))
		for _, s := range page {
			from.ID = s.ID
			if seen, ok := g.asSeen(ctx, caller, s); ok {
				list.Items = append(list.Items, seen)
			}
		}
		if more && len(list.Items) == limit {
			if list.Next, err = g.cursors.seal("scanners", from); err != nil {
				return err
			}
		}
	}
	return access.WriteJSON(w, http.StatusOK, list)
}

// merged is a list whose items live on the nodes. The items pass as the nodes
// wrote them.
type merged struct {
	Items      []json.RawMessage `json:"items"`
	Next       string            `json:"next,omitempty"`
	Incomplete []api.Absent      `json:"incomplete,omitempty"`
}

var (
	jobList = kindOfList{
		path: "/api/v1/jobs", kind: scan.KindJob,
		time: func(h itemHead) scan.Time { return h.Created }, filters: []string{"scanner", "state"},
	}
	documentList = kindOfList{
		path: "/api/v1/documents", kind: scan.KindDocument,
		time: func(h itemHead) scan.Time { return h.Updated },
	}
)

func (g *Gateway) listJobs(w http.ResponseWriter, r *http.Request) error {
	return g.listMerged(w, r, jobList)
}

func (g *Gateway) listDocuments(w http.ResponseWriter, r *http.Request) error {
	return g.listMerged(w, r, documentList)
}

func (g *Gateway) listMerged(w http.ResponseWriter, r *http.Request, kind kindOfList) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	m := merge{g: g, caller: access.CallerOf(r.Context()), kind: kind, limit: limit, filter: url.Values{}}
	nodes := g.registry.all()
	query := r.URL.Query()
	for _, name := range kind.filters {
		if value := query.Get(name); value != "" {
			m.filter.Set(name, value)
		}
	}
	if scanner := m.filter.Get("scanner"); scanner != "" {
		n, err := g.registry.owner(scanner)
		if err != nil {
			return problem.From(err).At("scanner")
		}
		nodes = []*node{n}
	}
	if cursor != "" {
		if err := g.cursors.open(m.name(), cursor, &m.from); err != nil {
			return err
		}
	}
	items, next, away := m.collect(r.Context(), nodes)
	list := merged{Items: items, Incomplete: away}
	if next != nil {
		if list.Next, err = m.seal(*next); err != nil {
			return err
		}
	}
	return access.WriteJSON(w, http.StatusOK, list)
}

// postDocument finds the node that a new document belongs on, by its pages or by
// the member node.
func (g *Gateway) postDocument(w http.ResponseWriter, r *http.Request) error {
	var body scan.DocumentRequest
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	n, err := g.nodeOfDocument(body)
	if err != nil {
		return err
	}
	encoded, err := json.Marshal(body)
	if err != nil {
		return fmt.Errorf("encoding a document request: %w", err)
	}
	setBody(r, encoded)
	return g.pass(w, r, n, briefly)
}

func (g *Gateway) nodeOfDocument(body scan.DocumentRequest) (*node, error) {
	var n *node
	if body.Node != "" {
		if scan.ParseNodeID(body.Node) != nil {
			return nil, problem.BadID.Error().At("node")
		}
		found, ok := g.registry.get(body.Node)
		if !ok {
			return nil, problem.NotFound.Error().At("node")
		}
		n = found
	}
	for i, p := range body.Pages {
		owner, err := g.registry.owner(p.Job)
		if err != nil {
			return nil, problem.From(err).At(fmt.Sprintf("pages.%d.job", i))
		}
		if n != nil && owner != n {
			return nil, problem.PagesElsewhere.Error().At(fmt.Sprintf("pages.%d.job", i))
		}
		n = owner
	}
	if n == nil {
		return nil, problem.NodeNeeded.Error().At("node")
	}
	return n, nil
}
