package gateway

import (
	"context"
	"net/http"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// newJoinToken makes a token that enrols one node.
func (g *Gateway) newJoinToken(ctx context.Context, want api.JoinTokenRequest) (api.JoinToken, error) {
	return g.tokens.Create(ctx, g.cfg.Addresses, want)
}

func (g *Gateway) postJoinToken(w http.ResponseWriter, r *http.Request) error {
	var body api.JoinTokenRequest
	if err := access.ReadJSON(r, &body); err != nil {
		return err
	}
	if body.Label != "" && !printable(body.Label, maxName) {
		return problem.New(problem.InvalidJSON, "A label has 1 to %d printable characters.", maxName).At("label")
	}
	labels, err := checkLabels(body.Labels)
	if err != nil {
		return err
	}
	body.Labels = labels
	token, err := g.newJoinToken(r.Context(), body)
	if err != nil {
		return err
	}
	access.Note(r.Context(), token.Id, token.Label)
	w.Header().Set("Location", "/api/v1/join-tokens/"+token.Id)
	return access.WriteJSON(w, http.StatusCreated, token)
}

func (g *Gateway) listJoinTokens(w http.ResponseWriter, r *http.Request) error {
	limit, cursor, err := access.Page(r)
	if err != nil {
		return err
	}
	items, next, err := g.tokens.List(r.Context(), limit, cursor)
	if err != nil {
		return err
	}
	return access.WriteJSON(w, http.StatusOK, api.JoinTokenList{Items: items, Next: next})
}

func (g *Gateway) deleteJoinToken(w http.ResponseWriter, r *http.Request) error {
	if err := g.tokens.Delete(r.Context(), r.PathValue("token")); err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}
