package sane

import "fmt"

// status is SANE_Status (standard, 4.2.7).
type status int32

const (
	statusGood         status = 0
	statusUnsupported  status = 1
	statusCancelled    status = 2
	statusDeviceBusy   status = 3
	statusInvalid      status = 4
	statusEOF          status = 5
	statusJammed       status = 6
	statusNoDocs       status = 7
	statusCoverOpen    status = 8
	statusIOError      status = 9
	statusNoMemory     status = 10
	statusAccessDenied status = 11
	statusWarmingUp    status = 12 // not in the standard
	statusHWLocked     status = 13 // not in the standard
)

var statusWords = [...]string{
	"success", "operation not supported", "operation was cancelled", "device busy", "invalid argument", "end of file reached",
	"document feeder jammed", "document feeder out of documents", "scanner cover is open", "error during device I/O",
	"out of memory", "access to resource has been denied", "lamp is warming up", "scanner is locked for transport",
}

func (s status) String() string {
	if s >= 0 && int(s) < len(statusWords) {
		return statusWords[s]
	}
	return fmt.Sprintf("status %d", int32(s))
}

// valueType is SANE_Value_Type.
type valueType int32

const (
	typeBool   valueType = 0
	typeInt    valueType = 1
	typeFixed  valueType = 2
	typeString valueType = 3
	typeButton valueType = 4
	typeGroup  valueType = 5
)

// unit is SANE_Unit.
type unit int32

const (
	unitPixel unit = 1
	unitMM    unit = 3
)

// unitWords are what scan.Option.Unit says.
var unitWords = [...]string{"", "px", "bit", "mm", "dpi", "%", "µs"}

func (u unit) String() string {
	if u >= 0 && int(u) < len(unitWords) {
		return unitWords[u]
	}
	return ""
}

// Capability bits of an option.
const (
	capSoftSelect = 1
	capSoftDetect = 4
	capInactive   = 32
	capAdvanced   = 64
)

// Information bits that setting an option answers with.
const (
	infoInexact       = 1
	infoReloadOptions = 2
)

// Constraint types.
const (
	constraintRange      = 1
	constraintWordList   = 2
	constraintStringList = 3
)

// Actions of sane_control_option.
const (
	actionGet = 0
	actionSet = 1
)

// frame is SANE_Frame.
type frame int32

const (
	frameGray  frame = 0
	frameRGB   frame = 1
	frameRed   frame = 2
	frameGreen frame = 3
	frameBlue  frame = 4
)

// parameters is SANE_Parameters, in C's layout.
type parameters struct {
	Format        frame
	LastFrame     int32
	BytesPerLine  int32
	PixelsPerLine int32
	Lines         int32 // -1: not known
	Depth         int32
}

// fixedOne is 1 as SANE_Fixed.
const fixedOne = 1 << 16
