package scan

// Reason says why a job or a scanner is in its state (job-state-reasons and
// scanner-state-reasons of the PWG, plus what a gateway must tell).
type Reason string

// Reasons that stop a job until a person acts. A job in JobStopped has exactly one of these.
const (
	ReasonFeederEmpty   Reason = "feeder-empty"   // no sheet where one is needed
	ReasonJam           Reason = "jam"            // a sheet is stuck
	ReasonCoverOpen     Reason = "cover-open"     //
	ReasonNextSheet     Reason = "next-sheet"     // waiting for the next sheet on the glass
	ReasonDiskLow       Reason = "disk-low"       // the node has no room for another page
	ReasonStorageFailed Reason = "storage-failed" // a page could not be written durably
	ReasonOffline       Reason = "offline"        // the device does not answer
	ReasonInterrupted   Reason = "interrupted"    // the node was restarted in mid-job
	ReasonBusyOther     Reason = "busy-elsewhere" // another program holds the device
)

// Reasons that accompany other states.
const (
	ReasonWarmingUp      Reason = "warming-up"
	ReasonCanceledByUser Reason = "canceled-by-user"
	ReasonFinishedByUser Reason = "finished-by-user" // finish was asked before the last page
	ReasonDeviceError    Reason = "device-error"     // the device reported an I/O error
	ReasonDriverFailed   Reason = "driver-failed"    // the driver's process ended or hung
	ReasonShortPage      Reason = "short-page"       // fewer rows than the device announced
	ReasonTimedOut       Reason = "timed-out"        // nobody acted in time
	ReasonAccessDenied   Reason = "access-denied"    // the system refuses the device to the node
	ReasonUnsupported    Reason = "unsupported"      // the device refused the settings after all
	ReasonPagesLost      Reason = "pages-lost"       // stored pages are damaged or gone
	ReasonHeldForOwner   Reason = "held-for-owner"   // until the owner stands at the scanner
	ReasonLicense        Reason = "license"          // the pages of the licence are used up
)

// Partial is the reason of a completed job that has fewer pages than were meant.
func Partial(why Reason) Reason { return "partial-" + why }
