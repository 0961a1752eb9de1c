package discovery

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestInstance(t *testing.T) {
	tests := []struct{ name, want string }{
		{"Reception", "Reception"},
		{" HP LaserJet (2. OG) [links] ", "HP LaserJet (2. OG) [links]"},
		{"two\nlines\x00", "two lines"},
		{"Büro", "Büro"},
		{strings.Repeat("a", 70), strings.Repeat("a", 58)},
		{strings.Repeat("ü", 40), strings.Repeat("ü", 29)},
		{"broken\xff", "broken"},
	}
	for _, tt := range tests {
		got := Instance(tt.name)
		if got != tt.want || len(got) > MaxName || !utf8.ValidString(got) {
			t.Errorf("Instance(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}
