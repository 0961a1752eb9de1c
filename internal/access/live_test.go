package access_test

import (
	"context"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// lateRecords do something right after a session was read.
type lateRecords struct {
	*accesstest.Records
	after func()
}

func (l *lateRecords) Get(ctx context.Context, key string) ([]byte, uint64, error) {
	value, revision, err := l.Records.Get(ctx, key)
	if after := l.after; after != nil && strings.HasPrefix(key, "session.") {
		l.after = nil
		after()
	}
	return value, revision, err
}

// What ends a session, or an origin's permission, ends a request too that has just been
// let in and is not yet under way.
func TestEndedWhileJudged(t *testing.T) {
	records := &lateRecords{Records: accesstest.NewRecords()}
	e, h, token := newShop(t, func(c *access.Config) { c.Records = records })
	own := accesstest.Session(t, e.guard, h, access.RoadLAN, api.RoleUser)
	for _, tt := range []struct {
		name, origin, token string
		during              func()
		want                problem.Code
	}{
		{"nothing", shop, token, func() {}, ""},
		{"another session ends", shop, token, func() { e.guard.EndSession(context.Background(), strings.Repeat("a", 20)) }, ""},
		{"the page is not allowed any more", shop, token, func() { e.guard.Origins.Configure(false, nil) }, problem.OriginNotAllowed},
		{"the session ends", "", own.Token, func() { e.guard.EndSession(context.Background(), own.Id) }, problem.SessionExpired},
	} {
		records.after = tt.during
		w := page(h, access.RoadLAN, "GET", jobPath, "", tt.origin, tt.token)
		if got := accesstest.Code(w); got != tt.want {
			t.Errorf("%s: problem %q, want %q", tt.name, got, tt.want)
		}
	}
}
