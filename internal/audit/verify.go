package audit

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"slices"
)

// Verify reads a whole chain, as Export writes it, and checks every hash, number and
// signature. n is how many records it has. The error names the first line that is wrong.
//
// pin is the key that must have signed the last head; "" takes any. Heads before may
// have keys that this end had earlier, since the last one covers all that stands above
// it. known are heads that somebody kept, as a gateway those of its nodes: the chain
// must contain them, so that one that was cut short is found out.
func Verify(r io.Reader, pin string, known ...Head) (n int64, err error) {
	v := verifier{hash: noHash, known: known}
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, maxLine), maxLine)
	for lines.Scan() {
		v.line++
		if err := v.take(lines.Bytes(), pin); err != nil {
			return v.n, fmt.Errorf("line %d: %w", v.line, err)
		}
	}
	if errors.Is(lines.Err(), bufio.ErrTooLong) {
		return v.n, fmt.Errorf("line %d: it is longer than any record", v.line+1)
	} else if lines.Err() != nil {
		return v.n, fmt.Errorf("reading the audit log: %w", lines.Err())
	}
	return v.n, v.end(pin)
}

type verifier struct {
	line   int
	n      int64
	hash   string
	known  []Head
	strays int   // line of the first head of another key that no head with the pin has covered yet
	stray  error // why
	pinned bool
}

func (v *verifier) take(line []byte, pin string) error {
	if isHead(line) {
		return v.head(line, pin)
	}
	if n, ok := number(line); ok && v.n == 0 && n > 1 {
		return fmt.Errorf("the chain begins with the record %d: put the older files before it", n)
	}
	hash, err := step(line, v.n+1, v.hash)
	if err != nil {
		return err
	}
	v.n, v.hash = v.n+1, hash
	if i := slices.IndexFunc(v.known, func(h Head) bool { return h.N == v.n && h.Hash != hash }); i >= 0 {
		return fmt.Errorf("record %d is another one than when its head was kept", v.n)
	}
	return nil
}

func (v *verifier) head(line []byte, pin string) error {
	h, err := ParseHead(string(line))
	if err != nil {
		return err
	}
	if h.N != v.n || h.Hash != v.hash {
		return fmt.Errorf("its head is of record %d and stands behind record %d: records were taken out or changed", h.N, v.n)
	}
	if err := h.Verify(""); err != nil {
		return err
	}
	if err := h.Verify(pin); err != nil {
		if v.stray == nil {
			v.strays, v.stray = v.line, err
		}
		return nil
	}
	v.pinned, v.stray = true, nil
	return nil
}

func (v *verifier) end(pin string) error {
	for _, h := range v.known {
		if h.N > v.n {
			return fmt.Errorf("line %d: the log ends with record %d, but its head of record %d is known: the end was taken away", v.line+1, v.n, h.N)
		}
	}
	switch {
	case v.stray != nil:
		return fmt.Errorf("line %d: %w", v.strays, v.stray)
	case !v.pinned && (v.n > 0 || pin != ""):
		return fmt.Errorf("line %d: no head is signed: nothing shows whose log this is", v.line+1)
	}
	return nil
}
