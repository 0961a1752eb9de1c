package access_test

import (
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
)

func newIdentity(t testing.TB) *identity.Identity {
	t.Helper()
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	return id
}

// Each token of a hello serves one purpose, for one node, from one gateway.
func TestLinkTokens(t *testing.T) {
	gateway, other := newIdentity(t), newIdentity(t)
	from := time.Date(2030, 1, 2, 3, 4, 5, 0, time.UTC)
	next := access.NextKey{Pin: other.Pin(), From: from}
	tokens := map[string]string{
		"time":     access.TimeToken(gateway, testNode, from),
		"sequence": access.SequenceToken(gateway, testNode, 77),
		"next key": access.NextKeyToken(gateway, testNode, next),
		"":         "",
		"cut":      access.SequenceToken(gateway, testNode, 77)[:40],
		"long":     access.SequenceToken(gateway, testNode, 77) + strings.Repeat("A", 8192),
	}
	readers := map[string]func(token, pin, node string) bool{
		"time": func(token, pin, node string) bool {
			got, err := access.TimeIn(token, pin, node)
			return err == nil && got.Equal(from)
		},
		"sequence": func(token, pin, node string) bool {
			got, err := access.SequenceIn(token, pin, node)
			return err == nil && got == 77
		},
		"next key": func(token, pin, node string) bool {
			got, err := access.NextKeyIn(token, pin, node)
			return err == nil && got.Pin == next.Pin && got.From.Equal(from)
		},
	}
	for made, token := range tokens {
		for wanted, read := range readers {
			if got := read(token, gateway.Pin(), testNode); got != (made == wanted) {
				t.Errorf("a token of kind %q read as %q: %v", made, wanted, got)
			}
		}
	}
	for kind, read := range readers {
		if read(tokens[kind], other.Pin(), testNode) || read(tokens[kind], "", testNode) || read(tokens[kind], gateway.Pin(), strings.Repeat("b", 28)) {
			t.Errorf("a token of kind %q is taken from another gateway or for another node", kind)
		}
	}
}

func TestJoinCheck(t *testing.T) {
	nonce := access.JoinNonce()
	commit := access.JoinCommit(nonce)
	if !access.IsJoinCommit(commit) || !access.Reveals(commit, nonce) || access.Reveals(commit, access.JoinNonce()) {
		t.Errorf("commitment %q of nonce %q", commit, nonce)
	}
	for _, bad := range []string{"", "x", nonce[:42], nonce + "A", strings.Repeat("=", 43)} {
		if access.JoinCommit(bad) != "" || access.Reveals("", bad) || access.Reveals(commit, bad) {
			t.Errorf("nonce %q was taken", bad)
		}
	}
	// Each of the five things that go in changes the symbols; where one ends and the
	// next begins is not open.
	check := access.JoinCheck("gateway", "node", "a", "b")
	for _, other := range []string{
		access.JoinCheck("gatewayn", "ode", "a", "b"), access.JoinCheck("gateway", "node", "ab", ""),
		access.JoinCheck("node", "gateway", "a", "b"), access.JoinCheck("gateway", "node", "b", "a"),
	} {
		if other == check {
			t.Errorf("other things show the same symbols %s", check)
		}
	}
	if again := access.JoinCheck("gateway", "node", "a", "b"); again != check {
		t.Errorf("the same things show %s, then %s", check, again)
	}
}
