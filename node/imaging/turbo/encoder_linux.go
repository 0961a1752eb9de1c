//go:build linux && (amd64 || arm64)

package turbo

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/platen-scan/platen/node/imaging"
)

const (
	bufferSize = 64 << 10
	// batchRows is how many rows go to the library in one call: enough for the cost of
	// the call to vanish, few enough for finished bytes to leave soon.
	batchRows = 32

	mcuRowsColor = 16 // rows of a 4:2:0 MCU
	mcuRowsGray  = 8
)

// encoder makes one JPEG file. The library sees the first four fields. It keeps pointers
// to them in themselves only, so they are pinned during calls and not between.
type encoder struct {
	c    compressStruct // first: callbacks get its address
	err  errorManager
	dest destination
	rows [batchRows]*byte

	lib    *library
	w      io.Writer
	img    imaging.Image
	count  imaging.Counter
	buf    []byte // where the library writes
	out    []byte // what left buf and is not written yet
	last   []byte // the last row, where the height is not known
	sof    int64  // offset of the height in the file
	broken error  // the first failure; the library is not entered again but to free
	live   bool   // the library holds memory
}

func newEncoder(lib *library, w io.Writer, img imaging.Image, quality int) (*encoder, error) {
	e := &encoder{lib: lib, w: w, img: img, count: imaging.NewCounter(img), buf: make([]byte, bufferSize)}
	if err := e.begin(quality); err != nil {
		return nil, errors.Join(fmt.Errorf("starting a JPEG file: %w", err), e.free())
	}
	return e, nil
}

// begin sets the library up to the first row.
func (e *encoder) begin(quality int) error {
	e.c.err = &e.err
	if _, err := e.enter(e.lib.stdError, uintptr(unsafe.Pointer(&e.err))); err != nil {
		return err
	}
	e.err.errorExit, e.err.emitMessage, e.err.outputMessage = e.lib.onError, e.lib.onTrace, e.lib.onText
	e.live = true
	if err := e.call(e.lib.createCompress, libVersion, unsafe.Sizeof(e.c)); err != nil {
		return err
	}
	e.dest.initDestination, e.dest.emptyOutputBuffer, e.dest.termDestination = e.lib.onIdle, e.lib.onFull, e.lib.onIdle
	e.rewind()
	c := &e.c
	c.dest = &e.dest
	c.imageWidth, c.imageHeight = uint32(e.img.Width), uint32(e.img.Height)
	if e.img.Height == 0 {
		c.imageHeight = imaging.MaxSide
		e.last = make([]byte, e.img.Stride())
	}
	c.inputComponents, c.inColorSpace = int32(e.img.Channels()), colorspaceGray
	if c.inputComponents == 3 {
		c.inColorSpace = colorspaceRGB
	}
	if err := e.call(e.lib.setDefaults); err != nil {
		return err
	}
	const baselineTables, wholeFile = 1, 1
	if err := e.call(e.lib.setQuality, uintptr(quality), baselineTables); err != nil {
		return err
	}
	c.restartInRows = 1
	if e.img.Resolution > 0 {
		c.densityUnit = densityDotsPerInch
		c.xDensity, c.yDensity = uint16(e.img.Resolution), uint16(e.img.Resolution)
	}
	return e.call(e.lib.start, wholeFile)
}

func (e *encoder) Rows() int { return e.count.Rows() }

func (e *encoder) WriteRows(p []byte) error {
	if e.broken != nil {
		return e.broken
	}
	if _, err := e.count.Add(p); err != nil {
		return err
	}
	for step := batchRows * e.img.Stride(); len(p) > 0; p = p[min(step, len(p)):] {
		if err := e.writeBatch(p[:min(step, len(p))]); err != nil {
			e.broken = err
			return err
		}
	}
	return nil
}

// writeBatch encodes up to batchRows rows and writes what came out of it.
func (e *encoder) writeBatch(p []byte) error {
	stride := e.img.Stride()
	n := len(p) / stride
	for i := range n {
		e.rows[i] = &p[i*stride]
	}
	done, err := e.enter(e.lib.writeScanlines, uintptr(unsafe.Pointer(&e.c)), uintptr(unsafe.Pointer(&e.rows[0])), uintptr(n))
	clear(e.rows[:n])
	if err != nil {
		return err
	}
	if int(done) != n {
		return fmt.Errorf("libjpeg took %d of %d rows", done, n)
	}
	if e.last != nil {
		copy(e.last, p[(n-1)*stride:])
	}
	return e.flush()
}

