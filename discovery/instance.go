package discovery

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// Instance makes a name for people one that can be announced: in one line, and short
// enough to take the number that makes it unique (RFC 6763, section 4.1.1).
func Instance(name string) string {
	name = strings.Map(func(c rune) rune {
		if unicode.IsControl(c) || c == utf8.RuneError {
			return ' '
		}
		return c
	}, name)
	return Cut(strings.Join(strings.Fields(name), " "), MaxName-len(" (99)"))
}

// Cut shortens text to n bytes without breaking a character.
func Cut(text string, n int) string {
	for len(text) > n {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return strings.TrimSpace(text)
}
