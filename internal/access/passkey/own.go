package passkey

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/go-webauthn/webauthn/protocol"
	"github.com/go-webauthn/webauthn/webauthn"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const maxPasskeys = 20 // of one person

// ceremonyState is what the browser's answer must fit to.
type ceremonyState struct {
	Site  site                 `json:"site"`
	State webauthn.SessionData `json:"state"`
}

// person is the user that the caller signed in as.
func (h handlers) person(r *http.Request) (api.User, error) {
	id := access.CallerOf(r.Context()).User
	if id == "" {
		return api.User{}, problem.New(problem.PermissionDenied, "Passkeys belong to a person, and this sign-in was not made for one.")
	}
	return h.users.UserOf(r.Context(), id)
}

func (h handlers) list(w http.ResponseWriter, r *http.Request) error {
	user, err := h.person(r)
	if err != nil {
		return err
	}
	all, err := of(r.Context(), h.users.Store(), user.Id)
	if err != nil {
		return err
	}
	slices.SortFunc(all, func(a, b record) int { return cmp.Or(a.Created.Compare(b.Created), cmp.Compare(a.ID, b.ID)) })
	answer := api.PasskeyList{Items: []api.Passkey{}}
	for _, p := range all {
		answer.Items = append(answer.Items, p.describe())
	}
	return access.WriteJSON(w, http.StatusOK, answer)
}

func (h handlers) startAdding(w http.ResponseWriter, r *http.Request) error {
	user, err := h.person(r)
	if err != nil {
		return err
	}
	at, err := place(r)
	if err != nil {
		return err
	}
	all, err := of(r.Context(), h.users.Store(), user.Id)
	if err != nil {
		return err
	}
	if len(all) >= maxPasskeys {
		return problem.New(problem.BadRequest, "A person may have %d passkeys. Remove one first.", maxPasskeys)
	}
	var known webauthn.Credentials
	for _, p := range all {
		known = append(known, p.Credential)
	}
	wa, err := h.ceremony(at)
	if err != nil {
		return err
	}
	options, state, err := wa.BeginRegistration(account{id: user.Id, name: user.Name},
		webauthn.WithExclusions(known.CredentialDescriptors()),
		webauthn.WithCredentialParameters(webauthn.CredentialParametersRecommendedL3()))
	if err != nil {
		return fmt.Errorf("making a challenge: %w", err)
	}
	return h.challenge(w, r, ceremonyState{at, *state}, options.Response)
}

// challenge answers with the options for the browser, and keeps what its answer must fit to.
func (h handlers) challenge(w http.ResponseWriter, r *http.Request, c ceremonyState, options any) error {
	encoded, err := json.Marshal(options)
	if err != nil {
		return fmt.Errorf("encoding a challenge: %w", err)
	}
	secret, err := h.flows.Begin(r.Context(), h.users.Store(), c)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusCreated, api.PasskeyChallenge{Flow: secret, Options: encoded})
}

func (h handlers) add(w http.ResponseWriter, r *http.Request) error {
	var body api.PasskeyRequest
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	user, err := h.person(r)
	if err != nil {
		return err
	}
	if err := access.CheckLabel("label", body.Label); err != nil {
		return err
	}
	made, err := h.made(r, user, body)
	if err != nil {
		return err
	}
	p := record{ID: idOf(made.ID), Label: cmp.Or(body.Label, "Passkey"), Created: h.Now(), Credential: *made}
	value, err := json.Marshal(p)
	if err != nil {
		return fmt.Errorf("encoding a passkey: %w", err)
	}
	_, err = h.users.Store().Create(r.Context(), key(user.Id, p.ID), value, p.Created.Add(kept))
	if errors.Is(err, access.ErrConflict) {
		return problem.New(problem.BadRequest, "This passkey is there already.").At("credential")
	}
	if err != nil {
		return fmt.Errorf("storing a passkey: %w", err)
	}
	access.Note(r.Context(), p.ID, p.Label)
	return access.WriteJSON(w, http.StatusCreated, p.describe())
}

// made is the passkey that the browser's answer proves.
func (h handlers) made(r *http.Request, user api.User, body api.PasskeyRequest) (*webauthn.Credential, error) {
	at, err := place(r)
	if err != nil {
		return nil, err
	}
	var c ceremonyState
	if err := h.flows.Take(r.Context(), h.users.Store(), body.Flow, &c); err != nil {
		return nil, err
	}
	if c.Site != at || string(c.State.UserID) != user.Id {
		return nil, problem.FlowExpired.Error() // a challenge for another page or person
	}
	wa, err := h.ceremony(at)
	if err != nil {
		return nil, err
	}
	answer, err := protocol.ParseCredentialCreationResponseBytes(body.Credential)
	if err == nil {
		var made *webauthn.Credential
		if made, err = wa.CreateCredential(account{id: user.Id, name: user.Name}, c.State, answer); err == nil {
			made.Attestation = webauthn.CredentialAttestation{} // checked, and of no further use
			return made, nil
		}
	}
	h.Log.InfoContext(r.Context(), "a new passkey was refused", "user", user.Id, "error", why(err))
	return nil, problem.New(problem.BadRequest, "The browser's answer does not fit to the challenge.").At("credential")
}

func (h handlers) remove(w http.ResponseWriter, r *http.Request) error {
	user, err := h.person(r)
	if err != nil {
		return err
	}
	id := r.PathValue("passkey")
	p, _, err := read(r.Context(), h.users.Store(), user.Id, id)
	if err != nil {
		return err
	}
	if err := h.users.Store().Delete(r.Context(), key(user.Id, id)); err != nil {
		return fmt.Errorf("deleting a passkey: %w", err)
	}
	access.Note(r.Context(), id, p.Label)
	w.WriteHeader(http.StatusNoContent)
	return nil
}
