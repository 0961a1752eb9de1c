package setup

import (
	"fmt"
	"slices"
	"strings"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
)

// sentences are what effects say, in English; the app has them in other languages.
var sentences = map[api.SetupEffectCode]string{
	api.SetupEffectCodeRestart:        "It takes a restart of the service before all of this is in force.",
	api.SetupEffectCodeExternalOff:    "Phones and other devices can no longer reach Platen; those that scan now are cut off.",
	api.SetupEffectCodeExternalOn:     "Phones of this network can reach Platen at %s.",
	api.SetupEffectCodeAddressOnly:    "Other devices reach Platen at %s and nowhere else.",
	api.SetupEffectCodeNotExternal:    "Nothing changes while External is off.",
	api.SetupEffectCodeNoNetwork:      "Other devices can reach Platen once this computer is on a network.",
	api.SetupEffectCodeLocalPort:      "This computer reaches Platen at http://localhost:%s and no longer at port %s.",
	api.SetupEffectCodePort:           "Other devices reach Platen at %s; bookmarks with port %s stop working.",
	api.SetupEffectCodePlainPort:      "Plain HTTP is answered at port %s and no longer at port %s.",
	api.SetupEffectCodePageMoves:      "This page will be at %s.",
	api.SetupEffectCodePageIsOff:      "Nothing changes while the setup page is off.",
	api.SetupEffectCodePageOn:         "Administrators can set this service up in a browser.",
	api.SetupEffectCodePageOff:        "This page is switched off as soon as you keep the change; only platen.ini brings it back.",
	api.SetupEffectCodeNamesGone:      "Browsers that use the address %s are refused.",
	api.SetupEffectCodeNamesCome:      "Browsers can use the address %s, where it leads here.",
	api.SetupEffectCodeLoopbackOn:     "Who uses this computer as the service's user is an administrator without signing in.",
	api.SetupEffectCodeLoopbackOff:    "On this computer people have to sign in too; `platen pair` makes a code.",
	api.SetupEffectCodePlainOn:        "Devices can sign in without encryption: others on the network can read along and take over their sessions.",
	api.SetupEffectCodePlainOff:       "Devices that came by plain HTTP are cut off; they have to use HTTPS.",
	api.SetupEffectCodeMaxRole:        "Users who come through the gateway can be %s at most; it was %s.",
	api.SetupEffectCodeAnyOrigin:      "Every web site may use the scanners, in the name of whoever visits it and signs in.",
	api.SetupEffectCodeNoOrigins:      "Web pages of others are refused, but for those that a person allowed; every other session of theirs is of no use any more.",
	api.SetupEffectCodeOnlyOrigins:    "Only web pages of %s, and those that a person allowed, may use the scanners.",
	api.SetupEffectCodeOriginsGone:    "Web pages of %s may no longer use the scanners.",
	api.SetupEffectCodeOriginsCome:    "Web pages of %s may use the scanners, in the name of whoever signs in there.",
	api.SetupEffectCodePublicAddress:  "New join tokens and QR codes say %s.",
	api.SetupEffectCodeNetworkAddress: "New join tokens and QR codes say the address of the network.",
	api.SetupEffectCodeLogLevel:       "The log is written from %s on.",
	api.SetupEffectCodeOidcOn:         "People whom %s vouches for can sign in.",
	api.SetupEffectCodeOidcOff:        "People can no longer sign in at %s.",
	api.SetupEffectCodeGroupGone:      "Members of %s are no longer %s by that.",
	api.SetupEffectCodeGroupCome:      "Members of %s become %s when they sign in.",
	api.SetupEffectCodeDefaultRole:    "People who are in none of the groups can sign in as %s.",
	api.SetupEffectCodeNoDefaultRole:  "People who are in none of the groups are no longer let in.",
	api.SetupEffectCodeAcmeOn:         "Certificates for %s are asked for at %s; these names become publicly known.",
	api.SetupEffectCodeAcmeOff:        "No more certificates are asked for.",
	api.SetupEffectCodeBonjourOn:      "Devices of this network find this service, and the scanners that it shares, by themselves.",
	api.SetupEffectCodeBonjourOff:     "This service and its scanners are found no more; who knows an address can go on using it.",
	api.SetupEffectCodeEsclOn:         "Every computer of this network can use the shared scanners without signing in.",
	api.SetupEffectCodeEsclOff:        "Computers that scan by eSCL, without Platen, can no longer do so; those that scan now are cut off.",
	api.SetupEffectCodeEsclAllow:      "Only computers with these addresses can scan by eSCL: %s.",
	api.SetupEffectCodeSecret:         "%s is replaced.",
	api.SetupEffectCodeSecretsStay:    "Secrets stay as they are now: what they were before is not kept.",
	api.SetupEffectCodeValue:          "%s becomes %s; it was %s.",
}

