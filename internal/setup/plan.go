package setup

import (
	"context"
	"errors"
	"maps"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const shortIDLength = 20

// arrival is how a request came: what a change must not cut off.
type arrival struct {
	by       string
	local    netip.AddrPort // the address of this machine that it used
	plain    bool           // without TLS
	loopback bool
}

func arrivalOf(r *http.Request) arrival {
	c := access.CallerOf(r.Context())
	a := arrival{by: c.Name, plain: r.TLS == nil}
	if a.by == "" {
		a.by = c.Address // the audit log knows the session
	}
	if addr, ok := r.Context().Value(http.LocalAddrContextKey).(interface{ String() string }); ok {
		a.local, _ = netip.ParseAddrPort(addr.String())
	}
	a.loopback = a.local.Addr().Unmap().IsLoopback()
	return a
}

// plan is a change that was judged and not yet made.
type plan struct {
	change change
	before *config.File
	after  *config.File      // what is written now
	back   map[string]string // what undoes it, secrets too
	held   map[string]string // what is written once it is kept
	hot    bool              // something applies without a restart
	trial  bool
}

// plan judges new values. Nothing happens yet.
func (s *Setup) plan(values map[string]string, from arrival) (*plan, error) {
	file, err := config.Read(s.Path, s.Env)
	if err != nil {
		return nil, settingProblem(err)
	}
	if err := s.allowed(file, values); err != nil {
		return nil, err
	}
	full, err := file.With(values)
	if err != nil {
		return nil, settingProblem(err)
	}
	p := &plan{before: file, after: full, back: map[string]string{}, held: map[string]string{}}
	p.change = change{Back: map[string]string{}, SetupChange: api.SetupChange{
		Id: scan.RandomText(shortIDLength), Time: scan.At(time.Now()), By: from.by, State: api.SetupChangeStateKept, Changes: []api.SetupEdit{},
	}}
	for key, value := range values {
		if file.Raw(key) != strings.TrimSpace(value) {
			p.back[key] = file.Raw(key)
		}
	}
	for _, c := range config.Changes(file.Config, full.Config) {
		if _, asked := values[c.Name()]; !asked {
			continue // the other section's key of a line before the first section
		}
		s.judge(p, c, from)
	}
	if key := "[" + string(s.Role) + "] EnableWebSetup"; p.trial && s.enabled(file.Config) && !s.enabled(full.Config) {
		p.held[key] = values[key] // else nobody could keep it
		now := maps.Clone(values)
		delete(now, key)
		if p.after, err = file.With(now); err != nil {
			return nil, settingProblem(err)
		}
	}
	p.change.Effects = s.effects(p.change.Changes, file.Config, full.Config)
	p.change.Addresses = s.pages(full.Config)
	return p, nil
}

// judge adds one changed key to the plan.
func (s *Setup) judge(p *plan, c config.Change, from arrival) {
	p.change.Changes = append(p.change.Changes, api.SetupEdit{Key: c.Name(), Before: c.Before, After: c.After})
	if !c.Secret {
		p.change.Back[c.Name()] = p.before.Raw(c.Name())
	}
	p.change.Opens = p.change.Opens || opens(c)
	p.change.Restart = p.change.Restart || !c.Hot
	p.hot = p.hot || c.Hot
	p.trial = p.trial || c.Hot && locksOut(c, from)
}

// allowed judges the keys themselves.
func (s *Setup) allowed(file *config.File, values map[string]string) error {
	for _, setting := range file.Settings() {
		if _, asked := values[setting.Name()]; !asked {
			continue
		}
		if !s.shows(setting.KeyDoc) {
			return problem.New(problem.SettingInvalid, "A %s has no such setting.", s.Role).At(field(setting.Name()))
		}
		if setting.Source == config.FromEnvironment {
			return problem.New(problem.SettingFixed, "The variable %s sets it.", setting.Env).At(field(setting.Name()))
		}
	}
	return nil
}

// shows reports whether the key means something at this end.
func (s *Setup) shows(k config.KeyDoc) bool {
	switch k.Section {
	case "node", "storage", "escl":
		return s.Role == api.SetupRoleNode
	case "gateway":
		return s.Role == api.SetupRoleGateway
	case "tracking":
		return s.Role == api.SetupRoleTracking
	case "alerts":
		return s.Role != api.SetupRoleNode
	case "roads", "turn", "bonjour":
		return s.Role != api.SetupRoleTracking
	}
	return true
}

// field names a value in the request.
func field(key string) string { return "values." + key }

// settingProblem says all faults of values at once.
func settingProblem(err error) error {
	var faults config.Faults
	if !errors.As(err, &faults) || len(faults) == 0 {
		return problem.New(problem.SettingFixed, "%s.", err)
	}
	var lines []string
	at := ""
	for _, f := range faults {
		line := f.Key + ": " + f.Reason
		if f.Key == "" {
			line = f.String()
		} else if at == "" {
			at = field(f.Key)
		}
		lines = append(lines, line)
	}
	return problem.New(problem.SettingInvalid, "%s.", strings.Join(lines, "; ")).At(at)
}

// opens reports whether a change of an opening key lets more people in.
func opens(c config.Change) bool {
	switch {
	case !c.Opens:
		return false
	case c.Unit == "TRUE or FALSE":
		return c.After == "TRUE"
	case strings.HasPrefix(c.Unit, "admin, "): // a role
		return !(access.Caller{Role: api.Role(c.Before)}).May(api.Role(c.After)) && c.After != ""
	case c.Key == "Address":
		return true
	case c.Unit == "* or origins":
		return c.Before != "*" && added(c) != ""
	case c.Unit == "host names", c.Unit == "names":
		return added(c) != ""
	}
	return c.After != ""
}

// added are the members of a list that were not there before, removed those that went.
func added(c config.Change) string   { return missing(c.After, c.Before) }
func removed(c config.Change) string { return missing(c.Before, c.After) }

func missing(list, from string) string {
	there := strings.Split(from, ", ")
	var gone []string
	for one := range strings.SplitSeq(list, ", ") {
		if one != "" && !slices.Contains(there, one) {
			gone = append(gone, one)
		}
	}
	return strings.Join(gone, ", ")
}

// locksOut reports whether a change could cut off who makes it, or all whom it serves.
func locksOut(c config.Change, from arrival) bool {
	switch c.Key {
	case "HTTPPort", "HTTPSPort", "SetupHTTPPort", "SetupHTTPSPort", "Address":
		return true
	case "External", "EnableWebSetup", "TrustLoopback":
		return c.After == "FALSE"
	case "AllowPlainHTTP":
		return c.After == "FALSE" && from.plain && !from.loopback
	case "Names":
		return removed(c) != ""
	}
	return false
}

// reaches reports whether a request came by an address that the configuration has for
// the page, and not over a connection that was open before.
func (s *Setup) reaches(c *config.Config, from arrival) bool {
	plain, secure, external := s.ports(c)
	if from.loopback {
		return from.local.Port() == uint16(plain) || plain == 0 || from.local.Port() == uint16(secure)
	}
	return external && (from.local.Port() == uint16(secure) || secure == 0)
}

// ports are those of the setup page, and whether other devices may use it.
func (s *Setup) ports(c *config.Config) (plain, secure int, external bool) {
	switch s.Role {
	case api.SetupRoleGateway:
		return c.Gateway.SetupHTTPPort, c.Gateway.SetupHTTPSPort, true
	case api.SetupRoleTracking:
		return c.Tracking.SetupHTTPPort, c.Tracking.SetupHTTPSPort, true
	}
	return c.Node.SetupHTTPPort, c.Node.SetupHTTPSPort, c.Node.External
}

// enabled reports whether there is a setup page.
func (s *Setup) enabled(c *config.Config) bool {
	switch s.Role {
	case api.SetupRoleGateway:
		return c.Gateway.EnableWebSetup
	case api.SetupRoleTracking:
		return c.Tracking.EnableWebSetup
	}
	return c.Node.EnableWebSetup
}

// apply is Config.Apply for longer than the request that asks for it.
func (s *Setup) apply(ctx context.Context, c *config.Config) error {
	return s.Apply(context.WithoutCancel(ctx), c)
}
