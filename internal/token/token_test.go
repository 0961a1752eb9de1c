package token

import (
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/identity"
)

// A token has one form: whoever changes a character, drops or adds one has no token.
func TestOpenTakesOneForm(t *testing.T) {
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	type claims struct{ A string }
	text := Sign(id, "test/1", "x", claims{"abc"})
	var c claims
	if err := Open(text, id.Pin(), "test/1", "x", &c); err != nil || c.A != "abc" {
		t.Fatalf("Open = %+v, %v", c, err)
	}
	for i := range len(text) {
		for _, with := range []string{"", "\n", text[i:i+1] + "\n", "A", "b", "_", string(rune(text[i] ^ 1)), string(rune(text[i] ^ 2))} {
			changed := text[:i] + with + text[i+1:]
			if changed == text || strings.ContainsRune(with, 0) {
				continue
			}
			if err := Open(changed, id.Pin(), "test/1", "x", &c); err == nil {
				t.Errorf("Open took a token with %q in place of character %d", with, i)
			}
		}
	}
}
