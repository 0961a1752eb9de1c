// Package pdfium is the driver that makes pages of a PDF: its device is a file, its
// sheets are the file's pages.
//
// PDFium runs as WebAssembly, without a file system and within MemoryLimit, in the
// worker process that every device has. So a hostile file reaches nothing but its own
// pages, and what it makes fail is one job.
package pdfium

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	pdfiumerrors "github.com/klippa-app/go-pdfium/errors"
	"github.com/klippa-app/go-pdfium/requests"
	"github.com/klippa-app/go-pdfium/webassembly"
	"github.com/tetratelabs/wazero"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// Name is the driver's word in DeviceInfo.Driver.
const Name = "pdf"

const (
	// MemoryLimit is all that PDFium may use, in bytes.
	MemoryLimit = 256 << 20
	wasmPage    = 64 << 10

	// MaxPages is how many pages a file may have.
	MaxPages = 2000
)

// EnvCache names the folder in which the compiled PDFium is kept, in the worker's
// environment; without it each worker compiles it anew.
const EnvCache = "PLATEN_PDFIUM_CACHE"

// Driver opens PDF files. There are no devices to be found.
type Driver struct{}

// New makes the driver.
func New() Driver { return Driver{} }

// Name is the driver's name.
func (Driver) Name() string { return Name }

// Devices finds none: files are named by who opens them.
func (Driver) Devices(context.Context) ([]driver.DeviceInfo, error) { return nil, nil }

// Open takes the file at the path. One that is no PDF, is damaged or needs a password is a
// *driver.Stop with ReasonUnsupported.
func (Driver) Open(_ context.Context, path string) (driver.Device, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("opening the file: %w", err)
	}
	d := &device{file: f, canceled: make(chan struct{})}
	if err := d.load(); err != nil {
		d.Close()
		return nil, err
	}
	return d, nil
}

// load starts PDFium and reads the file's structure.
func (d *device) load() error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	settings := wazero.NewRuntimeConfig().WithMemoryLimitPages(MemoryLimit / wasmPage)
	if dir := os.Getenv(EnvCache); dir != "" {
		if d.cache, err = wazero.NewCompilationCacheWithDir(dir); err != nil {
			return fmt.Errorf("opening the cache of PDFium: %w", err)
		}
		settings = settings.WithCompilationCache(d.cache)
	}
	d.pool, err = webassembly.Init(webassembly.Config{
		MinIdle: 1, MaxIdle: 1, MaxTotal: 1,
		RuntimeConfig: settings, FSConfig: wazero.NewFSConfig(), Stdout: io.Discard, Stderr: io.Discard,
	})
	if err != nil {
		return fmt.Errorf("starting PDFium: %w", err)
	}
	if d.pdf, err = d.pool.GetInstance(startTime); err != nil {
		return fmt.Errorf("starting PDFium: %w", err)
	}
	opened, err := d.pdf.OpenDocument(&requests.OpenDocument{FileReader: d.file, FileReaderSize: info.Size()})
	switch {
	case errors.Is(err, pdfiumerrors.ErrPassword), errors.Is(err, pdfiumerrors.ErrSecurity):
		return unreadable("it is protected by a password")
	case err != nil:
		return unreadable("it is damaged or no PDF")
	}
	d.document = opened.Document
	counted, err := d.pdf.FPDF_GetPageCount(&requests.FPDF_GetPageCount{Document: d.document})
	if err != nil {
		return unreadable("its pages cannot be found")
	}
	d.count = counted.PageCount
	switch {
	case d.count < 1:
		return unreadable("it has no pages")
	case d.count > MaxPages:
		return unreadable(fmt.Sprintf("it has %d pages, more than %d", d.count, MaxPages))
	}
	return d.fillIn()
}

// unreadable is a file that nobody here can put right.
func unreadable(why string) error {
	return &driver.Stop{Reason: scan.ReasonUnsupported, Detail: strings.ToUpper(why[:1]) + why[1:] + "."}
}
