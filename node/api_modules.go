package node

import (
	"context"
	"errors"
	"net/http"
	"slices"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/node/ocr"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// listModules says what this node can do beyond scanning, and what is missing for it.
func (n *Node) listModules(w http.ResponseWriter, r *http.Request) error {
	if id := r.URL.Query().Get("node"); id != "" && id != n.id {
		return problem.New(problem.NotFound, "This is another node.").At("node")
	}
	list := api.ModuleList{Items: []api.ModuleState{}}
	for _, m := range license.Modules {
		state := n.moduleState(r.Context(), m)
		state.Module, state.Licensed = api.Module(m), n.licensed(r, m) == nil
		list.Items = append(list.Items, state)
	}
	return access.WriteJSON(w, http.StatusOK, list)
}

func (n *Node) moduleState(ctx context.Context, m license.Module) api.ModuleState {
	switch m {
	case license.Barcode:
		return api.ModuleState{Installed: true}
	case license.OCR:
		s, err := n.texts.Check(ctx, defaultLanguage)
		state := api.ModuleState{Installed: s.Path != "" && len(s.Languages) > 0, Languages: slices.Clone(s.Languages)}
		var missing *ocr.Missing
		if !state.Installed && errors.As(err, &missing) {
			state.Hint = missing.Hint
		}
		return state
	case license.PDFRasterizer:
		if n.imports != nil {
			return api.ModuleState{Installed: true}
		}
	}
	return api.ModuleState{Hint: "This program was made without it."}
}

// readable judges whether what is written on the pages of a job may be told to the caller in
// words. Nothing seals those.
func (n *Node) readable(r *http.Request, recipient string) error {
	to, err := n.sealedFor(r, recipient)
	if err == nil && to != nil {
		err = problem.New(problem.EncryptionRequired, "What is written on these pages would pass the gateway unencrypted. Ask at the computer with the scanner.")
	}
	return err
}

// moduleProblem makes problems of what went wrong in a module.
func (n *Node) moduleProblem(err error, module license.Module, page string) error {
	var missing *ocr.Missing
	switch {
	case err == nil:
		return nil
	case errors.As(err, &missing):
		return problem.New(problem.ModuleMissing, "%s", missing.Hint)
	case errors.Is(err, ocr.ErrFailed), errors.Is(err, errUnreadable):
		n.log.Warn("module failed on a page", "module", module, "page", page, "error", err)
		return problem.New(problem.ModuleFailed, "%s.", upperFirst(err))
	}
	return err
}
