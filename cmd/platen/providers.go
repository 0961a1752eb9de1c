package main

import (
	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/openid"
	"github.com/platen-scan/platen/internal/access/passkey"
)

// providers are the ways to sign in beside those that every end has.
func (b *base) providers() ([]access.Provider, error) {
	list := []access.Provider{passkey.New(passkey.Config{Name: b.name, Log: b.log})}
	if c := b.cfg.Load().OIDC; c.Issuer != "" {
		p, err := openid.New(openid.Config{
			Issuer: c.Issuer, ClientID: c.ClientID, ClientSecret: c.ClientSecret, Name: c.Name, Scopes: c.Scopes, GroupsClaim: c.GroupsClaim,
			AdminGroups: c.AdminGroups, OperatorGroups: c.OperatorGroups, UserGroups: c.UserGroups, KioskGroups: c.KioskGroups,
			DefaultRole: c.DefaultRole, Log: b.log,
		})
		if err != nil {
			return nil, err
		}
		list = append(list, p)
	}
	return list, nil
}
