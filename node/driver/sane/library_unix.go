//go:build linux || darwin

package sane

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/platen-scan/platen/node/driver"
)

// Bounds of what is believed of a library's lists and texts.
const (
	maxText    = 4 << 10
	maxList    = 4 << 10
	maxOptions = 1 << 10
)

// library is libsane, loaded and initialised.
type library struct {
	initialise func(version *int32, auth uintptr) status
	getDevices func(list **[maxList]*cDevice, localOnly int32) status
	open       func(name string, handle *uintptr) status

	handleFunctions
}

// handleFunctions are those that work on an open device.
type handleFunctions struct {
	closeHandle   func(handle uintptr)
	descriptor    func(handle uintptr, n int32) *cOption
	controlOption func(handle uintptr, n, action int32, value *byte, info *int32) status
	getParameters func(handle uintptr, p *parameters) status
	startFrame    func(handle uintptr) status
	readFrame     func(handle uintptr, p *byte, limit int32, n *int32) status
	cancelHandle  func(handle uintptr)
}

// cDevice is SANE_Device.
type cDevice struct{ name, vendor, model, kind *byte }

// cOption is SANE_Option_Descriptor.
type cOption struct {
	name, title, desc *byte
	typ               valueType
	unit              unit
	size              int32
	caps              int32
	constraintType    int32
	constraint        unsafe.Pointer
}

// files are the names of the library, in the order to try them.
func files() []string {
	if runtime.GOOS == "darwin" {
		return []string{"libsane.1.dylib", "/opt/homebrew/lib/libsane.1.dylib", "/usr/local/lib/libsane.1.dylib"}
	}
	return []string{"libsane.so.1"}
}

func hint() string {
	if runtime.GOOS == "darwin" {
		return "libsane is not installed; install it with: brew install sane-backends"
	}
	return "libsane is not installed; install it with: sudo apt install libsane1 (Debian, Ubuntu), or the package sane-backends of your system"
}

// load finds and initialises libsane. A process does it once.
func load() (*library, error) { return loadOneOf(files()) }

func loadOneOf(files []string) (*library, error) {
	// dlerror(3) tells each thread its own errors only.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var handle uintptr
	var err error
	for _, file := range files {
		if handle, err = purego.Dlopen(file, purego.RTLD_NOW|purego.RTLD_GLOBAL); err == nil {
			break
		}
	}
	if err != nil {
		return nil, &driver.Missing{Driver: name, Hint: hint() + " (" + err.Error() + ")"}
	}
	l := &library{}
	for _, f := range []struct {
		name string
		fn   any
	}{
		{"sane_init", &l.initialise},
		{"sane_get_devices", &l.getDevices},
		{"sane_open", &l.open},
		{"sane_close", &l.closeHandle},
		{"sane_get_option_descriptor", &l.descriptor},
		{"sane_control_option", &l.controlOption},
		{"sane_get_parameters", &l.getParameters},
		{"sane_start", &l.startFrame},
		{"sane_read", &l.readFrame},
		{"sane_cancel", &l.cancelHandle},
	} {
		symbol, err := purego.Dlsym(handle, f.name)
		if err != nil {
			return nil, &driver.Missing{Driver: name, Hint: "the installed libsane is not usable: " + err.Error()}
		}
		purego.RegisterFunc(f.fn, symbol)
	}
	var version int32
	if st := l.initialise(&version, 0); st != statusGood {
		return nil, fmt.Errorf("initialising libsane: %v", st)
	}
	if major := version >> 24; major != 1 {
		return nil, &driver.Missing{Driver: name, Hint: fmt.Sprintf("the installed libsane has interface version %d, not 1", major)}
	}
	return l, nil
}

// list asks all back ends for their devices.
func (l *library) list() ([]found, error) {
	var list *[maxList]*cDevice
	if st := l.getDevices(&list, 0); st != statusGood {
		return nil, stopFor(st, "listing devices")
	}
	var devices []found
	for i := 0; list != nil && i < maxList && list[i] != nil; i++ {
		d := list[i]
		devices = append(devices, found{text(d.name), text(d.vendor), text(d.model), text(d.kind)})
	}
	return devices, nil
}

func (l *library) openDevice(device string) (backend, error) {
	h := &handle{handleFunctions: &l.handleFunctions}
	if st := l.open(device, &h.handle); st != statusGood {
		return nil, openStop(st)
	}
	return h, nil
}

// text copies a C string.
func text(p *byte) string {
	if p == nil {
		return ""
	}
	n := 0
	for n < maxText && *(*byte)(unsafe.Add(unsafe.Pointer(p), n)) != 0 {
		n++
	}
	return string(unsafe.Slice(p, n))
}