// says is one effect with what its sentence names.
func says(code api.SetupEffectCode, values ...string) api.SetupEffect {
	args := make([]any, len(values))
	for i, v := range values {
		if v == "" {
			v = "empty"
		}
		args[i] = v
	}
	return api.SetupEffect{Code: code, Values: values, Text: fmt.Sprintf(sentences[code], args...)}
}

// text is all effects for those who read English.
func text(effects []api.SetupEffect) string {
	var list []string
	for _, e := range effects {
		list = append(list, e.Text)
	}
	return strings.Join(list, " ")
}

// effects says in plain words what changed settings do: who gains or loses access,
// where pages will be.
func (s *Setup) effects(edits []api.SetupEdit, before, after *config.Config) []api.SetupEffect {
	list := []api.SetupEffect{}
	restart := false
	for _, c := range config.Changes(before, after) {
		if !slices.ContainsFunc(edits, func(e api.SetupEdit) bool { return e.Key == c.Name() }) {
			continue
		}
		restart = restart || !c.Hot
		for _, e := range s.effect(c, after) {
			if !slices.ContainsFunc(list, func(old api.SetupEffect) bool { return old.Text == e.Text }) {
				list = append(list, e)
			}
		}
	}
	if restart {
		list = append(list, says(api.SetupEffectCodeRestart))
	}
	return list
}

