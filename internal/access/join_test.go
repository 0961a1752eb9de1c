package access_test

import (
	"context"
	"encoding/base64"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

var (
	addresses = []string{"gateway.example:18603", "[fd00::1]:18603"}
	pin       = base64.RawURLEncoding.EncodeToString(make([]byte, 32))
)

func newTokens() (*access.JoinTokens, *accesstest.Records) {
	r := accesstest.NewRecords()
	return &access.JoinTokens{Records: r, Pin: func() string { return pin }}, r
}

func makeToken(t *testing.T, j *access.JoinTokens) (api.JoinToken, access.JoinToken) {
	t.Helper()
	made, err := j.Create(t.Context(), addresses, api.JoinTokenRequest{Label: "Building B", Labels: []string{"floor-2"}})
	if err != nil {
		t.Fatal(err)
	}
	parsed, err := access.ParseJoinToken(made.Token + "\n")
	if err != nil {
		t.Fatal(err)
	}
	return made, parsed
}

func redeem(ctx context.Context, j *access.JoinTokens, credential, node string) error {
	labels, err := j.Redeem(ctx, credential, node)
	if (err == nil) != slices.Equal(labels, []string{"floor-2"}) {
		return fmt.Errorf("labels %q with error %w", labels, err)
	}
	return err
}

// A token tells of the key that the gateway has; with that key it ends.
func TestJoinTokenEndsWithKey(t *testing.T) {
	j, _ := newTokens()
	_, token := makeToken(t, j)
	j.Pin = func() string { return strings.Repeat("B", 43) }
	wantProblem(t, "after the change of key", redeem(t.Context(), j, token.Credential(), "a"), problem.JoinTokenInvalid)
	if list, _, err := j.List(t.Context(), 50, ""); err != nil || len(list) != 0 {
		t.Errorf("List = %+v, %v, want none that can still be used", list, err)
	}
}

func TestJoinToken(t *testing.T) {
	j, records := newTokens()
	made, parsed := makeToken(t, j)
	if !slices.Equal(parsed.Addresses, addresses) || parsed.Pin != pin || parsed.ID != made.Id || parsed.String() != made.Token ||
		made.Label != "Building B" || !strings.HasPrefix(made.Token, "platen-join.") {
		t.Errorf("token %+v of %+v", parsed, made)
	}
	if strings.Contains(records.Dump(), parsed.Secret) {
		t.Error("the records hold the secret")
	}
	if list, next, err := j.List(t.Context(), 50, ""); err != nil || len(list) != 1 || next != "" || list[0].Token != "" || list[0].Id != made.Id {
		t.Errorf("List = %+v, %q, %v, want the one without its token", list, next, err)
	}
	wantProblem(t, "first", redeem(t.Context(), j, parsed.Credential(), "node-a"), "")
	wantProblem(t, "the same node again", redeem(t.Context(), j, parsed.Credential(), "node-a"), "")
	wantProblem(t, "another node", redeem(t.Context(), j, parsed.Credential(), "node-b"), problem.JoinTokenUsed)
	if list, _, err := j.List(t.Context(), 50, ""); err != nil || len(list) != 0 {
		t.Errorf("List = %+v, %v, want none that can still be used", list, err)
	}
}

func TestJoinTokenRace(t *testing.T) {
	for range 20 {
		j, _ := newTokens()
		_, token := makeToken(t, j)
		results := make([]error, 8)
		var wg sync.WaitGroup
		for i := range results {
			wg.Go(func() { results[i] = redeem(t.Context(), j, token.Credential(), fmt.Sprint("node-", i)) })
		}
		wg.Wait()
		won := 0
		for _, err := range results {
			if err == nil {
				won++
			} else if !errors.Is(err, problem.JoinTokenUsed.Error()) {
				t.Errorf("the loser got %v", err)
			}
		}
		if won != 1 {
			t.Fatalf("%d nodes redeemed one token, want 1", won)
		}
	}
}

func TestJoinTokenExpires(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j, _ := newTokens()
		_, early := makeToken(t, j)
		_, late := makeToken(t, j)
		time.Sleep(10*time.Minute - time.Millisecond)
		wantProblem(t, "in time", redeem(t.Context(), j, early.Credential(), "a"), "")
		time.Sleep(time.Millisecond)
		wantProblem(t, "late", redeem(t.Context(), j, late.Credential(), "a"), problem.JoinTokenExpired)
		time.Sleep(10 * time.Minute)
		wantProblem(t, "much too late", redeem(t.Context(), j, late.Credential(), "a"), problem.JoinTokenInvalid)
	})
}

