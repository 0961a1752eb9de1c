package access

import (
	"cmp"
	"context"
	"log/slog"
	"net/http"

	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/proto/problem"
)

// Auditor keeps the audit log: *audit.Log.
type Auditor interface {
	// Ready reports whether the next record can be written.
	Ready() error
	// Append writes one record durably.
	Append(ctx context.Context, e audit.Entry) error
}

// note is what a handler adds to the record of its request.
type note struct{ target, detail string }

type noteKey struct{}

func withNote(ctx context.Context, x *exchange) context.Context {
	return context.WithValue(ctx, noteKey{}, &x.note)
}

// Note says for the audit log what the request did: to what (an ID; else it is the last
// identifier of the path) and how. Never content, file names or secrets.
func Note(ctx context.Context, target, detail string) {
	if n, ok := ctx.Value(noteKey{}).(*note); ok {
		n.target, n.detail = target, detail
	}
}

// auditable refuses what would leave no trace.
func (h *handler) auditable(route Route) error {
	if h.Audit == nil || route.Audit == "" {
		return nil
	}
	if err := h.Audit.Ready(); err != nil {
		h.Log.Error("the audit log cannot be written", "error", err)
		return problem.AuditFailed.Error()
	}
	return nil
}

// record writes the audit record of a request that has a route with an action.
func (x *exchange) record(r *http.Request) {
	if x.h.Audit == nil || x.audit == "" || !x.notable() {
		return
	}
	e := audit.Entry{
		Action: x.audit, Result: audit.OK, Who: x.caller.who(), Role: string(x.caller.Role), Road: string(x.h.road),
		Origin: x.caller.Origin, Address: remoteIP(r).String(), Target: x.note.target, Detail: x.note.detail, Request: x.id,
	}
	if e.Target == "" {
		e.Target = targetOf(r)
	}
	switch {
	case x.status >= http.StatusInternalServerError:
		e.Result = audit.Failed
	case x.status >= http.StatusBadRequest:
		e.Result = audit.Refused
	}
	if x.code != "" && e.Detail == "" {
		e.Detail = string(x.code)
	}
	ctx := context.WithoutCancel(r.Context())
	if err := x.h.Audit.Append(ctx, e); err != nil {
		x.h.Log.LogAttrs(ctx, slog.LevelError, "writing the audit log failed", slog.String("request", x.id), slog.Any("error", err))
	}
}

// notable leaves out what anybody could fill the log with. Of nobody in particular it
// keeps what came of a sign-in.
func (x *exchange) notable() bool {
	switch x.code {
	case problem.GrantPending, problem.GrantSlowDown, problem.TooManyRequests:
		return false
	case "", problem.SignInFailed, problem.FlowExpired, problem.ProviderFailed, problem.UserLocked, problem.GrantDenied,
		problem.PairingWrong, problem.PairingUsed, problem.PairingExpired, problem.PairingTooMany:
		return true
	}
	return x.caller.who() != "" || x.h.road == RoadLink || x.status >= http.StatusInternalServerError
}

// targetOf is the last identifier in the path.
func targetOf(r *http.Request) string {
	for _, name := range []string{"change", "slot", "permission", "passkey", "user", "origin", "token", "session", "pairing", "job", "document", "scanner", "node", "code"} {
		if v := r.PathValue(name); v != "" && name != "code" {
			return cut(v, 64)
		}
	}
	return ""
}

// who names a caller in the audit log.
func (c Caller) who() string {
	switch {
	case c.Name != "":
		return c.Name + " (" + cmp.Or(c.User, c.Subject) + ")"
	case c.Session != "":
		return c.Session
	case c.Key != nil:
		return c.Subject
	}
	return ""
}
