package lts

import (
	"context"
	"net/http"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/internal/license/tracking"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// Config is what answers administrators and operators.
type Config struct {
	Server *tracking.Server
	Book   *ledger.Book
	Alerts Alerts
	// Fixed says why nothing can be changed here, as at a standby; nil, or "": it can.
	Fixed func() string
}

// Alerts warn administrators: alerts.Alerts.
type Alerts interface {
	// State answers the settings and what was sent last.
	State(ctx context.Context) (api.Alerts, error)
	// Set changes the settings; errors are problems.
	Set(ctx context.Context, settings api.AlertSettings) error
	// Test sends a message by every way that is set, and says what came of it.
	Test(ctx context.Context) (api.AlertTest, error)
}

type desk struct{ Config }

// Who may.
var (
	watches = access.AtLeast(api.RoleOperator).OwnPages()
	rules   = access.AtLeast(api.RoleAdmin).OwnPages()
)

const maxSmallBody = 64 << 10

// Routes are those for people who look after licences.
func Routes(c Config) []access.Route {
	const get, post, put, patch, del = http.MethodGet, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete
	const items, item, projects, project = v1 + "/license/items", v1 + "/license/items/{item}", v1 + "/license/projects", v1 + "/license/projects/{project}"
	const alerts = v1 + "/license/alerts"
	d := &desk{c}
	return []access.Route{
		{Method: get, Path: items, Policy: watches, Handle: d.listItems},
		{Method: post, Path: items, Policy: rules, MaxBody: maxSmallBody, Audit: "license.item.add", Handle: d.changing(d.addItem)},
		{Method: get, Path: item, Policy: watches, Handle: d.getItem},
		{Method: patch, Path: item, Policy: rules, MaxBody: maxSmallBody, Audit: "license.item.edit", Handle: d.changing(d.editItem)},
		{Method: del, Path: item, Policy: rules, Audit: "license.item.remove", Handle: d.changing(d.removeItem)},
		{Method: get, Path: item + "/seats", Policy: watches, Handle: d.listSeats},
		{Method: del, Path: item + "/seats/{seat}", Policy: rules, Audit: "license.seat.release", Handle: d.changing(d.releaseSeat)},

		{Method: get, Path: projects, Policy: watches, Handle: d.listProjects},
		{Method: post, Path: projects, Policy: rules, MaxBody: maxSmallBody, Audit: "license.project.create", Handle: d.changing(d.createProject)},
		{Method: get, Path: project, Policy: watches, Handle: d.getProject},
		{Method: patch, Path: project, Policy: rules, MaxBody: maxSmallBody, Audit: "license.project.edit", Handle: d.changing(d.editProject)},
		{Method: del, Path: project, Policy: rules, Audit: "license.project.delete", Handle: d.changing(d.deleteProject)},

		{Method: get, Path: v1 + "/license/usage", Policy: watches, Handle: d.getUsage},
		{Method: get, Path: v1 + "/license/ledger", Policy: watches.Parallel(1), Handle: d.exportLedger},
		{Method: get, Path: alerts, Policy: watches, Handle: d.getAlerts},
		{Method: put, Path: alerts, Policy: rules, MaxBody: maxSmallBody, Audit: "license.alerts.set", Handle: d.changing(d.setAlerts)},
		{Method: post, Path: alerts + "/test", Policy: rules.Parallel(1), Audit: "license.alerts.test", Handle: d.testAlerts},
	}
}

// DescribeRoute is GET /license, which every end has: what it knows of its own licence.
func DescribeRoute(what func(context.Context) (api.License, error)) []access.Route {
	return []access.Route{{
		Method: http.MethodGet, Path: v1 + "/license", Policy: watches,
		Handle: func(w http.ResponseWriter, r *http.Request) error {
			l, err := what(r.Context())
			if err != nil {
				return err
			}
			return access.WriteJSON(w, http.StatusOK, l)
		},
	}}
}

// changing refuses changes where they are made elsewhere.
func (d *desk) changing(next access.Handler) access.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		if d.Fixed != nil {
			if why := d.Fixed(); why != "" {
				return problem.New(problem.Unavailable, "%s", why)
			}
		}
		return next(w, r)
	}
}
