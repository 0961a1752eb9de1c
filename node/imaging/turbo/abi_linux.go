//go:build linux && (amd64 || arm64)

package turbo

import "unsafe"

// The structures of jpeglib.h for JPEG_LIB_VERSION 62 on 64 bit Linux, where amd64 and
// arm64 lay them out alike. The library checks version and size itself, in
// jpeg_CreateCompress. Pointers to functions and to the library's own memory are
// uintptr; what Go allocated is a pointer where it always points into its object.

const (
	libVersion = 62

	colorspaceGray = 1 // JCS_GRAYSCALE
	colorspaceRGB  = 2 // JCS_RGB

	densityDotsPerInch = 1

	messageMax = 200 // JMSG_LENGTH_MAX
)

// compressStruct is jpeg_compress_struct.
type compressStruct struct {
	err            *errorManager
	mem            uintptr
	progress       uintptr
	clientData     uintptr
	isDecompressor int32
	globalState    int32

	dest            *destination
	imageWidth      uint32
	imageHeight     uint32
	inputComponents int32
	inColorSpace    int32
	_               [216]byte // input_gamma to dct_method

	restartInterval uint32
	restartInRows   int32
	writeJFIF       int32
	_               [2]byte // JFIF version
	densityUnit     uint8
	xDensity        uint16
	yDensity        uint16
	writeAdobe      int32
	nextScanline    uint32
	_               [212]byte // private to the library
}

// errorManager is jpeg_error_mgr.
type errorManager struct {
	errorExit     uintptr
	emitMessage   uintptr
	outputMessage uintptr
	formatMessage uintptr
	resetErrorMgr uintptr
	msgCode       int32
	_             [124]byte // msg_parm to last_addon_message
}

// destination is jpeg_destination_mgr.
type destination struct {
	next              uintptr // may point behind the buffer, which a Go pointer must not
	free              uintptr
	initDestination   uintptr
	emptyOutputBuffer uintptr
	termDestination   uintptr
}

// The sizes are part of the ABI: this does not compile where they differ.
var (
	_ [520]byte = [unsafe.Sizeof(compressStruct{})]byte{}
	_ [168]byte = [unsafe.Sizeof(errorManager{})]byte{}
	_ [40]byte  = [unsafe.Sizeof(destination{})]byte{}
)
