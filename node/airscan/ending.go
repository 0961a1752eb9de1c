package airscan

import (
	"net/http"
	"strings"

	"github.com/platen-scan/platen/proto/escl"
	"github.com/platen-scan/platen/proto/scan"
)

// ending is how a job ends for its client, once its pages are fetched.
type ending struct {
	state   escl.JobState
	reasons []string
	status  int                // what NextDocument answers
	feeder  escl.FeederState   // what was found of the feeder; "": nothing
	details *escl.ErrorDetails // nil: nothing went wrong
}

var (
	completed = &ending{state: escl.JobCompleted, reasons: []string{"JobCompletedSuccessfully"}, status: http.StatusNotFound}
	canceled  = &ending{state: escl.JobCanceled, reasons: []string{"JobCanceledByUser"}, status: http.StatusNotFound}
	// expired is a job whose client fetched nothing for too long.
	expired = &ending{state: escl.JobCanceled, reasons: []string{"AbortedBySystem"}, status: http.StatusGone}
	// gone is a job that others deleted.
	gone = &ending{state: escl.JobAborted, reasons: []string{"AbortedBySystem"}, status: http.StatusNotFound}
)

// endingOf is how a job ends that the node tells of, nil while it goes on. Nobody at an
// eSCL client can help a job that has stopped: but for a device that another program
// holds, which the node tries again, it ends there.
func endingOf(j scan.Job) *ending {
	why, partial := scan.Reason(""), false
	if len(j.Reasons) > 0 {
		var text string
		text, partial = strings.CutPrefix(string(j.Reasons[0]), string(scan.Partial("")))
		why = scan.Reason(text)
	}
	switch j.State {
	case scan.JobPending, scan.JobHeld, scan.JobProcessing:
		return nil
	case scan.JobStopped:
		switch why {
		case scan.ReasonBusyOther:
			return nil
		case scan.ReasonNextSheet:
			return completed
		}
		return failed(why, j.Pages)
	case scan.JobCanceled:
		return canceled
	case scan.JobAborted:
		return failed(why, j.Pages)
	case scan.JobCompleted:
		if partial {
			return failed(why, j.Pages)
		}
		return completed
	}
	return nil
}

// failed is a job that cannot go on. NAPS2 knows the names of its own errors.
func failed(why scan.Reason, pages int) *ending {
	aborted := func(status int, feeder escl.FeederState, reason, name, message string) *ending {
		return &ending{escl.JobAborted, []string{reason}, status, feeder, &escl.ErrorDetails{Name: name, Message: message}}
	}
	const notReady, bySystem = "ResourcesAreNotReady", "AbortedBySystem"
	switch why {
	case scan.ReasonFeederEmpty:
		if pages > 0 {
			return &ending{state: completed.state, reasons: completed.reasons, status: completed.status, feeder: escl.FeederEmpty}
		}
		return aborted(http.StatusNotFound, escl.FeederEmpty, notReady, escl.DeviceFeederEmpty, "The feeder is empty.")
	case scan.ReasonJam:
		return aborted(http.StatusConflict, escl.FeederJam, notReady, escl.DevicePaperJam, "Paper is stuck in the feeder.")
	case scan.ReasonCoverOpen:
		return aborted(http.StatusConflict, escl.FeederOpen, notReady, escl.DeviceCoverOpen, "A cover is open.")
	case scan.ReasonOffline:
		return aborted(http.StatusInternalServerError, "", notReady, escl.DeviceOffline, "The scanner does not answer. Check that it is switched on.")
	case scan.ReasonBusyOther:
		return aborted(http.StatusInternalServerError, "", notReady, escl.DeviceBusy, "Another program uses the scanner.")
	case scan.ReasonUnsupported:
		return aborted(http.StatusInternalServerError, "", "UnsupportedAttributesOrValues", escl.DeviceError, "The scanner refused these settings.")
	case scan.ReasonDiskLow, scan.ReasonStorageFailed:
		return aborted(http.StatusInternalServerError, "", bySystem, escl.DeviceError, "The computer with the scanner cannot store another page.")
	case scan.ReasonInterrupted:
		return aborted(http.StatusInternalServerError, "", bySystem, escl.DeviceError, "The computer with the scanner was restarted.")
	}
	return aborted(http.StatusInternalServerError, "", bySystem, escl.DeviceError, "The scanner or its driver failed.")
}
