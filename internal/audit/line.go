package audit

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
	"strings"
)

// maxLine is the longest line that is read, in bytes.
const maxLine = 64 << 10

// noHash stands before the first record.
var noHash = strings.Repeat("0", 2*sha256.Size)

const (
	hashBefore = `,"hash":"`
	hashAfter  = `"}`
	hashSuffix = len(hashBefore) + 2*sha256.Size + len(hashAfter)
)

// encode makes the line of a record, without its end of line, and its hash.
func encode(r Record, before string) (line []byte, hash string, err error) {
	r.Hash = ""
	body, err := json.Marshal(r)
	if err != nil {
		return nil, "", fmt.Errorf("encoding an audit record: %w", err)
	}
	hash = chain(before, body)
	line = append(body[:len(body)-1], hashBefore...)
	line = append(line, hash...)
	return append(line, hashAfter...), hash, nil
}

// chain is the hash of a record whose line is body but for its hash.
func chain(before string, body []byte) string {
	h := sha256.New()
	h.Write([]byte(before))
	h.Write(body)
	return hex.EncodeToString(h.Sum(nil))
}

// step checks that a record line follows the record n-1 with the hash before.
func step(line []byte, n int64, before string) (hash string, err error) {
	got, ok := number(line)
	switch {
	case !ok || len(line) < hashSuffix:
		return "", errors.New("it is neither a record nor a head")
	case got != n:
		return "", fmt.Errorf("it has the record %d where %d follows: records were taken out, put in or exchanged", got, n)
	}
	at := len(line) - hashSuffix
	body := append(bytes.Clone(line[:at]), '}')
	hash = chain(before, body)
	if string(line[at:]) != hashBefore+hash+hashAfter {
		return "", fmt.Errorf("record %d or the one before it was changed: the hash does not fit", n)
	}
	return hash, nil
}

// number is the n of a record line; ok is false for a head.
func number(line []byte) (n int64, ok bool) {
	rest, ok := bytes.CutPrefix(line, []byte(`{"n":`))
	digits, _, ok2 := bytes.Cut(rest, []byte(","))
	if !ok || !ok2 {
		return 0, false
	}
	n, err := strconv.ParseInt(string(digits), 10, 64)
	return n, err == nil && n > 0
}

func isHead(line []byte) bool { return bytes.HasPrefix(line, []byte(headBefore)) }
