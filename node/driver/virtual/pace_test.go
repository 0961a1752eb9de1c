package virtual

import (
	"context"
	"errors"
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// readBatch reads all pages and says how long each took from the call that began it.
func readBatch(t *testing.T, d *device, s scan.Settings) []time.Duration {
	t.Helper()
	if err := d.Begin(t.Context(), s); err != nil {
		t.Fatal(err)
	}
	var took []time.Duration
	buf := make([]byte, 64<<10)
	for {
		start := time.Now()
		_, err := d.NextPage(t.Context())
		if err == io.EOF {
			return took
		}
		for err == nil {
			_, err = d.Read(buf)
		}
		if err != io.EOF {
			t.Fatal(err)
		}
		took = append(took, time.Since(start))
	}
}

func TestPace(t *testing.T) {
	for _, test := range []struct {
		pace        string
		dpi         int
		front, back time.Duration
	}{
		{"real", 300, 1400 * time.Millisecond, 300 * time.Millisecond},
		{"real", 75, 600 * time.Millisecond, 100 * time.Millisecond},
		{"fast", 300, 350 * time.Millisecond, 75 * time.Millisecond},
		{"off", 300, 0, 0},
	} {
		synctest.Test(t, func(t *testing.T) {
			took := readBatch(t, newDevice(), scan.Settings{
				Source: scan.SourceADFDuplex, Mode: scan.ModeLineart, Depth: 1, Resolution: test.dpi,
				Options: map[string]string{optionPace: test.pace, optionSheets: "2"},
			})
			if len(took) != 4 {
				t.Fatalf("%d pages, want 4", len(took))
			}
			for i, got := range took {
				want := test.front
				if i%2 == 1 {
					want = test.back
				}
				if got < want-20*time.Millisecond || got > want+20*time.Millisecond {
					t.Errorf("%s at %d dpi: page %d took %v, want %v", test.pace, test.dpi, i+1, got, want)
				}
			}
		})
	}
}

// TestRowsComeSteadily shows that a page is not kept until its end.
func TestRowsComeSteadily(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		if err := d.Begin(t.Context(), scan.Settings{Source: scan.SourcePlaten, Mode: scan.ModeGray, Depth: 8, Resolution: 300}); err != nil {
			t.Fatal(err)
		}
		if _, err := d.NextPage(t.Context()); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 1<<20)
		for {
			before := time.Now()
			_, err := d.Read(buf)
			if wait := time.Since(before); wait > 20*time.Millisecond {
				t.Fatalf("Read() took %v", wait)
			}
			if err != nil {
				return
			}
		}
	})
}

func TestCancelWhileWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newDevice()
		if err := d.Begin(t.Context(), scan.Settings{
			Source: scan.SourcePlaten, Mode: scan.ModeGray, Depth: 8, Resolution: 300, Options: map[string]string{optionFault: string(faultSlow)},
		}); err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		time.AfterFunc(time.Second, d.Cancel)
		_, err := d.NextPage(t.Context())
		buf := make([]byte, 1000)
		for err == nil {
			_, err = d.Read(buf)
		}
		if took := time.Since(start); !errors.Is(err, context.Canceled) || took > 1100*time.Millisecond {
			t.Errorf("canceled after 1 s: %v after %v", err, took)
		}
	})
}

func TestOptionErrors(t *testing.T) {
	for name, value := range map[string]string{optionSheets: "many", optionFaultPage: "", "nonsense": "1"} {
		if _, err := parseOptions(map[string]string{name: value}); err == nil {
			t.Errorf("option %s = %q was taken", name, value)
		}
	}
}
