package node

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"image"
	"image/jpeg"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/platen-scan/platen/node/barcode"
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/node/imaging"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// fakeWorkers are workers without processes. Each of its devices does what a test says.
type fakeWorkers struct {
	mu      sync.Mutex
	devices map[string]*fakeDevice // by DeviceInfo.Name
	listing func(ctx context.Context, driver string) error
	listed  int
	read    atomic.Int64 // pages on which barcodes were looked for
}

// fakeDevice is a scanner of the driver "fake". Its functions run in the operation of
// the node that asks; nil ones do what an idle device does.
type fakeDevice struct {
	info   driver.DeviceInfo
	caps   scan.Capabilities
	open   func(ctx context.Context) error
	status func(ctx context.Context) (scan.Status, error)
	scan   func(b *fakeBatch) error

	mu      sync.Mutex
	hidden  bool // not in the listing
	opened  int
	closed  int
	asked   int // for its status
	batches []scan.Settings
}

// fakeBatch is one Scan of a fake device.
type fakeBatch struct {
	ctx      context.Context
	n        int // from 1, over the device's life
	settings scan.Settings
	sink     driver.Sink
	finish   chan struct{} // closed by FinishAfterPage
}

var errFakeCrash = &driver.WorkerError{Reason: scan.ReasonDriverFailed, Detail: "it was told to crash"}

func newFakeDevice(name string) *fakeDevice {
	d := &fakeDevice{info: driver.DeviceInfo{Driver: "fake", Name: name, Stable: "stable-" + name, Title: "Fake " + name, Make: "Fake", Model: "F1"}}
	source := func(s scan.Source, f *scan.FeederAbilities) scan.SourceCapabilities {
		return scan.SourceCapabilities{
			Source:      s,
			Modes:       []scan.ModeDepths{{Mode: scan.ModeGray, Depths: []int{8}}},
			Resolutions: scan.Resolutions{Values: []int{75, 150, 300}},
			Area:        scan.Area{MaxWidth: 210, MaxHeight: 297},
			Feeder:      f,
		}
	}
	d.caps = scan.Capabilities{
		Formats: []scan.Format{scan.FormatJPEG, scan.FormatPNG},
		Sources: []scan.SourceCapabilities{
			source(scan.SourcePlaten, nil), source(scan.SourceADF, &scan.FeederAbilities{DetectsLoad: true}),
		},
	}
	d.caps.Defaults, _ = d.caps.Resolve(scan.Settings{})
	return d
}

func (d *fakeDevice) id(nodeID string) string {
	return scan.DerivedID(nodeID, scan.KindScanner, "fake/"+d.info.Stable)
}

func (d *fakeDevice) counts() (opened, closed, asked, batches int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.opened, d.closed, d.asked, len(d.batches)
}

