package access

import (
	"testing"

	"github.com/platen-scan/platen/proto/api"
)

func TestRoleOrder(t *testing.T) {
	roles := []api.Role{"", api.RoleKiosk, api.RoleUser, api.RoleOperator, api.RoleAdmin}
	for i, a := range roles {
		for j, b := range roles {
			want := i >= j && i > 0
			if got := (Caller{Role: a}).May(b); got != want {
				t.Errorf("%q may what takes %q: %v, want %v", a, b, got, want)
			}
		}
	}
	if (Caller{Role: "root"}).May(api.RoleKiosk) || (Caller{}).Sees("") || !(Caller{Role: api.RoleUser, Subject: "a"}).Sees("a") ||
		(Caller{Role: api.RoleUser, Subject: "a"}).Sees("b") || !(Caller{Role: api.RoleOperator}).Sees("b") {
		t.Error("an unknown role, or somebody who sees what is another's")
	}
}
