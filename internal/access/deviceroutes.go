package access

import (
	"net/http"
	"time"

	"golang.org/x/time/rate"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const codesMinute = 10 // that a person may type

func (g *Guard) deviceRoutes() []Route {
	const grants = "/api/v1/device-grants"
	asks := Anonymous().Direct().OwnPages().Limit(5, time.Minute)
	decides := AtLeast(api.RoleUser).Direct().OwnPages()
	return []Route{
		{Method: http.MethodPost, Path: grants, Policy: asks, MaxBody: maxSignInBody, Handle: g.postDevice},
		{Method: http.MethodGet, Path: grants + "/{code}", Policy: decides, Handle: g.getDevice},
		{Method: http.MethodDelete, Path: grants + "/{code}", Policy: decides, Audit: "device.deny", Handle: g.denyDevice},
		{Method: http.MethodPost, Path: grants + "/{code}/allow", Policy: decides, Audit: "device.allow", Handle: g.allowDevice},
	}
}

func (g *Guard) postDevice(w http.ResponseWriter, r *http.Request) error {
	if g.plain(r, CallerOf(r.Context()).Road) {
		return problem.PlainHTTPRefused.Error()
	}
	var body api.DeviceGrantRequest
	if err := ReadJSON(r, &body); err != nil {
		return err
	}
	if body.Device == "" {
		return problem.New(problem.InvalidJSON, "Say what asks.").At("device")
	}
	if err := CheckLabel("device", body.Device); err != nil {
		return err
	}
	d, err := g.newDevice(r.Context(), body.Device, remoteIP(r).String())
	if err != nil {
		return err
	}
	d.VerificationUrl = OwnOrigin(r).String() + "/device"
	return WriteJSON(w, http.StatusCreated, d)
}

// typedDevice finds the grant of the code in the path. People mistype; who types more
// than a few a minute guesses.
func (g *Guard) typedDevice(r *http.Request) (device, error) {
	every := rate.Every(time.Minute / codesMinute)
	if wait := g.rates.take("device-code "+who(CallerOf(r.Context()).Session, r), every, codesMinute, g.Now()); wait > 0 {
		return device{}, problem.TooManyRequests.Error().After(wait)
	}
	return g.deviceByCode(r.Context(), r.PathValue("code"))
}

func (g *Guard) getDevice(w http.ResponseWriter, r *http.Request) error {
	d, err := g.typedDevice(r)
	if err != nil {
		return err
	}
	return WriteJSON(w, http.StatusOK, d.describe(r.PathValue("code")))
}

func (g *Guard) allowDevice(w http.ResponseWriter, r *http.Request) error {
	return g.decide(w, r, deviceAllowed)
}

func (g *Guard) denyDevice(w http.ResponseWriter, r *http.Request) error {
	return g.decide(w, r, deviceDenied)
}

func (g *Guard) decide(w http.ResponseWriter, r *http.Request, state deviceState) error {
	d, err := g.typedDevice(r)
	if err != nil {
		return err
	}
	Note(r.Context(), d.ID, d.Name+" at "+d.Address)
	if err := g.decideDevice(r.Context(), d.ID, state, CallerOf(r.Context())); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