func (f *fakeWorkers) Devices(ctx context.Context, name string) ([]driver.DeviceInfo, error) {
	f.mu.Lock()
	listing := f.listing
	f.mu.Unlock()
	if listing != nil {
		if err := listing(ctx, name); err != nil {
			return nil, err
		}
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	f.listed++
	var found []driver.DeviceInfo
	for _, d := range f.devices {
		d.mu.Lock()
		if !d.hidden {
			found = append(found, d.info)
		}
		d.mu.Unlock()
	}
	return found, nil
}

func (f *fakeWorkers) Open(ctx context.Context, info driver.DeviceInfo) (worker, error) {
	f.mu.Lock()
	d := f.devices[info.Name]
	f.mu.Unlock()
	if d == nil {
		return nil, &driver.Stop{Reason: scan.ReasonOffline, Detail: "no such device"}
	}
	if d.open != nil {
		if err := d.open(ctx); err != nil {
			return nil, err
		}
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.opened++
	return &fakeWorker{d: d, done: make(chan struct{})}, nil
}

func (f *fakeWorkers) Convert(_ context.Context, src *os.File, from scan.Format, spec imaging.Spec, dst io.Writer) error {
	if err := imaging.Convert(src, from, spec, dst); err != nil {
		return errors.Join(driver.ErrConvert, err)
	}
	return nil
}

func (f *fakeWorkers) Barcodes(_ context.Context, src *os.File, from scan.Format, only api.BarcodeFormat, dst io.Writer) error {
	f.read.Add(1)
	m, _, err := imaging.Gray(src, from, barcode.MaxPixels)
	if err != nil {
		return errors.Join(driver.ErrConvert, err)
	}
	list := api.BarcodeList{Items: []api.Barcode{}}
	for _, c := range barcode.Read(m, only) {
		list.Items = append(list.Items, api.Barcode{Format: c.Format, Text: c.Text, Points: []api.Point{}})
	}
	return json.NewEncoder(dst).Encode(list)
}

// fakeWorker is an open fakeDevice.
type fakeWorker struct {
	d    *fakeDevice
	done chan struct{}

	mu     sync.Mutex
	dead   error
	cancel context.CancelFunc
	finish chan struct{}
}

func (w *fakeWorker) broken() error {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.dead
}

// result notes a crash: a dead worker stays dead.
func (w *fakeWorker) result(err error) error {
	if errors.Is(err, driver.ErrWorker) {
		w.mu.Lock()
		defer w.mu.Unlock()
		if w.dead == nil {
			w.dead = err
			close(w.done)
		}
	}
	return err
}

func (w *fakeWorker) Capabilities(context.Context) (scan.Capabilities, error) {
	return w.d.caps, w.broken()
}

func (w *fakeWorker) Status(ctx context.Context) (scan.Status, error) {
	if err := w.broken(); err != nil {
		return scan.Status{}, err
	}
	w.d.mu.Lock()
	w.d.asked++
	status := w.d.status
	w.d.mu.Unlock()
	if status == nil {
		return scan.Status{State: scan.ScannerIdle, Feeder: scan.FeederLoaded}, nil
	}
	st, err := status(ctx)
	return st, w.result(err)
}

func (w *fakeWorker) Scan(ctx context.Context, s scan.Settings, sink driver.Sink) error {
	if err := w.broken(); err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	b := &fakeBatch{ctx: ctx, settings: s, sink: sink, finish: make(chan struct{})}
	w.mu.Lock()
	w.cancel, w.finish = cancel, b.finish
	w.mu.Unlock()
	w.d.mu.Lock()
	w.d.batches = append(w.d.batches, s)
	b.n = len(w.d.batches)
	script := w.d.scan
	w.d.mu.Unlock()
	if script == nil {
		script = func(b *fakeBatch) error { return b.pages(max(s.Pages, 1)) }
	}
	err := script(b)
	w.mu.Lock()
	w.cancel, w.finish = nil, nil
	w.mu.Unlock()
	return w.result(err)
}

func (w *fakeWorker) FinishAfterPage() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.finish != nil {
		select {
		case <-w.finish:
		default:
			close(w.finish)
		}
	}
}

func (w *fakeWorker) Cancel() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.cancel != nil {
		w.cancel()
	}
}

func (w *fakeWorker) Done() <-chan struct{} { return w.done }

func (w *fakeWorker) Close() error {
	w.Cancel()
	w.d.mu.Lock()
	defer w.d.mu.Unlock()
	w.d.closed++
	return nil
}

// fakePage is the geometry of every page of a fake device.
var fakePage = driver.PageInfo{Mode: scan.ModeGray, Depth: 8, Width: 160, Height: 200, Resolution: 75, Format: scan.FormatJPEG}

// testJPEG is a page of a fake device as a file, another one for each n.
var testJPEG = func() func(n int) []byte {
	var mu sync.Mutex
	made := map[int][]byte{}
	return func(n int) []byte {
		mu.Lock()
		defer mu.Unlock()
		if made[n] == nil {
			img := image.NewGray(image.Rect(0, 0, fakePage.Width, fakePage.Height))
			for i := range img.Pix {
				img.Pix[i] = byte(i*n + i>>7)
			}
			var b bytes.Buffer
			if err := jpeg.Encode(&b, img, nil); err != nil {
				panic(err)
			}
			made[n] = b.Bytes()
		}
		return made[n]
	}
}()

// page brings one whole page.
func (b *fakeBatch) page(n int) error {
	p, err := b.sink.PageStarted(fakePage)
	if err != nil {
		return err
	}
	if _, err := p.Write(testJPEG(n)); err != nil {
		p.Abort(err)
		return err
	}
	p.Progress(fakePage.Height)
	return p.Commit(fakePage.Height)
}

// pages brings n whole pages and the end of the batch.
func (b *fakeBatch) pages(n int) error {
	for i := range n {
		if err := b.page(i + 1); err != nil {
			return err
		}
	}
	return nil
}

// half begins a page and writes its first half.
func (b *fakeBatch) half(n int) (driver.PageSink, error) {
	p, err := b.sink.PageStarted(fakePage)
	if err != nil {
		return nil, err
	}
	_, err = p.Write(testJPEG(n)[:len(testJPEG(n))/2])
	return p, err
}

// hang waits for the cancellation, as a slow device that hears it does.
func (b *fakeBatch) hang() error {
	<-b.ctx.Done()
	return context.Canceled
}

func stop(r scan.Reason) error { return &driver.Stop{Reason: r, Detail: "told by the test"} }

func need(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
