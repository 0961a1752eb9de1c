package gateway

import (
	"cmp"
	"errors"
	"net/http"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/platen-scan/platen/gateway/state"
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Limits of what people say of a node, from the API.
const (
	maxName   = 80 // characters
	maxLabels = 20
	maxLabel  = 40 // characters
)

// after is the place in a list that is ordered by ID.
type after struct {
	ID string `json:"a"`
}

// place reads the parameters of a list that is ordered by ID.
func (g *Gateway) place(r *http.Request, list string) (limit int, from after, err error) {
	limit, cursor, err := access.Page(r)
	if err == nil && cursor != "" {
		err = g.cursors.open(list, cursor, &from)
	}
	return limit, from, err
}

func (g *Gateway) listNodes(w http.ResponseWriter, r *http.Request) error {
	limit, from, err := g.place(r, "nodes")
	if err != nil {
		return err
	}
	waiting, err := g.waiting.list(r.Context())
	if err != nil {
		return err
	}
	nodes, more := g.registry.page(from.ID, limit)
	for _, d := range waiting {
		if d.ID > from.ID && !(more && d.ID > nodes[len(nodes)-1].ID) {
			nodes = insertNode(nodes, d)
		}
	}
	if len(nodes) > limit {
		nodes, more = nodes[:limit], true
	}
	list := api.NodeList{Items: nodes}
	if more {
		if list.Next, err = g.cursors.seal("nodes", after{nodes[len(nodes)-1].ID}); err != nil {
			return err
		}
	}
	return access.WriteJSON(w, http.StatusOK, list)
}

// insertNode puts a node that waits in its place, or in that of the record it has from before.
func insertNode(nodes []scan.Node, d scan.Node) []scan.Node {
	at, found := slices.BinarySearchFunc(nodes, d.ID, func(n scan.Node, id string) int { return strings.Compare(n.ID, id) })
	if found {
		nodes[at] = d
		return nodes
	}
	return slices.Insert(nodes, at, d)
}

// nodeOf finds the node of the path; not-found, or node-waiting for one that is not yet in.
func (g *Gateway) nodeOf(r *http.Request) (*node, error) {
	id := r.PathValue("node")
	if n, ok := g.registry.get(id); ok {
		return n, nil
	}
	if _, err := g.waiting.node(r.Context(), id); err != nil {
		return nil, err
	}
	return nil, problem.NodeWaiting.Error()
}

func (g *Gateway) getNode(w http.ResponseWriter, r *http.Request) error {
	if d, err := g.waiting.node(r.Context(), r.PathValue("node")); err == nil {
		return access.WriteJSON(w, http.StatusOK, d)
	} else if !errors.Is(err, problem.NotFound.Error()) {
		return err
	}
	n, err := g.nodeOf(r)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, g.registry.describe(n))
}

func (g *Gateway) patchNode(w http.ResponseWriter, r *http.Request) error {
	n, err := g.nodeOf(r)
	if err != nil {
		return err
	}
	var edit api.NodeEdit
	if err := access.ReadJSON(r, &edit); err != nil {
		return err
	}
	if edit.Name != "" {
		if err := checkName(edit.Name); err != nil {
			return err
		}
	}
	var labels []string
	if edit.Labels != nil {
		if labels, err = checkLabels(*edit.Labels); err != nil {
			return err
		}
	}
	var presents []string
	if edit.Presents != nil {
		if presents, err = checkPresents(n, *edit.Presents, "presents"); err != nil {
			return err
		}
	}
	if !g.registry.record(n).Revoked.IsZero() {
		return problem.NodeRevoked.Error()
	}
	edited, err := g.editNode(r.Context(), n, func(record *state.Node) {
		if edit.Name != "" {
			record.Name = edit.Name
		}
		if edit.Labels != nil {
			record.Labels = labels
		}
		if edit.Draining != nil {
			record.Draining = *edit.Draining
		}
		if edit.Presents != nil {
			record.Presents = presents
		}
	})
	if err != nil {
		return err
	}
	detail := edited.Name
	if edit.Presents != nil {
		detail += " presents " + cmp.Or(strings.Join(presents, ", "), "nothing")
	}
	access.Note(r.Context(), n.id, detail)
	return access.WriteJSON(w, http.StatusOK, g.registry.describe(n))
}

func checkName(name string) error {
	if !printable(name, maxName) {
		return problem.New(problem.InvalidJSON, "A name has 1 to %d printable characters.", maxName).At("name")
	}
	return nil
}

func printable(text string, limit int) bool {
	control := strings.ContainsFunc(text, func(c rune) bool { return c < ' ' || c == 0x7f })
	return !control && utf8.RuneCountInString(text) <= limit && strings.TrimSpace(text) != ""
}

// checkLabels answers the labels in order, each once.
func checkLabels(labels []string) ([]string, error) {
	if len(labels) > maxLabels {
		return nil, problem.New(problem.InvalidJSON, "A node has at most %d labels.", maxLabels).At("labels")
	}
	for _, l := range labels {
		if !printable(l, maxLabel) {
			return nil, problem.New(problem.InvalidJSON, "A label has 1 to %d printable characters.", maxLabel).At("labels")
		}
	}
	return slices.Compact(slices.Sorted(slices.Values(labels))), nil
}

// deleteNode revokes: the record stays, so that the key stays refused. The key of a
// node that waits for approval is refused from then on too.
func (g *Gateway) deleteNode(w http.ResponseWriter, r *http.Request) error {
	if err := g.refuseWaiting(r.Context(), r.PathValue("node")); err != nil {
		return err
	}
	n, err := g.nodeOf(r)
	if err != nil {
		return err
	}
	_, err = g.editNode(r.Context(), n, func(record *state.Node) {
		if record.Revoked.IsZero() {
			record.Revoked = scan.At(g.now())
		}
	})
	if err != nil {
		return err
	}
	access.Note(r.Context(), n.id, g.registry.describe(n).Name)
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// reinstateNode takes a node out of quarantine: whoever links next with its key is the
// right one. What it failed to account for is forgiven.
func (g *Gateway) reinstateNode(w http.ResponseWriter, r *http.Request) error {
	n, err := g.nodeOf(r)
	if err != nil {
		return err
	}
	if !g.registry.record(n).Revoked.IsZero() {
		return problem.NodeRevoked.Error()
	}
	_, err = g.editNode(r.Context(), n, func(record *state.Node) {
		if !record.Quarantined.IsZero() {
			record.Quarantined, record.Trust, record.Offer = scan.Time{}, true, 0
		}
		record.Fault = ""
	})
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, g.registry.describe(n))
}
