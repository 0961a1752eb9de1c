package setup

import (
	"errors"
	"io"
	"log/slog"
	"strings"
	"testing"
)

func TestFaultsRememberTheLastError(t *testing.T) {
	var out strings.Builder
	faults := NewFaults(slog.NewTextHandler(&out, nil))
	log := slog.New(faults)
	if got := faults.Last(); got != "" {
		t.Errorf("before any error: %q", got)
	}
	log.Error("first", "error", io.EOF)
	log.With("job", "7").WithGroup("g").Error("no room", "path", "/secret", "error", errors.New("disk full\n"))
	log.Warn("a warning", "error", io.EOF)
	if got := faults.Last(); !strings.HasSuffix(got, " no room: disk full") || !strings.HasPrefix(got, "20") {
		t.Errorf("last = %q", got)
	}
	if got := out.String(); strings.Count(got, "\n") != 3 || !strings.Contains(got, "job=7 g.path=/secret") {
		t.Errorf("the log got\n%s", got)
	}
}
