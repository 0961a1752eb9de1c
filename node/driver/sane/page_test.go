package sane

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"io"
	"math/rand/v2"
	"slices"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// readPage reads one page in pieces of the given size.
func readPage(t *testing.T, d *device, piece int) (driver.PageInfo, []byte) {
	t.Helper()
	info, err := d.NextPage(t.Context())
	if err != nil {
		t.Fatalf("NextPage() = %v", err)
	}
	var page []byte
	buf := make([]byte, piece)
	for {
		n, err := d.Read(buf)
		page = append(page, buf[:n]...)
		if err == io.EOF {
			return info, page
		}
		if err != nil {
			t.Fatalf("Read() = %v", err)
		}
	}
}

func random(n int) []byte {
	b := make([]byte, n)
	r := rand.New(rand.NewPCG(3, 4))
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// TestRows reads frames with and without padding, in pieces of all sizes.
func TestRows(t *testing.T) {
	const rows = 37
	for _, test := range []struct {
		name  string
		p     parameters
		used  int
		wide  bool // 16 bits
		piece int
	}{
		{"gray", parameters{Format: frameGray, BytesPerLine: 101, PixelsPerLine: 101, Depth: 8}, 101, false, 64},
		{"gray padded", parameters{Format: frameGray, BytesPerLine: 104, PixelsPerLine: 101, Depth: 8}, 101, false, 7},
		{"colour padded", parameters{Format: frameRGB, BytesPerLine: 400, PixelsPerLine: 101, Depth: 8}, 303, false, 1000},
		{"lineart padded", parameters{Format: frameGray, BytesPerLine: 16, PixelsPerLine: 101, Depth: 1}, 13, false, 5},
		{"deep gray", parameters{Format: frameGray, BytesPerLine: 202, PixelsPerLine: 101, Depth: 16}, 202, true, 9},
		{"deep colour, oddly padded", parameters{Format: frameRGB, BytesPerLine: 611, PixelsPerLine: 101, Depth: 16}, 606, true, 33},
	} {
		for _, chunk := range []int{0, 1, 2, 3, 100} {
			t.Run(test.name, func(t *testing.T) {
				data := random(int(test.p.BytesPerLine) * rows)
				test.p.Lines, test.p.LastFrame = rows, 1
				f := newFake(t)
				f.frames, f.data, f.chunk = []parameters{test.p}, [][]byte{data}, chunk
				d := &device{b: f, options: newOptions(f)}
				_, got := readPage(t, d, test.piece)
				var want []byte
				for row := range slices.Chunk(data, int(test.p.BytesPerLine)) {
					row = bytes.Clone(row[:test.used])
					if test.wide {
						for i := 0; i < len(row); i += 2 {
							binary.BigEndian.PutUint16(row[i:], binary.NativeEndian.Uint16(row[i:]))
						}
					}
					want = append(want, row...)
				}
				if !bytes.Equal(got, want) {
					t.Errorf("chunks of %d: %d bytes came, want %d, or they differ", chunk, len(got), len(want))
				}
			})
		}
	}
}

// TestEmptyReads reads from a back end that does not block, until it is canceled.
func TestEmptyReads(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := &lazy{fake: newFake(t), patience: 10}
		f.frames = []parameters{{Format: frameGray, LastFrame: 1, BytesPerLine: 10, PixelsPerLine: 10, Lines: 2, Depth: 8}}
		f.data = [][]byte{random(10)}
		f.chunk = 1
		d := &device{b: f, options: newOptions(f)}
		if _, err := d.NextPage(t.Context()); err != nil {
			t.Fatal(err)
		}
		buf := make([]byte, 10)
		for range 9 {
			if n, err := d.Read(buf); n == 0 || err != nil {
				t.Fatalf("Read() = %d, %v; want bytes", n, err)
			}
		}
		f.patience = 1 << 30
		time.AfterFunc(time.Minute, d.Cancel)
		start := time.Now()
		if n, err := d.Read(buf); n != 0 || !errors.Is(err, context.Canceled) || time.Since(start) > 61*time.Second {
			t.Errorf("Read() = %d, %v after %v; want it canceled after a minute", n, err, time.Since(start))
		}
	})
}

// lazy is a back end with many reads that bring nothing between those that do.
type lazy struct {
	*fake
	patience, empty int
}

