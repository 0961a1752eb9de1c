package access

import "github.com/platen-scan/platen/proto/api"

// Switches are what of a Config can change while the Guard serves.
type Switches struct {
	LoopbackTrust  bool
	AllowPlainHTTP bool
	MaxRole        api.Role // "": operator
}

// Switch replaces them. It counts from the next request on.
func (g *Guard) Switch(s Switches) {
	if s.MaxRole == "" {
		s.MaxRole = api.RoleOperator
	}
	g.switches.Store(&s)
}
