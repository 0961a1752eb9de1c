package gateway

import (
	"net/http"
	"strconv"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

const (
	maxImportBody = 64 << 20 // as the contract has it
	importsAtOnce = 2        // of one session
	modulesAtOnce = 4        // of one session: each can take a node's processor for seconds
)

// moduleRoutes are what a node does with pages beyond scanning them.
func (g *Gateway) moduleRoutes() []access.Route {
	const get, post = http.MethodGet, http.MethodPost
	const page, document = v1 + "/jobs/{job}/pages/{n}", v1 + "/documents/{document}"
	reads := anybody.Parallel(modulesAtOnce)
	return []access.Route{
		{Method: post, Path: v1 + "/imports", Policy: anybody.Limit(jobsPerMinute, time.Minute).Parallel(importsAtOnce),
			MaxBody: maxImportBody, Audit: "job.import", Handle: g.importFile},
		{Method: get, Path: page + "/barcodes", Policy: reads, Handle: g.toOwnerUnder("job", briefly, g.reading(license.Barcode))},
		{Method: get, Path: page + "/text", Policy: reads, Handle: g.toOwnerUnder("job", briefly, g.reading(license.OCR))},
		{Method: post, Path: document + "/split", Policy: reads, MaxBody: maxSmallBody, Audit: "document.split",
			Handle: g.toOwnerUnder("document", briefly, func(r *http.Request, n *node) (covering, error) {
				return g.cover(r.Context(), n, license.Barcode, 0)
			})},
		{Method: get, Path: v1 + "/modules", Policy: anybody, Handle: g.listModules},
	}
}

// nodeInQuery is the node that the query names, if the caller may see one of its scanners.
func (g *Gateway) nodeInQuery(r *http.Request) (*node, error) {
	id := r.URL.Query().Get("node")
	if id == "" {
		return nil, problem.NodeNeeded.Error().At("node")
	}
	if scan.ParseNodeID(id) != nil {
		return nil, problem.BadID.Error().At("node")
	}
	caller := access.CallerOf(r.Context())
	n, ok := g.registry.get(id)
	if !ok || !caller.May(api.RoleOperator) && len(g.actionsAt(r.Context(), caller, n)) == 0 {
		return nil, problem.NotFound.Error().At("node")
	}
	return n, g.registry.record(n).Barred()
}

// importFile has a node make pages of a PDF. Its bytes pass as they come: a gateway that
// kept them all would have to keep as many as clients send.
func (g *Gateway) importFile(w http.ResponseWriter, r *http.Request) error {
	n, err := g.nodeInQuery(r)
	if err != nil {
		return err
	}
	record := g.registry.record(n)
	if record.Draining {
		return problem.NodeDraining.Error()
	}
	pages := 0 // Platen's own page needs the module alone
	licensed := g.licensed(access.CallerOf(r.Context()))
	if licensed {
		if err := accountable(record); err != nil {
			return err
		}
		pages = feederPages
	}
	c, err := g.cover(r.Context(), n, license.PDFRasterizer, pages)
	if err != nil {
		return err
	}
	if licensed {
		c.made = g.notingJob(r.Context(), n)
	}
	return g.passUnder(w, r, n, uploading, c)
}

// reading covers what a module reads on a page. Whoever may not have the page without its
// receipt may not have what is written on it either.
func (g *Gateway) reading(module license.Module) func(*http.Request, *node) (covering, error) {
	return func(r *http.Request, n *node) (covering, error) {
		c, err := g.cover(r.Context(), n, module, 0)
		if err != nil || !g.licensed(access.CallerOf(r.Context())) {
			return c, err
		}
		number, err := strconv.Atoi(r.PathValue("n"))
		if err != nil {
			return c, problem.NotFound.Error()
		}
		return c, g.accountedFor(r.Context(), n, []pageKey{{r.PathValue("job"), number}})
	}
}

// listModules tells what a node can do, and which of it the caller has a licence for.
func (g *Gateway) listModules(w http.ResponseWriter, r *http.Request) error {
	n, err := g.nodeInQuery(r)
	if err != nil {
		return err
	}
	ctx := relay.WithControl(r.Context())
	var list api.ModuleList
	if err := g.look(ctx, n, access.CallerOf(ctx), v1+"/modules", &list); err != nil {
		return err
	}
	if list.Items == nil {
		list.Items = []api.ModuleState{}
	}
	for i := range list.Items {
		if g.cfg.Desk != nil && g.cfg.Desk.Asks() {
			_, err := g.cover(ctx, n, license.Module(list.Items[i].Module), 0)
			list.Items[i].Licensed = err == nil
		}
	}
	return access.WriteJSON(w, http.StatusOK, list)
}