func (l *lazy) read(p []byte) (int, status) {
	if l.empty++; l.empty < l.patience {
		return 0, statusGood
	}
	l.empty = 0
	return l.fake.read(p)
}

func TestThreshold(t *testing.T) {
	f := newFake(t)
	f.frames = []parameters{{Format: frameGray, LastFrame: 1, BytesPerLine: 10, PixelsPerLine: 10, Lines: 2, Depth: 8}}
	f.data = [][]byte{{0, 255, 127, 128, 10, 200, 200, 0, 0, 200, 255, 255, 255, 255, 255, 255, 255, 255, 255, 0}}
	f.chunk = 3
	d := &device{b: f, options: newOptions(f), threshold: true}
	info, got := readPage(t, d, 64)
	if info.Mode != scan.ModeLineart || info.Depth != 1 {
		t.Errorf("page is %s with %d bits", info.Mode, info.Depth)
	}
	if want := []byte{0b10101001, 0b10000000, 0, 0b01000000}; !bytes.Equal(got, want) {
		t.Errorf("bits = %08b, want %08b", got, want)
	}
}

// TestPasses puts planes together that come in any order and are kept on disk.
func TestPasses(t *testing.T) {
	const width, rows = 1000, 50
	for _, order := range [][3]frame{{frameRed, frameGreen, frameBlue}, {frameBlue, frameRed, frameGreen}} {
		f := newFake(t)
		planes := make(map[frame][]byte)
		for _, format := range order {
			planes[format] = random(width * rows)
			for i := range planes[format] {
				planes[format][i] ^= byte(format)
			}
			f.frames = append(f.frames, parameters{Format: format, BytesPerLine: width, PixelsPerLine: width, Lines: rows, Depth: 8})
			f.data = append(f.data, bytes.Clone(planes[format]))
		}
		d := &device{b: f, options: newOptions(f)}
		info, got := readPage(t, d, 4096)
		if info.Mode != scan.ModeColor || info.Width != width || info.Height != rows {
			t.Errorf("page = %+v", info)
		}
		var want []byte
		for i := range width * rows {
			want = append(want, planes[frameRed][i], planes[frameGreen][i], planes[frameBlue][i])
		}
		if !bytes.Equal(got, want) {
			t.Errorf("passes %v do not give the page", order)
		}
	}
}

func TestPassesThatDiffer(t *testing.T) {
	first := parameters{Format: frameRed, BytesPerLine: 10, PixelsPerLine: 10, Lines: 2, Depth: 8}
	narrow, again := first, first
	narrow.Format, narrow.BytesPerLine = frameGreen, 9
	for _, second := range []parameters{narrow, again} {
		f := newFake(t)
		f.frames = []parameters{first, second}
		f.data = [][]byte{random(20), random(20)}
		d := &device{b: f, options: newOptions(f)}
		if _, err := d.NextPage(t.Context()); err != nil {
			t.Fatal(err)
		}
		_, err := io.ReadAll(iotest.DataErrReader(readerFunc(d.Read)))
		var stop *driver.Stop
		if !errors.As(err, &stop) || stop.Reason != scan.ReasonUnsupported {
			t.Errorf("a second pass of %+v: %v, want unsupported", second, err)
		}
	}
}

