package node

import (
	"context"
	"errors"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func TestLinkRoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStreets(t, nil)
		defer s.stop()
		ask := func(body string) *http.Response {
			return s.send(t.Context(), s.link, "", http.MethodPost, "/api/v1/link/roads", body)
		}
		said := jsonOf[api.LinkRoads](t, ask("{}"), http.StatusOK)
		st, err := access.RoadStatementIn(said.Statement, said.Chain, s.node.id, time.Now())
		need(t, err)
		if want := []string{"https://192.0.2.7:18623/road", "https://[2001:db8::7]:18623/road"}; !slices.Equal(st.WebTransport, want) ||
			!slices.Equal(st.Hashes, []string{"hash"}) || st.Fingerprint != "fingerprint" || said.Answer != "" {
			t.Errorf("said %+v, statement %+v", said, st)
		}
		said = jsonOf[api.LinkRoads](t, ask(`{"offer":"o","iceServers":[{"urls":["stun:a","turn:b","stun:c"],"credential":"x"}]}`), http.StatusOK)
		if said.Answer != "answer to o with [stun:a stun:c]" {
			t.Errorf("answer %q", said.Answer)
		}
		s.wants("too long an offer", problemOfAnswer(t, ask(`{"offer":"`+strings.Repeat("x", maxOffer+1)+`"}`)), problem.BadRequest)
		s.wants("a time that is missing", problemOfAnswer(t, s.send(t.Context(), s.link, "", http.MethodPost, "/api/v1/link/roads/close", `{"session":"x"}`)), problem.BadRequest)
		s.wants("a session that is missing", problemOfAnswer(t, s.send(t.Context(), s.link, "", http.MethodPost, "/api/v1/link/roads/close", `{}`)), problem.BadRequest)
	})
}

func TestAnswerToAnOffer(t *testing.T) {
	for name, c := range map[string]struct {
		answer func(context.Context, string, []string) (string, error)
		want   problem.Code
	}{
		"bad offer": {func(context.Context, string, []string) (string, error) { return "", errors.New("no SDP") }, problem.BadRequest},
		"no room":   {func(context.Context, string, []string) (string, error) { return "", problem.TooManyRequests.Error() }, problem.TooManyRequests},
		"no end":    {func(ctx context.Context, _ string, _ []string) (string, error) { <-ctx.Done(); return "", ctx.Err() }, problem.Unavailable},
	} {
		synctest.Test(t, func(t *testing.T) {
			_, err := Roads{WebRTC: fakeRoad{answer: c.answer}}.answer(t.Context(), api.LinkRoadsRequest{Offer: "o"})
			if problem.From(err).Code != c.want {
				t.Errorf("%s: %v, want %s", name, err, c.want)
			}
		})
	}
}

// A node without direct roads says so.
func TestNoRoads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := newOffice(t, nil)
		defer o.stop()
		l := <-o.links
		said := jsonOf[api.LinkRoads](t, o.send(t.Context(), l, "", http.MethodPost, "/api/v1/link/roads", `{"offer":"o"}`), http.StatusOK)
		if said.Statement != "" || said.Answer != "" || said.Chain != nil {
			t.Errorf("said %+v, want nothing", said)
		}
	})
}
