package audit

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/platen-scan/platen/internal/identity"
)

// Head is the signed statement that the chain has N records and ends with Hash.
type Head struct {
	N         int64     `json:"head"`
	Hash      string    `json:"hash"`
	Time      time.Time `json:"time"`
	Key       string    `json:"key"`       // base64url: the Ed25519 key that signed
	Signature string    `json:"signature"` // base64url
}

const (
	headBefore = `{"head":`
	// headPurpose keeps the signature from meaning anything elsewhere.
	headPurpose = "platen audit head v1"
)

func (h Head) message() []byte {
	return fmt.Appendf(nil, "%s\n%d\n%s\n%s\n", headPurpose, h.N, h.Hash, h.Time.UTC().Format(time.RFC3339Nano))
}

func sign(signer *identity.Identity, n int64, hash string, now time.Time) Head {
	private := signer.Signer() // once: it may change
	public := private.Public().(ed25519.PublicKey)
	h := Head{N: n, Hash: hash, Time: now.UTC().Truncate(time.Millisecond), Key: base64.RawURLEncoding.EncodeToString(public)}
	h.Signature = base64.RawURLEncoding.EncodeToString(ed25519.Sign(private, h.message()))
	return h
}

// String is the head as one line; "" for the zero Head.
func (h Head) String() string {
	if h.Signature == "" {
		return ""
	}
	line, err := json.Marshal(h)
	if err != nil { // a year beyond 9999
		return ""
	}
	return string(line)
}

// ParseHead reads what String wrote. It does not check the signature.
func ParseHead(text string) (Head, error) {
	var h Head
	if len(text) > maxLine {
		return h, errors.New("an audit head is shorter")
	}
	if err := json.Unmarshal([]byte(text), &h); err != nil {
		return h, fmt.Errorf("reading an audit head: %w", err)
	}
	if h.N < 0 || len(h.Hash) != len(noHash) || h.String() != text {
		return h, errors.New("reading an audit head: it is not as it was written")
	}
	return h, nil
}

// Pin names the key that the head says it is signed with.
func (h Head) Pin() string {
	key, _ := base64.RawURLEncoding.DecodeString(h.Key)
	return identity.PinOf(key)
}

// Verify checks the signature, and that the key has the pin; "" takes any key.
func (h Head) Verify(pin string) error {
	key, err := base64.RawURLEncoding.DecodeString(h.Key)
	if err != nil || len(key) != ed25519.PublicKeySize {
		return errors.New("the head names no key")
	}
	signature, err := base64.RawURLEncoding.DecodeString(h.Signature)
	if err != nil || !ed25519.Verify(key, h.message(), signature) {
		return errors.New("the signature of the head is wrong")
	}
	if pin != "" && identity.PinOf(key) != pin {
		return fmt.Errorf("the head is signed by another key, %s", identity.PinOf(key))
	}
	return nil
}

// Follows checks that a chain with head h may be a later state of the chain that had
// the head before: it did not get shorter, and is the same where it has the same length.
func (h Head) Follows(before Head) error {
	switch {
	case h.N < before.N:
		return fmt.Errorf("the audit log has %d records and had %d: records were taken away", h.N, before.N)
	case h.N == before.N && h.Hash != before.Hash:
		return fmt.Errorf("the audit log ended otherwise when it had %d records before: it was made anew", h.N)
	}
	return nil
}