type readerFunc func([]byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

func TestSpool(t *testing.T) {
	var s spool
	defer s.close()
	data := random(planeMemory + 3*readBytes)
	for piece := range slices.Chunk(data, 100_000) {
		if err := s.write(piece); err != nil {
			t.Fatal(err)
		}
	}
	if s.file == nil || len(s.memory) > planeMemory {
		t.Errorf("%d bytes are in memory, and the file is %v", len(s.memory), s.file)
	}
	for _, at := range []int{0, 5, len(s.memory) - 10, len(s.memory), len(data) - 100} {
		got := make([]byte, 100)
		if err := s.readAt(got, int64(at)); err != nil || !bytes.Equal(got, data[at:at+100]) {
			t.Errorf("readAt(%d) = %v, or other bytes", at, err)
		}
	}
	if err := s.readAt(make([]byte, 100), int64(len(data)-50)); err == nil {
		t.Error("readAt beyond the end succeeded")
	}
}

// TestBatch ends a batch, and stops at an empty feeder and in the middle of a sheet.
func TestBatch(t *testing.T) {
	page := parameters{Format: frameGray, LastFrame: 1, BytesPerLine: 10, PixelsPerLine: 10, Lines: 1, Depth: 8}
	f := newFake(t)
	f.frames = []parameters{page}
	f.data = [][]byte{random(10), random(10), random(10)}
	f.starts = []status{statusNoDocs, statusGood, statusJammed, statusGood, statusGood, statusNoDocs}
	d := &device{b: f, options: newOptions(f), settings: scan.Settings{Source: scan.SourceADFDuplex}}
	stop := func(want scan.Reason) {
		t.Helper()
		_, err := d.NextPage(t.Context())
		var s *driver.Stop
		if !errors.As(err, &s) || s.Reason != want {
			t.Fatalf("NextPage() = %v, want a stop for %s", err, want)
		}
	}
	side := func(want scan.Side) {
		t.Helper()
		if info, _ := readPage(t, d, 100); info.Side != want {
			t.Errorf("page shows the %q, want %q", info.Side, want)
		}
	}
	stop(scan.ReasonFeederEmpty)
	side(scan.SideFront)
	stop(scan.ReasonJam) // at the back of the sheet; what comes next is another sheet
	side(scan.SideFront)
	side(scan.SideBack)
	if _, err := d.NextPage(t.Context()); err != io.EOF {
		t.Errorf("NextPage() at the end = %v, want EOF", err)
	}
	before := f.cancels
	if err := d.End(); err != nil || f.cancels != before+1 {
		t.Errorf("End() = %v with %d cancels, want one", err, f.cancels-before)
	}
}

func TestBadParameters(t *testing.T) {
	for _, p := range []parameters{
		{Format: frameGray, BytesPerLine: 10, PixelsPerLine: 11, Lines: 5, Depth: 8},          // rows too short
		{Format: frameGray, BytesPerLine: 1 << 30, PixelsPerLine: 11, Lines: 5, Depth: 8},     // padding without end
		{Format: frameRGB, BytesPerLine: 1 << 30, PixelsPerLine: 1 << 28, Lines: 5, Depth: 8}, // wider than any scanner
		{Format: frameRGB, BytesPerLine: 180_000, PixelsPerLine: 60_000, Lines: 60_000, Depth: 8},
		{Format: frameGray, BytesPerLine: 10, PixelsPerLine: -1, Lines: 5, Depth: 8},
		{Format: frameGray, BytesPerLine: 10, PixelsPerLine: 10, Lines: 5, Depth: 12},
		{Format: 11, BytesPerLine: 10, PixelsPerLine: 10, Lines: 5, Depth: 8}, // JPEG
		{Format: -1, BytesPerLine: 10, PixelsPerLine: 10, Lines: 5, Depth: 8},
	} {
		f := newFake(t)
		f.frames = []parameters{p}
		d := &device{b: f, options: newOptions(f)}
		_, err := d.NextPage(t.Context())
		var stop *driver.Stop
		if !errors.As(err, &stop) || stop.Reason != scan.ReasonUnsupported {
			t.Errorf("NextPage() with %+v = %v, want unsupported", p, err)
		}
		if f.cancels == 0 {
			t.Errorf("parameters %+v: the page was not canceled", p)
		}
	}
}

// TestCancelStuckCall cancels while sane_read blocks: sane_cancel comes from elsewhere.
func TestCancelStuckCall(t *testing.T) {
	f := &stuck{fake: newFake(t), reading: make(chan struct{}), unblock: make(chan struct{})}
	f.frames = []parameters{{Format: frameGray, LastFrame: 1, BytesPerLine: 10, PixelsPerLine: 10, Lines: 1, Depth: 8}}
	d := &device{b: f, options: newOptions(f)}
	go func() {
		<-f.reading
		d.Cancel()
	}()
	if _, err := d.NextPage(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("NextPage() = %v, want context.Canceled", err)
	}
	if _, err := d.NextPage(t.Context()); !errors.Is(err, context.Canceled) {
		t.Errorf("NextPage() after Cancel = %v, want context.Canceled", err)
	}
}

// stuck is a back end whose read waits for sane_cancel.
type stuck struct {
	*fake
	reading, unblock chan struct{}
}

func (s *stuck) read([]byte) (int, status) {
	close(s.reading)
	<-s.unblock
	return 0, statusCancelled
}

func (s *stuck) cancel() {
	select {
	case <-s.unblock:
	default:
		close(s.unblock)
	}
}
