//go:build unix

package driver_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/jpeg"
	"os"
	"path/filepath"
	"testing"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/driver/drivertest"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

func fileOf(t *testing.T, content []byte) *os.File {
	t.Helper()
	path := filepath.Join(t.TempDir(), "page")
	if err := os.WriteFile(path, content, 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	return f
}

// virtualPage scans a page of the virtual scanner.
func virtualPage(t *testing.T, s scan.Settings) *os.File {
	t.Helper()
	devices, err := workers(t).Devices(t.Context(), "virtual")
	if err != nil {
		t.Fatal(err)
	}
	w, err := workers(t).Open(t.Context(), devices[0])
	if err != nil {
		t.Fatal(err)
	}
	defer w.Close()
	caps, err := w.Capabilities(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	s.Options = map[string]string{"pace": "off"}
	s, err = caps.Resolve(s)
	if err != nil {
		t.Fatal(err)
	}
	var sink drivertest.Recorder
	if err := w.Scan(t.Context(), s, &sink); err != nil {
		t.Fatal(err)
	}
	return fileOf(t, sink.Committed()[0].Data)
}

// TestBarcodes reads the code that the virtual scanner prints on its sheets.
func TestBarcodes(t *testing.T) {
	for _, c := range []struct {
		settings scan.Settings
		format   scan.Format
	}{
		{scan.Settings{Source: scan.SourcePlaten, Mode: scan.ModeColor, Resolution: 150}, scan.FormatJPEG},
		{scan.Settings{Source: scan.SourcePlaten, Mode: scan.ModeGray, Resolution: 300}, scan.FormatJPEG},
		{scan.Settings{Source: scan.SourcePlaten, Mode: scan.ModeLineart, Resolution: 600}, scan.FormatPNG},
		{scan.Settings{Source: scan.SourcePlaten, Mode: scan.ModeColor, Resolution: 600}, scan.FormatJPEG},
	} {
		page := virtualPage(t, c.settings)
		for range 2 { // the file's offset does not matter
			var out bytes.Buffer
			if err := workers(t).Barcodes(t.Context(), page, c.format, "", &out); err != nil {
				t.Fatalf("%+v: %v", c.settings, err)
			}
			var list api.BarcodeList
			if err := json.Unmarshal(out.Bytes(), &list); err != nil {
				t.Fatal(err)
			}
			if len(list.Items) != 1 || list.Items[0].Format != api.BarcodeFormatCode128 || len(list.Items[0].Text) != len("PLATEN-0001-G") || list.Items[0].Text[:7] != "PLATEN-" {
				t.Fatalf("%+v: %v, want the Code 128 of the sheet", c.settings, list.Items)
			}
			// It is printed 20 mm from the left and 256 mm from the top, 13 mm high.
			mm := float32(c.settings.Resolution) / 25.4
			a, b := list.Items[0].Points[0], list.Items[0].Points[2]
			if a.X < 18*mm || a.X > 30*mm || b.X < 70*mm || b.X > 100*mm || a.Y < 254*mm || b.Y > 271*mm || b.Y-a.Y < 8*mm {
				t.Errorf("%+v: it is at %v", c.settings, list.Items[0].Points)
			}
		}
	}
}

// TestBarcodesHostile gives the reader what is no page, and what would not fit.
func TestBarcodesHostile(t *testing.T) {
	var small bytes.Buffer
	if err := jpeg.Encode(&small, image.NewGray(image.Rect(0, 0, 64, 64)), nil); err != nil {
		t.Fatal(err)
	}
	huge := bytes.Clone(small.Bytes())
	at := bytes.Index(huge, []byte{0xff, 0xc0})
	copy(huge[at+5:], []byte{0x7d, 0x00, 0x7d, 0x00}) // 32,000 × 32,000 pixels
	for name, c := range map[string]struct {
		content []byte
		format  scan.Format
		want    error
	}{
		"nothing":   {nil, scan.FormatJPEG, driver.ErrConvert},
		"not a PNG": {small.Bytes(), scan.FormatPNG, driver.ErrConvert},
		"cut off":   {small.Bytes()[:small.Len()/2], scan.FormatJPEG, driver.ErrConvert},
		"huge":      {huge, scan.FormatJPEG, driver.ErrWorker},
	} {
		var out bytes.Buffer
		if err := workers(t).Barcodes(t.Context(), fileOf(t, c.content), c.format, "", &out); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := workers(t).Barcodes(ctx, fileOf(t, small.Bytes()), scan.FormatJPEG, "", &bytes.Buffer{}); !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}
