package flow_test

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/internal/access/flow"
	"github.com/platen-scan/platen/proto/problem"
)

func TestTake(t *testing.T) {
	const life = 10 * time.Minute
	tests := []struct {
		name   string
		after  time.Duration
		secret func(string) string
		want   problem.Code
	}{
		{"at once", 0, nil, ""},
		{"in its last moment", life - 1, nil, ""},
		{"when its time is up", life, nil, problem.FlowExpired},
		{"a second late", life + time.Second, nil, problem.FlowExpired},
		{"unknown secret", 0, func(string) string { return strings.Repeat("a", 52) }, problem.FlowExpired},
		{"no secret", 0, func(string) string { return "" }, problem.FlowExpired},
		{"secret with more behind it", 0, func(s string) string { return s + "a" }, problem.FlowExpired},
		{"secret in upper case", 0, strings.ToUpper, problem.FlowExpired},
		{"a key in place of a secret", 0, func(s string) string { return s[:50] + ".*" }, problem.FlowExpired},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			now := time.Now()
			records := accesstest.NewRecords()
			flows := flow.Flows{Prefix: "test.", Life: life, Now: func() time.Time { return now }}
			secret, err := flows.Begin(t.Context(), records, "nonce")
			if err != nil {
				t.Fatal(err)
			}
			if strings.Contains(records.Dump(), secret) {
				t.Error("the record holds the secret itself")
			}
			if tt.secret != nil {
				secret = tt.secret(secret)
			}
			now = now.Add(tt.after)
			var got string
			err = flows.Take(t.Context(), records, secret, &got)
			if tt.want == "" && (err != nil || got != "nonce") {
				t.Errorf("Take = %q, %v; want the value", got, err)
			}
			if tt.want != "" && (!errors.Is(err, tt.want.Error()) || got != "") {
				t.Errorf("Take = %q, %v; want %s", got, err, tt.want)
			}
		})
	}
}

func TestTakeOnce(t *testing.T) {
	records := accesstest.NewRecords()
	flows := flow.Flows{Prefix: "test.", Life: time.Minute, Now: time.Now}
	secret, err := flows.Begin(t.Context(), records, "nonce")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	results := make([]error, 16)
	for i := range results {
		wg.Go(func() {
			var value string
			results[i] = flows.Take(t.Context(), records, secret, &value)
		})
	}
	wg.Wait()
	won := 0
	for _, err := range results {
		switch {
		case err == nil:
			won++
		case !errors.Is(err, problem.FlowExpired.Error()):
			t.Errorf("Take = %v, want FlowExpired", err)
		}
	}
	if won != 1 {
		t.Errorf("%d of 16 took the flow, want 1", won)
	}
	if strings.Contains(records.Dump(), "nonce") {
		t.Error("the used record still holds its value")
	}
}

func TestOtherKind(t *testing.T) {
	records := accesstest.NewRecords()
	secret, err := flow.Flows{Prefix: "a.", Life: time.Minute, Now: time.Now}.Begin(t.Context(), records, 1)
	if err != nil {
		t.Fatal(err)
	}
	var value int
	err = flow.Flows{Prefix: "b.", Life: time.Minute, Now: time.Now}.Take(t.Context(), records, secret, &value)
	if !errors.Is(err, problem.FlowExpired.Error()) {
		t.Errorf("Take of another kind of flow = %v, want FlowExpired", err)
	}
}

func TestNoRecords(t *testing.T) {
	flows := flow.Flows{Prefix: "a.", Life: time.Minute, Now: time.Now}
	if _, err := flows.Begin(t.Context(), nil, 1); !errors.Is(err, problem.Unavailable.Error()) {
		t.Errorf("Begin without records = %v, want Unavailable", err)
	}
}
