package lts

import (
	"net/http"
	"net/url"
	"strconv"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func (d *desk) listItems(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	items, next, err := d.Server.Items(r.Context(), limit, cursor)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, api.ItemList{Items: items, Next: next})
}

func (d *desk) addItem(w http.ResponseWriter, r *http.Request) error {
	var body api.ItemRequest
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	item, err := d.Server.Add(r.Context(), body.Key)
	if err != nil {
		return err
	}
	access.Note(r.Context(), item.Key.Id, item.Key.Organisation)
	return created(w, "/license/items/"+item.Key.Id, item)
}

func created(w http.ResponseWriter, path string, v any) error {
	w.Header().Set("Location", v1+path)
	return access.WriteJSON(w, http.StatusCreated, v)
}

func (d *desk) getItem(w http.ResponseWriter, r *http.Request) error {
	item, err := d.Server.Item(r.Context(), r.PathValue("item"))
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, item)
}

func (d *desk) editItem(w http.ResponseWriter, r *http.Request) error {
	var body struct {
		Suspended *bool `json:"suspended,omitempty"`
	}
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	id := r.PathValue("item")
	if body.Suspended == nil {
		return d.getItem(w, r)
	}
	item, err := d.Server.Suspend(r.Context(), id, *body.Suspended)
	if err != nil {
		return err
	}
	access.Note(r.Context(), id, "suspended: "+strconv.FormatBool(*body.Suspended))
	return access.WriteJSON(w, http.StatusOK, item)
}

func (d *desk) removeItem(w http.ResponseWriter, r *http.Request) error {
	access.Note(r.Context(), r.PathValue("item"), "")
	if err := d.Server.Remove(r.Context(), r.PathValue("item")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d *desk) listSeats(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	seats, next, err := d.Server.Seats(r.Context(), r.PathValue("item"), limit, cursor)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, api.SeatList{Items: seats, Next: next})
}

func (d *desk) releaseSeat(w http.ResponseWriter, r *http.Request) error {
	number, err := strconv.ParseInt(r.PathValue("seat"), 10, 64)
	if err != nil {
		return problem.BadID.Error().At("seat")
	}
	access.Note(r.Context(), r.PathValue("item"), "seat "+r.PathValue("seat"))
	if err := d.Server.Release(r.Context(), r.PathValue("item"), number); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d *desk) listProjects(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	projects, next, err := d.Server.Projects(r.Context(), limit, cursor)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, api.ProjectList{Items: projects, Next: next})
}

func (d *desk) createProject(w http.ResponseWriter, r *http.Request) error {
	var body api.ProjectRequest
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	p, err := d.Server.CreateProject(r.Context(), body)
	if err != nil {
		return err
	}
	access.Note(r.Context(), p.HandshakeCode, p.Name)
	return created(w, "/license/projects/"+url.PathEscape(p.HandshakeCode), p)
}

func (d *desk) getProject(w http.ResponseWriter, r *http.Request) error {
	p, err := d.Server.Project(r.Context(), r.PathValue("project"))
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, p)
}

func (d *desk) editProject(w http.ResponseWriter, r *http.Request) error {
	var body api.ProjectEdit
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	access.Note(r.Context(), r.PathValue("project"), "")
	p, err := d.Server.EditProject(r.Context(), r.PathValue("project"), body)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, p)
}

func (d *desk) deleteProject(w http.ResponseWriter, r *http.Request) error {
	access.Note(r.Context(), r.PathValue("project"), "")
	if err := d.Server.DeleteProject(r.Context(), r.PathValue("project")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (d *desk) getAlerts(w http.ResponseWriter, r *http.Request) error {
	a, err := d.Alerts.State(r.Context())
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, a)
}

func (d *desk) setAlerts(w http.ResponseWriter, r *http.Request) error {
	var body api.AlertSettings
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	if err := d.Alerts.Set(r.Context(), body); err != nil {
		return err
	}
	return d.getAlerts(w, r)
}

func (d *desk) testAlerts(w http.ResponseWriter, r *http.Request) error {
	sent, err := d.Alerts.Test(r.Context())
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, sent)
}
