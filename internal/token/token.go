// Package token signs what one end of Platen states so that another end can check it.
//
// Tokens are PASETO v4.public: one algorithm, nothing to choose. The footer is the
// signer's public key, which the reader knows by its pin only. The implicit assertion
// names the purpose and the audience, so that a token serves nothing and nobody else.
package token

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"aidanwoods.dev/go-paseto"

	"github.com/platen-scan/platen/internal/identity"
)

// Max is the longest token that Open parses, in characters.
const Max = 4096

// ErrInvalid is in every error of this package.
var ErrInvalid = errors.New("invalid token")

// Sign makes the token of claims, which marshal to a JSON object.
func Sign(id *identity.Identity, purpose, audience string, claims any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("token: claims that are no JSON: %v", err))
	}
	token, err := paseto.NewTokenFromClaimsJSON(body, id.Public())
	if err != nil {
		panic(fmt.Sprintf("token: claims that are no object: %v", err))
	}
	key, err := paseto.NewV4AsymmetricSecretKeyFromEd25519(id.Signer())
	if err != nil {
		panic(fmt.Sprintf("token: identity without a key: %v", err))
	}
	return token.V4Sign(key, assertion(purpose, audience))
}

func assertion(purpose, audience string) []byte { return []byte(purpose + "\x00" + audience) }

// Open checks that the key with this pin signed the token for the purpose and the
// audience, and decodes its claims. Its times are the caller's to judge.
func Open(token, pin, purpose, audience string, claims any) error {
	return OpenUpTo(Max, token, pin, purpose, audience, claims)
}

// OpenUpTo is Open for a purpose whose tokens may be longer.
func OpenUpTo(most int, token, pin, purpose, audience string, claims any) error {
	signer, err := SignerUpTo(most, token)
	if err != nil {
		return err
	}
	if pin == "" || identity.PinOf(signer) != pin {
		return fmt.Errorf("%w: signed by another key", ErrInvalid)
	}
	key, err := paseto.NewV4AsymmetricPublicKeyFromBytes(signer)
	if err != nil {
		return fmt.Errorf("%w: bad key", ErrInvalid)
	}
	parser := paseto.NewParserWithoutExpiryCheck() // by the gateway's clock, not by ours
	t, err := parser.ParseV4Public(key, token, assertion(purpose, audience))
	if err != nil {
		return fmt.Errorf("%w: bad signature, or for another reader or purpose", ErrInvalid)
	}
	if err := json.Unmarshal(t.ClaimsJSON(), claims); err != nil {
		return fmt.Errorf("%w: bad claims", ErrInvalid)
	}
	return nil
}

// SignerUpTo is the key that a token of at most so many characters says it is signed by.
func SignerUpTo(most int, token string) (ed25519.PublicKey, error) {
	if len(token) > most {
		return nil, fmt.Errorf("%w: too long", ErrInvalid)
	}
	footer, err := paseto.NewParserWithoutExpiryCheck().UnsafeParseFooter(paseto.V4Public, token)
	if err != nil || len(footer) != ed25519.PublicKeySize || !canonical(token) {
		return nil, fmt.Errorf("%w: malformed", ErrInvalid)
	}
	return footer, nil
}

// canonical reports whether a token is written in the only way: in base64 the last
// character can have bits that mean nothing, and ends of lines mean nothing at all.
func canonical(token string) bool {
	if strings.ContainsAny(token, "\r\n") {
		return false
	}
	for i, part := range strings.Split(token, ".") {
		if _, err := base64.RawURLEncoding.Strict().DecodeString(part); i >= 2 && err != nil {
			return false
		}
	}
	return true
}
