package openid

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/coreos/go-oidc/v3/oidc"
	"golang.org/x/oauth2"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// claims is what the provider says about a person.
type claims struct {
	Subject string
	Name    string
	Groups  []string
}

// read takes the claims from a token whose signature, issuer, audience and time were
// found right. What the token leaves out the provider is asked for (OpenID Connect
// Core 5.4: beside an access token, profile claims come from the UserInfo endpoint).
func (o *office) read(ctx context.Context, id *oidc.IDToken, token *oauth2.Token) (claims, error) {
	var said map[string]json.RawMessage
	if err := id.Claims(&said); err != nil {
		return claims{}, err
	}
	if err := o.checkParty(id, said); err != nil {
		return claims{}, err
	}
	if id.AccessTokenHash != "" {
		if err := id.VerifyAccessToken(token.AccessToken); err != nil {
			return claims{}, err
		}
	}
	_, grouped := said[o.GroupsClaim]
	if (!grouped || name(said) == "") && o.remote.UserInfoEndpoint() != "" {
		more, err := o.userInfo(ctx, id, token)
		if err != nil {
			return claims{}, err
		}
		for claim, value := range more {
			if _, known := said[claim]; !known { // the signed word stands
				said[claim] = value
			}
		}
	}
	return claims{id.Subject, cmp.Or(name(said), id.Subject), texts(said[o.GroupsClaim])}, nil
}

// checkParty finds out whether a token for several parties was made for us (OpenID
// Connect Core 3.1.3.7, 4 and 5), and whether its subject is one.
func (o *office) checkParty(id *oidc.IDToken, said map[string]json.RawMessage) error {
	party := text(said["azp"])
	_, named := said["azp"]
	if (named || len(id.Audience) > 1) && party != o.ClientID {
		return fmt.Errorf("the token was made for %q", party)
	}
	if n := len(id.Subject); n == 0 || n > 255 {
		return errors.New("the token has no proper subject")
	}
	return nil
}

func (o *office) userInfo(ctx context.Context, id *oidc.IDToken, token *oauth2.Token) (map[string]json.RawMessage, error) {
	info, err := o.remote.UserInfo(ctx, oauth2.StaticTokenSource(token))
	if err != nil {
		return nil, fmt.Errorf("asking for the profile: %w", err)
	}
	if info.Subject != id.Subject {
		return nil, errors.New("the profile is another person's")
	}
	var more map[string]json.RawMessage
	if err := info.Claims(&more); err != nil {
		return nil, err
	}
	return more, nil
}

// admit gives the person a role by their groups, and keeps what the provider said.
func (p *Provider) admit(ctx context.Context, c claims, users access.Users) (api.User, error) {
	role := p.role(c.Groups)
	if role == "" {
		p.Log.InfoContext(ctx, "a person is in no group that has a role", "issuer", p.Issuer, "name", c.Name)
		return api.User{}, problem.New(problem.PermissionDenied, "None of your groups at %s has a role here.", p.Name)
	}
	subject := p.Issuer + "\x00" + c.Subject // of another issuer it is another person
	return users.Upsert(ctx, string(api.UserSourceOidc), subject, api.UserRequest{Name: c.Name, Role: role, Groups: c.Groups})
}

// role is the highest that the groups give; "" for none.
func (p *Provider) role(groups []string) api.Role {
	for _, r := range []struct {
		role api.Role
		of   []string
	}{
		{api.RoleAdmin, p.AdminGroups}, {api.RoleOperator, p.OperatorGroups},
		{api.RoleUser, p.UserGroups}, {api.RoleKiosk, p.KioskGroups},
	} {
		if slices.ContainsFunc(groups, func(g string) bool { return slices.Contains(r.of, g) }) {
			return r.role
		}
	}
	return p.DefaultRole
}

// name is what people call the person.
func name(said map[string]json.RawMessage) string {
	for _, claim := range []string{"name", "preferred_username", "email"} {
		if s := text(said[claim]); strings.TrimSpace(s) != "" {
			return s
		}
	}
	return ""
}

// text is a claim that is a text; "" for any other.
func text(claim json.RawMessage) string {
	var s string
	if json.Unmarshal(claim, &s) != nil {
		return ""
	}
	return s
}

// texts is a claim that lists texts, or is one. What is no text in a list is passed over.
func texts(claim json.RawMessage) []string {
	var list []json.RawMessage
	if json.Unmarshal(claim, &list) != nil {
		list = []json.RawMessage{claim}
	}
	var found []string
	for _, item := range list {
		if s := text(item); s != "" {
			found = append(found, s)
		}
	}
	return found
}
