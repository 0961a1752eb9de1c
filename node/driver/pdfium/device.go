package pdfium

import (
	"context"
	"io"
	"os"
	"sync"
	"time"

	"github.com/klippa-app/go-pdfium"
	"github.com/klippa-app/go-pdfium/references"
	"github.com/tetratelabs/wazero"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// startTime bounds how long PDFium may take to start.
const startTime = 2 * time.Minute

// device is one open file.
type device struct {
	file     *os.File
	cache    wazero.CompilationCache // nil: none
	pool     pdfium.Pool
	pdf      pdfium.Pdfium
	document references.FPDF_DOCUMENT
	form     references.FPDF_FORMHANDLE
	count    int // of pages

	settings scan.Settings
	next     int     // index of the next page
	drawn    *raster // the page that is read, or nil

	mu       sync.Mutex
	canceled chan struct{} // closed by Cancel, for this batch
}

// Capabilities say how many pages the file has: the capacity of its feeder.
func (d *device) Capabilities(context.Context) (scan.Capabilities, error) {
	modes := []scan.ModeDepths{
		{Mode: scan.ModeColor, Depths: []int{8}}, {Mode: scan.ModeGray, Depths: []int{8}}, {Mode: scan.ModeLineart, Depths: []int{1}},
	}
	c := scan.Capabilities{
		Sources: []scan.SourceCapabilities{{
			Source: scan.SourceADF, Modes: modes, Resolutions: scan.Resolutions{Min: minResolution, Max: maxResolution},
			Area:   scan.Area{MaxWidth: maxSide, MaxHeight: maxSide},
			Feeder: &scan.FeederAbilities{Capacity: d.count, DetectsLoad: true},
		}},
		Formats: []scan.Format{scan.FormatJPEG, scan.FormatPNG},
	}
	var err error
	c.Defaults, err = c.Resolve(scan.Settings{Resolution: 200})
	return c, err
}

// Status is always the same: a file has all its sheets.
func (d *device) Status(context.Context) (scan.Status, error) {
	return scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederLoaded}, nil
}

// Begin goes to the first page that is asked for. A job that was interrupted asks for the
// rest: so many pages from the end.
func (d *device) Begin(_ context.Context, s scan.Settings) error {
	d.settings, d.next = s, 0
	if s.Pages > 0 && s.Pages < d.count {
		d.next = d.count - s.Pages
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.canceled = make(chan struct{})
	return nil
}

// NextPage measures the next page.
func (d *device) NextPage(context.Context) (driver.PageInfo, error) {
	d.release()
	if d.isCanceled() {
		return driver.PageInfo{}, context.Canceled
	}
	if d.next >= d.count {
		return driver.PageInfo{}, io.EOF
	}
	r, err := d.draw(d.next)
	if err != nil {
		return driver.PageInfo{}, err
	}
	d.drawn = r
	d.next++
	return driver.PageInfo{
		Mode: d.settings.Mode, Depth: d.settings.Depth, Width: r.width, Height: r.height,
		Resolution: d.settings.Resolution, Side: scan.SideFront,
	}, nil
}

// Read draws the next rows.
func (d *device) Read(p []byte) (int, error) {
	switch {
	case d.isCanceled():
		return 0, context.Canceled
	case d.drawn == nil:
		return 0, io.EOF
	}
	n, err := d.drawn.read(p)
	if err != nil {
		d.release()
	}
	return n, err
}

func (d *device) isCanceled() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.canceled:
		return true
	default:
		return false
	}
}

// Cancel ends the batch at the next strip.
func (d *device) Cancel() {
	d.mu.Lock()
	defer d.mu.Unlock()
	select {
	case <-d.canceled:
	default:
		close(d.canceled)
	}
}

// End forgets the batch.
func (d *device) End() error {
	d.release()
	return nil
}

func (d *device) release() {
	if d.drawn != nil {
		d.drawn.close()
		d.drawn = nil
	}
}

// Close ends PDFium.
func (d *device) Close() error {
	d.release()
	if d.pdf != nil {
		d.pdf.Close()
	}
	if d.pool != nil {
		d.pool.Close()
	}
	if d.cache != nil {
		d.cache.Close(context.Background())
	}
	return d.file.Close()
}
