package access

import (
	"context"
	"log/slog"
	"slices"
	"strings"

	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

const permissionKey = "permission."

// permission is the record of one rule: who (user, group or role) may do what with
// which scanners (one, all of a node, all of the nodes with a label).
type permission struct {
	ID      string        `json:"id"`
	User    string        `json:"user,omitempty"`
	Group   string        `json:"group,omitempty"`
	Role    api.Role      `json:"role,omitempty"`
	Scanner string        `json:"scanner,omitempty"`
	Node    string        `json:"node,omitempty"`
	Label   string        `json:"label,omitempty"`
	Actions []scan.Action `json:"actions"`
}

// names reports whether the rule is for the scanner of a node with these labels.
func (p permission) names(scanner string, labels []string) bool {
	switch {
	case p.Scanner != "":
		return p.Scanner == scanner
	case p.Node != "":
		prefix, _, err := scan.ParseID(scanner)
		return err == nil && scan.Prefix(p.Node) == prefix
	}
	return slices.Contains(labels, p.Label)
}

// isFor reports whether the rule is for the caller.
func (p permission) isFor(c Caller) bool {
	switch {
	case p.User != "":
		return p.User == c.User
	case p.Group != "":
		return slices.Contains(c.Groups, p.Group)
	}
	return p.Role == c.Role
}

// May is what the caller may do with a scanner, in the order of scan.Actions. A scanner
// that no permission names is open to every role; one that a permission names is open
// to those that are named for it, and to administrators. What a gateway has said of the
// caller bounds it. Where the permissions cannot be read nobody may anything.
func (g *Guard) May(ctx context.Context, c Caller, scanner string) []scan.Action {
	all, err := g.readPermissions(ctx)
	if err != nil {
		if ctx.Err() == nil {
			g.Log.LogAttrs(ctx, slog.LevelError, "cannot read the permissions", slog.Any("error", err))
		}
		return nil
	}
	switch c.Road {
	case RoadNode:
		return g.nodeMay(c, scanner)
	case RoadESCL:
		return neighbourMay(all, scanner, g.labelsOf(scanner))
	}
	may := mayWith(all, c, scanner, g.labelsOf(scanner))
	bound := c.Actions
	if c.Road == RoadDirect {
		bound = append([]scan.Action{}, c.Scanners[scanner]...)
	}
	if c.Gateway != "" && bound != nil {
		may = slices.DeleteFunc(may, func(a scan.Action) bool { return !slices.Contains(bound, a) })
	}
	return may
}

// nodeMay is what a node may do with a scanner of another one: what an administrator has
// let this very pair, whatever the permissions say to people.
func (g *Guard) nodeMay(c Caller, scanner string) []scan.Action {
	if c.Node == "" || g.NodeMay == nil || !g.NodeMay(c.Node, scanner) {
		return nil
	}
	return []scan.Action{scan.See, scan.Use}
}

// neighbourMay is what somebody who has not signed in may do with a scanner: no rule means
// them, also not one for a role, so that a scanner that is named for anybody is not theirs.
func neighbourMay(all []permission, scanner string, labels []string) []scan.Action {
	if slices.ContainsFunc(all, func(p permission) bool { return p.names(scanner, labels) }) {
		return nil
	}
	return []scan.Action{scan.See, scan.Use}
}

// mayWith judges by these permissions alone. The answer is the caller's own.
func mayWith(all []permission, c Caller, scanner string, labels []string) []scan.Action {
	if c.May(api.RoleAdmin) {
		return slices.Clone(scan.Actions)
	}
	named := false
	var may []scan.Action
	for _, p := range all {
		if p.names(scanner, labels) {
			named = true
			if p.isFor(c) {
				may = append(may, p.Actions...)
			}
		}
	}
	switch {
	case !named && c.May(api.RoleOperator):
		return slices.Clone(scan.Actions)
	case !named && c.May(api.RoleKiosk):
		return []scan.Action{scan.See, scan.Use}
	case len(may) > 0:
		may = append(may, scan.See) // nobody uses what they cannot find
	}
	return slices.DeleteFunc(slices.Clone(scan.Actions), func(a scan.Action) bool { return !slices.Contains(may, a) })
}

func (g *Guard) labelsOf(scanner string) []string {
	if g.Place == nil {
		return nil
	}
	_, labels := g.Place(scanner)
	return labels
}

// Permits reports whether the caller may do the action with a scanner.
func (g *Guard) Permits(ctx context.Context, c Caller, scanner string, a scan.Action) bool {
	return slices.Contains(g.May(ctx, c, scanner), a)
}

// judgePermission judges the action that a route needs on the scanner in its path.
func (g *Guard) judgePermission(ctx context.Context, c Caller, p Policy, scanner string) error {
	if p.needs == "" {
		return nil
	}
	if c.Gateway != "" && c.Actions == nil {
		c.Actions = []scan.Action{} // a grant for a scanner's path says what is permitted there
	}
	may := g.May(ctx, c, scanner)
	switch {
	case slices.Contains(may, p.needs):
		return nil
	case slices.Contains(may, scan.See):
		return problem.PermissionDenied.Error()
	}
	return problem.NotFound.Error() // nobody learns of a scanner that is not for them
}

// readPermissions are all of them as they were at most a moment ago, in order of their IDs.
func (g *Guard) readPermissions(ctx context.Context) ([]permission, error) {
	if g.Records == nil {
		return nil, nil
	}
	return g.permissions.get("", g.Now(), func() ([]permission, error) {
		return all[permission](ctx, g.Records, permissionKey)
	})
}

// summary names a permission in the audit log.
func (p permission) summary() string {
	whom := "user " + p.User
	switch {
	case p.Group != "":
		whom = "group " + p.Group
	case p.Role != "":
		whom = "role " + string(p.Role)
	}
	what := "scanner " + p.Scanner
	switch {
	case p.Node != "":
		what = "node " + p.Node
	case p.Label != "":
		what = "label " + p.Label
	}
	actions := make([]string, len(p.Actions))
	for i, a := range p.Actions {
		actions[i] = string(a)
	}
	return whom + " may " + strings.Join(actions, ", ") + " at " + what
}
