package setup

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const prefix = "/api/v1"

// Routes are the resources of the setup page, for access.RoadSetup.
func (s *Setup) Routes() []access.Route {
	routes := []access.Route{
		{Method: http.MethodGet, Path: prefix + "/setup", Policy: access.Setup(), Handle: s.get},
		{Method: http.MethodGet, Path: prefix + "/setup/changes", Policy: access.Setup(), Handle: s.list},
		{Method: http.MethodPost, Path: prefix + "/setup/changes", Policy: access.Setup(), MaxBody: access.MaxJSON, Audit: "setup.change", Handle: s.post},
		{Method: http.MethodPost, Path: prefix + "/setup/changes/{change}/keep", Policy: access.Setup(), Audit: "setup.keep", Handle: s.byID(s.keep)},
		{Method: http.MethodPost, Path: prefix + "/setup/changes/{change}/undo", Policy: access.Setup(), Audit: "setup.undo", Handle: s.byID(s.undo)},
		{Method: http.MethodPut, Path: prefix + "/setup/certificates/{slot}", Policy: access.Setup(), MaxBody: access.MaxJSON, Audit: "setup.certificate", Handle: s.putCertificate},
		{Method: http.MethodDelete, Path: prefix + "/setup/certificates/{slot}", Policy: access.Setup(), Audit: "setup.certificate", Handle: s.deleteCertificate},
	}
	if s.Role != api.SetupRoleNode {
		return routes
	}
	return append(routes,
		access.Route{Method: http.MethodPost, Path: prefix + "/setup/gateway", Policy: access.Setup(), MaxBody: 4 << 10, Audit: "setup.join", Handle: s.join},
		access.Route{Method: http.MethodDelete, Path: prefix + "/setup/gateway", Policy: access.Setup(), Audit: "setup.leave", Handle: s.leave},
	)
}

func (s *Setup) get(w http.ResponseWriter, r *http.Request) error {
	return access.WriteJSON(w, http.StatusOK, s.status(r.Context()))
}

func (s *Setup) list(w http.ResponseWriter, _ *http.Request) error {
	answer := api.SetupChangeList{Items: []api.SetupChange{}}
	s.mu.Lock()
	for _, c := range s.history {
		answer.Items = append(answer.Items, c.SetupChange)
	}
	s.mu.Unlock()
	return access.WriteJSON(w, http.StatusOK, answer)
}

func (s *Setup) post(w http.ResponseWriter, r *http.Request) error {
	var ask api.SetupRequest
	if err := access.ReadJSON(r, &ask); err != nil {
		return err
	}
	if ask.LogMinutes < 0 || ask.LogMinutes > 24*60 {
		return problem.New(problem.SettingInvalid, "It is a number of minutes, a day at most.").At("logMinutes")
	}
	s.changing.Lock()
	defer s.changing.Unlock()
	if ask.LogMinutes > 0 {
		return s.passingLevel(w, r, ask)
	}
	p, err := s.plan(ask.Values, arrivalOf(r))
	if err != nil {
		return err
	}
	if ask.DryRun {
		access.Note(r.Context(), "", "planned: "+describe(p.change.Changes))
		planned := p.change.SetupChange
		planned.Id, planned.State = "", api.SetupChangeStatePlanned
		if p.trial {
			planned.Until = scan.At(time.Now().Add(trialTime))
		}
		return access.WriteJSON(w, http.StatusOK, planned)
	}
	made, err := s.perform(r.Context(), p, ask.Confirmed)
	if err != nil {
		return err
	}
	if _, asked := ask.Values[levelKey]; asked {
		s.Level.Hold(0, time.Time{})
	}
	return access.WriteJSON(w, http.StatusCreated, made.SetupChange)
}

