package sane

import (
	"github.com/platen-scan/platen/node/driver"
	"github.com/platen-scan/platen/proto/scan"
)

// reasons say what a status means in the middle of a scan.
var reasons = map[status]scan.Reason{
	statusUnsupported:  scan.ReasonUnsupported,
	statusCancelled:    scan.ReasonCanceledByUser, // nobody here did: somebody at the device
	statusDeviceBusy:   scan.ReasonBusyOther,
	statusInvalid:      scan.ReasonUnsupported,
	statusEOF:          scan.ReasonShortPage,
	statusJammed:       scan.ReasonJam,
	statusNoDocs:       scan.ReasonFeederEmpty,
	statusCoverOpen:    scan.ReasonCoverOpen,
	statusIOError:      scan.ReasonDeviceError,
	statusNoMemory:     scan.ReasonDeviceError,
	statusAccessDenied: scan.ReasonAccessDenied,
	statusWarmingUp:    scan.ReasonWarmingUp,
	statusHWLocked:     scan.ReasonDeviceError,
}

// stopFor makes the error of a call that answered st.
func stopFor(st status, doing string) *driver.Stop {
	reason, ok := reasons[st]
	if !ok {
		reason = scan.ReasonDeviceError
	}
	return &driver.Stop{Reason: reason, Detail: doing + ": " + st.String()}
}

// openStop is stopFor opening: a device that is not there, or does not answer, is offline.
func openStop(st status) *driver.Stop {
	stop := stopFor(st, "opening the device")
	switch st {
	case statusInvalid, statusIOError, statusEOF, statusUnsupported:
		stop.Reason = scan.ReasonOffline
	}
	return stop
}
