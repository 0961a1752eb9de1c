package driver

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/platen-scan/platen/proto/scan"
)

func TestWireErrors(t *testing.T) {
	over := func(err error) error {
		b, marshalErr := json.Marshal(toWire(err))
		if marshalErr != nil {
			t.Fatal(marshalErr)
		}
		var e *wireError
		if err := json.Unmarshal(b, &e); err != nil {
			t.Fatal(err)
		}
		return e.err()
	}
	if err := over(nil); err != nil {
		t.Errorf("no error became %v", err)
	}
	var stop *Stop
	if err := over(fmt.Errorf("reading: %w", &Stop{Reason: scan.ReasonJam, Detail: "sheet 3"})); !errors.As(err, &stop) || stop.Reason != scan.ReasonJam || stop.Detail != "sheet 3" {
		t.Errorf("a stop became %v", err)
	}
	if err := over(errors.New("something")); !errors.As(err, &stop) || stop.Reason != scan.ReasonDeviceError {
		t.Errorf("a driver's own error became %v, want a stop for device-error", err)
	}
	var missing *Missing
	if err := over(&Missing{Driver: "sane", Hint: "install it"}); !errors.As(err, &missing) || missing.Hint != "install it" {
		t.Errorf("missing became %v", err)
	}
	if err := over(fmt.Errorf("reading: %w", context.Canceled)); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled became %v", err)
	}
	if err := over(errors.New(strings.Repeat("é", 10_000))); len(err.Error()) > 2*maxDetail {
		t.Errorf("a detail of %d bytes came over", len(err.Error()))
	}
}

func TestFitCapabilities(t *testing.T) {
	values := make([]string, 1000)
	for i := range values {
		values[i] = fmt.Sprint("value ", i)
	}
	c := scan.Capabilities{Formats: []scan.Format{scan.FormatPNG}}
	for i := range 2000 {
		c.Options = append(c.Options, scan.Option{
			Name: fmt.Sprint("option-", i), Type: scan.OptionString, Values: values[:1+i%len(values)], Description: strings.Repeat("words ", 1000),
		})
	}
	fit, err := fitCapabilities(c)
	if err != nil {
		t.Fatal(err)
	}
	b, err := json.Marshal(message{Reply: &reply{Capabilities: &fit}})
	if err != nil || len(b) > maxJSON {
		t.Errorf("the reply has %d bytes, %v; want at most %d", len(b), err, maxJSON)
	}
	if len(fit.Options) == 0 || fit.Options[0].Name != "option-0" {
		t.Errorf("%d options are left", len(fit.Options))
	}
	if c.Options[0].Description == "" || len(c.Options[999].Values) != 1000 {
		t.Error("the device's own capabilities were changed")
	}
}

func TestWorkerEnv(t *testing.T) {
	got := workerEnv([]string{"HOME=/root", "PLATEN_ADMIN_TOKEN=secret", "SANE_CONFIG_DIR=/x", "PLATEN_WORKER_DEPTH=7"}, []string{"A=b"})
	want := []string{"HOME=/root", "SANE_CONFIG_DIR=/x", "A=b", "PLATEN_WORKER_DEPTH=1"}
	if !slices.Equal(got, want) {
		t.Errorf("workerEnv() = %q, want %q", got, want)
	}
}

// TestDeviceInfo is what a listing says of a device, on its way out of the worker.
func TestDeviceInfo(t *testing.T) {
	want := []DeviceInfo{
		{Name: "airscan:e0:Far", Stable: "far", Title: "Far", Make: "M", Model: "F", Network: true},
		{Name: "test:0", Stable: "near", Title: "Near"},
	}
	b, err := json.Marshal(message{Reply: &reply{Seq: 1, Devices: fitDevices(slices.Clone(want))}})
	if err != nil {
		t.Fatal(err)
	}
	var m message
	if err := json.Unmarshal(b, &m); err != nil || !slices.Equal(m.Reply.Devices, want) {
		t.Errorf("%s became %+v, %v, want %+v", b, m.Reply, err, want)
	}
}
