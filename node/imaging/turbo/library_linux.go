//go:build linux && (amd64 || arm64)

package turbo

import (
	"errors"
	"fmt"
	"io"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"

	"github.com/platen-scan/platen/node/imaging"
)

// soname is the library with the ABI of libjpeg 6b, as Debian, Fedora and SUSE ship it.
const soname = "libjpeg.so.62"

// Codecs loads the library and answers codecs whose JPEG it makes. A process calls it
// once: what it loads stays for good.
func Codecs() (imaging.Codecs, error) {
	lib, err := load(soname)
	if err != nil {
		return imaging.Codecs{}, fmt.Errorf("loading libjpeg-turbo: %w", err)
	}
	return codecsOf(lib), nil
}

func codecsOf(lib *library) imaging.Codecs {
	return imaging.Codecs{
		Name: "libjpeg-turbo (" + soname + ")",
		NewJPEG: func(w io.Writer, img imaging.Image, quality int) (imaging.Encoder, error) {
			e, err := newEncoder(lib, w, img, quality)
			if err != nil {
				return nil, err
			}
			return e, nil
		},
	}
}

// library holds the addresses of the library's functions, and of ours that it calls.
type library struct {
	stdError       uintptr
	createCompress uintptr
	setDefaults    uintptr
	setQuality     uintptr
	start          uintptr
	writeScanlines uintptr
	finish         uintptr
	destroy        uintptr

	onError uintptr // error_exit
	onTrace uintptr // emit_message: warnings and traces are for nobody
	onText  uintptr // output_message: would print to descriptor 2
	onFull  uintptr // empty_output_buffer
	onIdle  uintptr // init_destination and term_destination
}

func load(name string) (*library, error) {
	// dlerror(3) tells each thread its own errors only.
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	handle, err := purego.Dlopen(name, purego.RTLD_NOW|purego.RTLD_LOCAL)
	if err != nil {
		return nil, err
	}
	lib := &library{}
	for _, f := range []struct {
		symbol string
		addr   *uintptr
	}{
		{"jpeg_std_error", &lib.stdError},
		{"jpeg_CreateCompress", &lib.createCompress},
		{"jpeg_set_defaults", &lib.setDefaults},
		{"jpeg_set_quality", &lib.setQuality},
		{"jpeg_start_compress", &lib.start},
		{"jpeg_write_scanlines", &lib.writeScanlines},
		{"jpeg_finish_compress", &lib.finish},
		{"jpeg_destroy_compress", &lib.destroy},
	} {
		if *f.addr, err = purego.Dlsym(handle, f.symbol); err != nil {
			return nil, errors.Join(err, purego.Dlclose(handle))
		}
	}
	lib.onError = purego.NewCallback(func(*compressStruct) { panic(failure{}) })
	lib.onTrace = purego.NewCallback(func(*compressStruct, int32) {})
	lib.onText = purego.NewCallback(func(*compressStruct) {})
	lib.onFull = purego.NewCallback(func(c *compressStruct) uintptr {
		(*encoder)(unsafe.Pointer(c)).drain(0)
		return 1
	})
	lib.onIdle = purego.NewCallback(func(*compressStruct) {})
	return lib, nil
}

// failure is the panic that carries an error past the library's frames to the call that
// entered it. error_exit must not return to the library, and Go cannot longjmp; a panic
// in a callback unwinds to the Go caller and drops the C frames between, which is the same.
type failure struct{}