func TestJoinTokenWrongSecrets(t *testing.T) {
	j, _ := newTokens()
	_, token := makeToken(t, j)
	for _, credential := range []string{"", "x", token.ID, token.ID + ".", token.Secret, token.ID + "." + strings.ToUpper(token.Secret), "." + token.Secret} {
		wantProblem(t, credential, redeem(t.Context(), j, credential, "a"), problem.JoinTokenInvalid)
	}
	wrong := token.ID + "." + strings.Repeat("a", 32)
	for range 4 {
		wantProblem(t, "wrong secret", redeem(t.Context(), j, wrong, "a"), problem.JoinTokenInvalid)
	}
	if list, _, err := j.List(t.Context(), 50, ""); err != nil || len(list) != 1 {
		t.Errorf("after four tries: List = %+v, %v, want the token", list, err)
	}
	wantProblem(t, "fifth wrong secret", redeem(t.Context(), j, wrong, "a"), problem.JoinTokenInvalid)
	wantProblem(t, "right, but void", redeem(t.Context(), j, token.Credential(), "a"), problem.JoinTokenInvalid)
}

func TestJoinTokenDelete(t *testing.T) {
	j, _ := newTokens()
	made, token := makeToken(t, j)
	for range 2 {
		wantProblem(t, "Delete", j.Delete(t.Context(), made.Id), "")
	}
	wantProblem(t, "void", redeem(t.Context(), j, token.Credential(), "a"), problem.JoinTokenInvalid)
}

func TestJoinTokenWithBadAddress(t *testing.T) {
	j, records := newTokens()
	for _, bad := range [][]string{nil, {"gateway.example"}, {"https://gateway.example:1"}, {""}, make([]string, 17)} {
		if made, err := j.Create(t.Context(), bad, api.JoinTokenRequest{}); err == nil {
			t.Errorf("Create with %q = %+v, want an error", bad, made)
		}
	}
	if d := records.Dump(); d != "" {
		t.Errorf("a refused token was stored: %s", d)
	}
}

func TestParseJoinTokenRefuses(t *testing.T) {
	good := access.JoinToken{Addresses: addresses, Pin: pin, ID: strings.Repeat("a", 20), Secret: strings.Repeat("b", 32)}
	if _, err := access.ParseJoinToken(good.String()); err != nil {
		t.Fatal(err)
	}
	for name, change := range map[string]func(*access.JoinToken){
		"no pin":      func(t *access.JoinToken) { t.Pin = "" },
		"short pin":   func(t *access.JoinToken) { t.Pin = t.Pin[:20] },
		"no address":  func(t *access.JoinToken) { t.Addresses = nil },
		"bad address": func(t *access.JoinToken) { t.Addresses = []string{"a b:1"} },
		"no port":     func(t *access.JoinToken) { t.Addresses = []string{"a.example"} },
		"bad ID":      func(t *access.JoinToken) { t.ID = "../../../../../../.." },
		"bad secret":  func(t *access.JoinToken) { t.Secret = "x" },
	} {
		bad := good
		change(&bad)
		_, err := access.ParseJoinToken(bad.String())
		wantProblem(t, name, err, problem.JoinTokenInvalid)
	}
	text := good.String()
	for _, s := range []string{"", "platen-join.", text[:len(text)-1], "x" + text, strings.TrimPrefix(text, "platen-join."), text + "!", text + strings.Repeat("A", 4096)} {
		_, err := access.ParseJoinToken(s)
		wantProblem(t, s, err, problem.JoinTokenInvalid)
	}
}

func FuzzParseJoinToken(f *testing.F) {
	f.Add(access.JoinToken{Addresses: addresses, Pin: pin, ID: strings.Repeat("a", 20), Secret: strings.Repeat("b", 32)}.String())
	f.Add("platen-join.e30")
	f.Fuzz(func(t *testing.T, s string) {
		token, err := access.ParseJoinToken(s)
		if err != nil {
			return
		}
		again, err := access.ParseJoinToken(token.String())
		if err != nil || again.String() != token.String() {
			t.Errorf("ParseJoinToken(%q) = %+v, and of its text %+v, %v", s, token, again, err)
		}
	})
}