// perform makes a planned change, if it may be made. One that changes nothing leaves nothing.
func (s *Setup) perform(ctx context.Context, p *plan, confirmed bool) (change, error) {
	if len(p.change.Changes) == 0 {
		p.change.Id = ""
		return p.change, nil
	}
	access.Note(ctx, p.change.Id, describe(p.change.Changes))
	if err := s.busy(); err != nil {
		return change{}, err
	}
	if p.change.Opens && !confirmed {
		return change{}, problem.New(problem.ConfirmationNeeded, "%s", text(p.change.Effects))
	}
	return s.carryOut(ctx, p)
}

const levelKey = "[log] LogLevel"

// passingLevel sets the log's level for some minutes. platen.ini stays as it is, so that
// there is nothing to undo.
func (s *Setup) passingLevel(w http.ResponseWriter, r *http.Request, ask api.SetupRequest) error {
	if _, asked := ask.Values[levelKey]; !asked || len(ask.Values) != 1 {
		return problem.New(problem.SettingInvalid, "Only the log's level can be set for a time, and alone.").At("logMinutes")
	}
	level, err := config.ParseLevel(ask.Values[levelKey])
	if err != nil {
		return problem.New(problem.SettingInvalid, "%s.", err).At(field(levelKey))
	}
	until := time.Now().Add(time.Duration(ask.LogMinutes) * time.Minute)
	answer := api.SetupChange{
		State: api.SetupChangeStatePlanned, Until: scan.At(until),
		Changes: []api.SetupEdit{{Key: levelKey, Before: strings.ToLower(s.Level.Level().String()), After: strings.ToLower(level.String())}},
		Effects: []api.SetupEffect{says(api.SetupEffectCodeLogLevel, strings.ToLower(level.String()))},
	}
	access.Note(r.Context(), "", describe(answer.Changes)+" until "+until.UTC().Format(time.RFC3339))
	if ask.DryRun {
		return access.WriteJSON(w, http.StatusOK, answer)
	}
	s.Level.Hold(level, until)
	answer.State = api.SetupChangeStateKept
	return access.WriteJSON(w, http.StatusCreated, answer)
}

// byID handles a change that the path names.
func (s *Setup) byID(do func(ctx context.Context, id string, from arrival) (change, error)) access.Handler {
	return func(w http.ResponseWriter, r *http.Request) error {
		s.changing.Lock()
		defer s.changing.Unlock()
		c, err := do(r.Context(), r.PathValue("change"), arrivalOf(r))
		access.Note(r.Context(), r.PathValue("change"), describe(c.Changes))
		if err != nil {
			return err
		}
		return access.WriteJSON(w, http.StatusOK, c.SetupChange)
	}
}

func (s *Setup) putCertificate(w http.ResponseWriter, r *http.Request) error {
	var upload api.CertificateUpload
	if err := access.ReadJSON(r, &upload); err != nil {
		return err
	}
	slot := r.PathValue("slot") // the guard knows them
	c, err := s.Certificates.Put(slot, upload)
	if err != nil {
		return err
	}
	access.Note(r.Context(), slot, "for "+strings.Join(c.Hosts, ", "))
	return access.WriteJSON(w, http.StatusOK, c)
}

func (s *Setup) deleteCertificate(w http.ResponseWriter, r *http.Request) error {
	slot := r.PathValue("slot")
	if err := s.Certificates.Remove(slot); err != nil {
		return err
	}
	access.Note(r.Context(), slot, "removed")
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Setup) join(w http.ResponseWriter, r *http.Request) error {
	var ask api.SetupJoin
	if err := access.ReadJSON(r, &ask); err != nil {
		return err
	}
	var err error
	switch {
	case (ask.Token == "") == (ask.Address == ""):
		return problem.New(problem.BadRequest, "Give either a join token or the address of a gateway.")
	case ask.Token != "":
		access.Note(r.Context(), "", "by a join token")
		err = s.Join(r.Context(), ask.Token)
	default:
		access.Note(r.Context(), "", "asking "+ask.Address)
		err = s.Ask(r.Context(), ask.Address)
	}
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

func (s *Setup) leave(w http.ResponseWriter, r *http.Request) error {
	if err := s.Leave(r.Context()); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