func (e *encoder) Close() error {
	if !e.live {
		return nil
	}
	return errors.Join(e.finish(), e.free())
}

func (e *encoder) finish() error {
	if e.broken != nil {
		return e.broken
	}
	if err := e.count.End(); err != nil {
		return err
	}
	if e.last != nil {
		if err := e.endEarly(); err != nil {
			return err
		}
	}
	if err := e.call(e.lib.finish); err != nil {
		return err
	}
	return e.flush()
}

// endEarly makes the library end at the rows that came. It expects its image height and
// would keep an incomplete row of MCUs to itself, so that row is filled up with copies of
// the last row, which decoders cut off by the height in the file.
func (e *encoder) endEarly() error {
	mcu := mcuRowsGray
	if e.img.Channels() == 3 {
		mcu = mcuRowsColor
	}
	whole := min((e.count.Rows()+mcu-1)/mcu*mcu, imaging.MaxSide)
	for range whole - e.count.Rows() {
		if err := e.writeBatch(e.last); err != nil {
			return err
		}
	}
	e.c.imageHeight = e.c.nextScanline
	return nil
}

func (e *encoder) Patch() (int64, []byte, bool) {
	if e.last == nil || e.live || e.sof == 0 {
		return 0, nil, false
	}
	return e.sof, binary.BigEndian.AppendUint16(nil, uint16(e.count.Rows())), true
}

// free gives back what the library holds.
func (e *encoder) free() error {
	if !e.live {
		return nil
	}
	e.live = false
	return e.call(e.lib.destroy)
}

// drain takes what the library wrote, leaving out the last unused bytes of the buffer.
func (e *encoder) drain(unused int) {
	e.out = append(e.out, e.buf[:len(e.buf)-unused]...)
	e.rewind()
}

func (e *encoder) rewind() {
	e.dest.next, e.dest.free = uintptr(unsafe.Pointer(&e.buf[0])), uintptr(len(e.buf))
}

// flush writes all that the library has finished.
func (e *encoder) flush() error {
	e.drain(int(e.dest.free))
	if e.sof == 0 && e.last != nil {
		e.sof = heightOffset(e.out)
	}
	_, err := e.w.Write(e.out)
	e.out = e.out[:0]
	return err
}

// heightOffset finds the height in the header of a baseline JPEG file; 0 if it is not there.
func heightOffset(b []byte) int64 {
	const sof0, sos = 0xc0, 0xda
	for p := 2; p+4 <= len(b) && b[p] == 0xff && b[p+1] != sos; p += 2 + int(binary.BigEndian.Uint16(b[p+2:])) {
		if b[p+1] == sof0 {
			return int64(p + 5)
		}
	}
	return 0
}

// call calls a function of the library on this encoder.
func (e *encoder) call(fn uintptr, args ...uintptr) error {
	_, err := e.enter(fn, append([]uintptr{uintptr(unsafe.Pointer(&e.c))}, args...)...)
	return err
}

// enter calls a function of the library; an error that the library raises becomes Go's.
func (e *encoder) enter(fn uintptr, args ...uintptr) (result uintptr, err error) {
	var pins runtime.Pinner
	defer pins.Unpin()
	pins.Pin(e)
	pins.Pin(&e.buf[0])
	for _, row := range e.rows {
		if row != nil {
			pins.Pin(row)
		}
	}
	defer func() {
		switch r := recover().(type) {
		case nil:
		case failure:
			err = errors.New("libjpeg: " + e.message())
		default:
			panic(r)
		}
	}()
	result, _, _ = purego.SyscallN(fn, args...)
	return result, nil
}

// message asks the library for the words of its last error.
func (e *encoder) message() string {
	text := make([]byte, messageMax)
	purego.SyscallN(e.err.formatMessage, uintptr(unsafe.Pointer(&e.c)), uintptr(unsafe.Pointer(&text[0])))
	text, _, _ = bytes.Cut(text, []byte{0})
	return string(text)
}
