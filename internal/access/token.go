package access

import (
	"crypto/ed25519"
	"encoding/json"
	"errors"
	"fmt"

	"aidanwoods.dev/go-paseto"

	"github.com/platen-scan/platen/internal/identity"
)

// Grants and time tokens are PASETO v4.public: one algorithm, nothing to choose. The
// footer is the signer's public key, which the other end knows by its pin only. The
// implicit assertion names the purpose and the node, so that a token serves nothing
// and nobody else.

// maxToken is the longest token that is parsed, in characters, but for road grants.
const maxToken = 4096

var errToken = errors.New("invalid token")

// sign makes the token of claims, which marshal to a JSON object.
func sign(id *identity.Identity, purpose, node string, claims any) string {
	body, err := json.Marshal(claims)
	if err != nil {
		panic(fmt.Sprintf("access: claims that are no JSON: %v", err))
	}
	token, err := paseto.NewTokenFromClaimsJSON(body, id.Public())
	if err != nil {
		panic(fmt.Sprintf("access: claims that are no object: %v", err))
	}
	key, err := paseto.NewV4AsymmetricSecretKeyFromEd25519(id.Signer())
	if err != nil {
		panic(fmt.Sprintf("access: identity without a key: %v", err))
	}
	return token.V4Sign(key, assertion(purpose, node))
}

func assertion(purpose, node string) []byte { return []byte(purpose + "\x00" + node) }

// open checks that the key with this pin signed the token for the node and the
// purpose, and decodes its claims.
func open(token, pin, purpose, node string, claims any) error {
	return openUpTo(maxToken, token, pin, purpose, node, claims)
}

// openUpTo is open for a purpose whose tokens may be longer.
func openUpTo(most int, token, pin, purpose, node string, claims any) error {
	signer, err := signerOf(most, token)
	if err != nil {
		return err
	}
	if pin == "" || identity.PinOf(signer) != pin {
		return fmt.Errorf("%w: signed by another key", errToken)
	}
	key, err := paseto.NewV4AsymmetricPublicKeyFromBytes(signer)
	if err != nil {
		return fmt.Errorf("%w: bad key", errToken)
	}
	parser := paseto.NewParserWithoutExpiryCheck() // by the gateway's clock, not by ours
	t, err := parser.ParseV4Public(key, token, assertion(purpose, node))
	if err != nil {
		return fmt.Errorf("%w: bad signature, or for another node or purpose", errToken)
	}
	if err := json.Unmarshal(t.ClaimsJSON(), claims); err != nil {
		return fmt.Errorf("%w: bad claims", errToken)
	}
	return nil
}

// signerOf is the key that a token of at most so many characters says it is signed by.
func signerOf(most int, token string) (ed25519.PublicKey, error) {
	if len(token) > most {
		return nil, fmt.Errorf("%w: too long", errToken)
	}
	footer, err := paseto.NewParserWithoutExpiryCheck().UnsafeParseFooter(paseto.V4Public, token)
	if err != nil || len(footer) != ed25519.PublicKeySize {
		return nil, fmt.Errorf("%w: malformed", errToken)
	}
	return footer, nil
}
