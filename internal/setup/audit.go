package setup

import (
	"errors"
	"net/http"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const maxPrefix = 40 // characters of the parameter action

// AuditRoutes are the audit log for administrators, at every end and on every road but
// links. They stand here because internal/access, which writes the log, cannot be
// imported by it.
func AuditRoutes(log *audit.Log) []access.Route {
	policy := access.AtLeast(api.RoleAdmin).OwnPages().Direct()
	return []access.Route{
		{Method: http.MethodGet, Path: prefix + "/audit", Policy: policy, Handle: func(w http.ResponseWriter, r *http.Request) error {
			return listAudit(log, w, r)
		}},
		{Method: http.MethodGet, Path: prefix + "/audit/export", Policy: policy.Parallel(1), Handle: func(w http.ResponseWriter, _ *http.Request) error {
			w.Header().Set("Content-Type", "application/jsonl")
			w.Header().Set("Content-Disposition", `attachment; filename="platen-audit.jsonl"`)
			return log.Export(w)
		}},
	}
}

func listAudit(log *audit.Log, w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	actions := r.URL.Query()["action"]
	if len(actions) > 1 || len(actions) == 1 && len(actions[0]) > maxPrefix {
		return problem.New(problem.BadRequest, "It is there once, with %d characters at most.", maxPrefix).At("action")
	}
	records, next, err := log.List(limit, cursor, r.URL.Query().Get("action"))
	if errors.Is(err, audit.ErrCursor) {
		return problem.New(problem.BadRequest, "Take cursors from the member next, unchanged.").At("cursor")
	} else if err != nil {
		return err
	}
	list := api.AuditList{Items: []api.AuditRecord{}, Next: next}
	for _, e := range records {
		list.Items = append(list.Items, api.AuditRecord{
			N: e.N, Time: scan.At(e.Time), Action: e.Action, Result: api.AuditRecordResult(e.Result), Who: e.Who, Role: e.Role,
			Road: e.Road, Origin: e.Origin, Address: e.Address, Target: e.Target, Detail: e.Detail, Hash: e.Hash,
		})
	}
	return access.WriteJSON(w, http.StatusOK, list)
}
