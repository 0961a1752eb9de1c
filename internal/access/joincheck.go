package access

import (
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base64"
	"encoding/binary"
)

// A node without a token asks to be approved. It accepts any gateway's key for that, so
// that somebody could stand between both. Two people, or one who looks at two screens,
// compare four symbols that depend on both keys and on a nonce of each end. The node
// commits to its nonce before it sees the gateway's and reveals it after that, so that
// nobody in the middle can choose nonces until the symbols are the same: each time that
// he asks he has one chance in 2^20. The gateway counts how often it is asked.

const (
	checkPurpose = "platen-approval/1"
	checkSymbols = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ" // 5 bits each, none like another
	checkLength  = 4
	nonceSize    = 32 // bytes
)

// JoinNonce is one end's part of the check string: base64url of 32 random bytes.
func JoinNonce() string {
	nonce := make([]byte, nonceSize)
	rand.Read(nonce)
	return base64.RawURLEncoding.EncodeToString(nonce)
}

// JoinCommit is the commitment to a nonce; "" for one that is malformed.
func JoinCommit(nonce string) string {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(nonce)
	if err != nil || len(raw) != nonceSize {
		return ""
	}
	sum := sha256.Sum256(raw)
	return base64.RawURLEncoding.EncodeToString(sum[:])
}

// IsJoinCommit reports whether text can be a commitment.
func IsJoinCommit(text string) bool {
	raw, err := base64.RawURLEncoding.Strict().DecodeString(text)
	return err == nil && len(raw) == sha256.Size
}

// Reveals reports whether the nonce is the one that was committed to.
func Reveals(commit, nonce string) bool {
	opened := JoinCommit(nonce)
	return opened != "" && subtle.ConstantTimeCompare([]byte(opened), []byte(commit)) == 1
}

// JoinCheck is the four symbols that both ends show.
func JoinCheck(gatewayPin, nodePin, gatewayNonce, nodeNonce string) string {
	h := sha256.New()
	for _, part := range []string{checkPurpose, gatewayPin, nodePin, gatewayNonce, nodeNonce} {
		h.Write(binary.BigEndian.AppendUint32(nil, uint32(len(part))))
		h.Write([]byte(part))
	}
	bits := binary.BigEndian.Uint32(h.Sum(nil))
	check := make([]byte, checkLength)
	for i := range check {
		check[i] = checkSymbols[bits>>(27-5*i)&31]
	}
	return string(check)
}