func (s *Setup) effect(c config.Change, after *config.Config) []api.SetupEffect {
	one := func(code api.SetupEffectCode, values ...string) []api.SetupEffect {
		return []api.SetupEffect{says(code, values...)}
	}
	// with is one of two effects, by what the key is now.
	with := func(now bool, yes, no api.SetupEffectCode) []api.SetupEffect {
		if now {
			return one(yes)
		}
		return one(no)
	}
	on := c.After == "TRUE"
	switch c.Section + " " + c.Key {
	case "node External":
		if !on {
			return one(api.SetupEffectCodeExternalOff)
		}
		return s.reachable(api.SetupEffectCodeExternalOn, after)
	case "node Address":
		return s.reachable(api.SetupEffectCodeAddressOnly, after)
	case "node HTTPPort":
		return one(api.SetupEffectCodeLocalPort, c.After, c.Before)
	case "node HTTPSPort", "gateway Port":
		return s.reachable(api.SetupEffectCodePort, after, c.Before)
	case "gateway HTTPPort":
		return one(api.SetupEffectCodePlainPort, c.After, c.Before)
	case "node SetupHTTPPort", "node SetupHTTPSPort", "gateway SetupHTTPPort", "gateway SetupHTTPSPort":
		if pages := s.pages(after); len(pages) > 0 {
			return one(api.SetupEffectCodePageMoves, strings.Join(pages, ", "))
		}
		return one(api.SetupEffectCodePageIsOff)
	case "node EnableWebSetup", "gateway EnableWebSetup":
		return with(on, api.SetupEffectCodePageOn, api.SetupEffectCodePageOff)
	case "node Names", "gateway Names":
		return members(c, api.SetupEffectCodeNamesGone, api.SetupEffectCodeNamesCome)
	case "node TrustLoopback":
		return with(on, api.SetupEffectCodeLoopbackOn, api.SetupEffectCodeLoopbackOff)
	case "node AllowPlainHTTP", "gateway AllowPlainHTTP":
		return with(on, api.SetupEffectCodePlainOn, api.SetupEffectCodePlainOff)
	case "node MaxRole":
		return one(api.SetupEffectCodeMaxRole, c.After, c.Before)
	case "node Access-Control-Allow-Origin", "gateway Access-Control-Allow-Origin":
		switch {
		case c.After == "*":
			return one(api.SetupEffectCodeAnyOrigin)
		case c.Before == "*" && c.After == "":
			return one(api.SetupEffectCodeNoOrigins)
		case c.Before == "*":
			return one(api.SetupEffectCodeOnlyOrigins, c.After)
		}
		return members(c, api.SetupEffectCodeOriginsGone, api.SetupEffectCodeOriginsCome)
	case "gateway PublicAddress":
		if c.After == "" {
			return one(api.SetupEffectCodeNetworkAddress)
		}
		return one(api.SetupEffectCodePublicAddress, c.After)
	case "log LogLevel":
		return one(api.SetupEffectCodeLogLevel, c.After)
	case "oidc Issuer":
		if c.After == "" {
			return one(api.SetupEffectCodeOidcOff, c.Before)
		}
		return one(api.SetupEffectCodeOidcOn, c.After)
	case "oidc AdminGroups", "oidc OperatorGroups", "oidc UserGroups", "oidc KioskGroups":
		role := strings.ToLower(strings.TrimSuffix(c.Key, "Groups"))
		return members(c, api.SetupEffectCodeGroupGone, api.SetupEffectCodeGroupCome, role)
	case "oidc DefaultRole":
		if c.After == "" {
			return one(api.SetupEffectCodeNoDefaultRole)
		}
		return one(api.SetupEffectCodeDefaultRole, c.After)
	case "acme Names":
		if c.After == "" {
			return one(api.SetupEffectCodeAcmeOff)
		}
		return one(api.SetupEffectCodeAcmeOn, c.After, after.ACME.Directory)
	case "bonjour Enable":
		return with(on, api.SetupEffectCodeBonjourOn, api.SetupEffectCodeBonjourOff)
	case "escl Enable":
		return with(on, api.SetupEffectCodeEsclOn, api.SetupEffectCodeEsclOff)
	case "escl Allow":
		if c.After != "" {
			return one(api.SetupEffectCodeEsclAllow, c.After)
		}
	}
	if c.Secret {
		return one(api.SetupEffectCodeSecret, c.Name())
	}
	return one(api.SetupEffectCodeValue, c.Name(), c.After, c.Before)
}

// reachable says where other devices find the service; more follows the addresses in
// the sentence.
func (s *Setup) reachable(code api.SetupEffectCode, after *config.Config, more ...string) []api.SetupEffect {
	doors := s.doors(after)
	switch {
	case len(doors) > 0:
		return []api.SetupEffect{says(code, append([]string{strings.Join(doors, ", ")}, more...)...)}
	case s.Role == api.SetupRoleNode && !after.Node.External:
		return []api.SetupEffect{says(api.SetupEffectCodeNotExternal)}
	}
	return []api.SetupEffect{says(api.SetupEffectCodeNoNetwork)}
}

// members says which members of a list went and came; more follows them in the sentences.
func members(c config.Change, went, came api.SetupEffectCode, more ...string) []api.SetupEffect {
	var list []api.SetupEffect
	if gone := removed(c); gone != "" {
		list = append(list, says(went, append([]string{gone}, more...)...))
	}
	if come := added(c); come != "" {
		list = append(list, says(came, append([]string{come}, more...)...))
	}
	return list
}
