package passkey_test

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"encoding/json"
	"testing"
)

// Flags of authenticator data (WebAuthn 6.1).
const (
	userPresent  = 0x01
	userVerified = 0x04
	hasKey       = 0x40
)

// authenticator is a passkey in software, and the browser before it. What a test
// changes it answers wrongly with.
type authenticator struct {
	key    *ecdsa.PrivateKey
	id     []byte
	handle string // user handle, kept at creation
	site   string // RP ID
	origin string // of the page, as the browser says it
	flags  byte
	count  uint32
	// data changes the client data, as {"type": …, "challenge": …, "origin": …}; nil: nothing
	data func(map[string]any)
	// sign makes the signature; nil: with key
	sign func(sum []byte) []byte
}

func newAuthenticator(t testing.TB, host string) *authenticator {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	a := &authenticator{key: key, id: make([]byte, 32), site: hostOnly(host), origin: "https://" + host, flags: userPresent | userVerified}
	rand.Read(a.id)
	return a
}

func b64(b []byte) string { return base64.RawURLEncoding.EncodeToString(b) }

func unb64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.RawURLEncoding.DecodeString(s)
	if err != nil {
		t.Fatalf("%q is not base64url: %v", s, err)
	}
	return b
}

// clientData is what the browser adds.
func (a *authenticator) clientData(kind, challenge string) []byte {
	data := map[string]any{"type": kind, "challenge": challenge, "origin": a.origin, "crossOrigin": false}
	if a.data != nil {
		a.data(data)
	}
	b, err := json.Marshal(data)
	if err != nil {
		panic(err)
	}
	return b
}

func (a *authenticator) authData(flags byte) []byte {
	site := sha256.Sum256([]byte(a.site))
	return binary.BigEndian.AppendUint32(append(site[:], flags), a.count)
}

// create answers navigator.credentials.create as PublicKeyCredential.toJSON gives it.
func (a *authenticator) create(t testing.TB, options json.RawMessage) json.RawMessage {
	t.Helper()
	var o struct {
		Challenge string `json:"challenge"`
		User      struct {
			ID string `json:"id"`
		} `json:"user"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		t.Fatal(err)
	}
	a.handle = string(unb64(t, o.User.ID))
	auth := a.authData(a.flags | hasKey)
	auth = append(auth, make([]byte, 16)...) // AAGUID: of no model
	auth = binary.BigEndian.AppendUint16(auth, uint16(len(a.id)))
	auth = append(append(auth, a.id...), a.coseKey(t)...)
	object := append([]byte("\xa3\x63fmt\x64none\x67attStmt\xa0\x68authData\x58"), byte(len(auth)))
	object = append(object, auth...)
	return encode(t, map[string]any{"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "authenticatorAttachment": "platform",
		"clientExtensionResults": map[string]any{"credProps": map[string]any{"rk": true}}, // asked for or not
		"response": map[string]any{
			"clientDataJSON": b64(a.clientData("webauthn.create", o.Challenge)), "attestationObject": b64(object),
			"authenticatorData": b64(auth), "publicKeyAlgorithm": -7, "transports": []string{"internal"}}})
}

// coseKey is the public key in CBOR: {1: 2 (EC2), 3: -7 (ES256), -1: 1 (P-256), -2: x, -3: y}.
func (a *authenticator) coseKey(t testing.TB) []byte {
	t.Helper()
	k, err := a.key.PublicKey.ECDH()
	if err != nil {
		t.Fatal(err)
	}
	point := k.Bytes()[1:]
	cose := append([]byte("\xa5\x01\x02\x03\x26\x20\x01\x21\x58\x20"), point[:32]...)
	return append(append(cose, "\x22\x58\x20"...), point[32:]...)
}

// get answers navigator.credentials.get.
func (a *authenticator) get(t testing.TB, options json.RawMessage) json.RawMessage {
	t.Helper()
	var o struct {
		Challenge string `json:"challenge"`
	}
	if err := json.Unmarshal(options, &o); err != nil {
		t.Fatal(err)
	}
	auth, data := a.authData(a.flags), a.clientData("webauthn.get", o.Challenge)
	hash := sha256.Sum256(data)
	sum := sha256.Sum256(append(auth[:len(auth):len(auth)], hash[:]...))
	sign := a.sign
	if sign == nil {
		sign = func(sum []byte) []byte {
			s, err := ecdsa.SignASN1(rand.Reader, a.key, sum)
			if err != nil {
				t.Fatal(err)
			}
			return s
		}
	}
	return encode(t, map[string]any{"id": b64(a.id), "rawId": b64(a.id), "type": "public-key", "clientExtensionResults": map[string]any{},
		"response": map[string]any{"clientDataJSON": b64(data), "authenticatorData": b64(auth), "signature": b64(sign(sum[:])),
			"userHandle": b64([]byte(a.handle))}})
}

func encode(t testing.TB, v any) json.RawMessage {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return b
}
