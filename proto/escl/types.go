package escl

import "time"

// Version is the version of the protocol that Platen speaks.
const Version = "2.63"

// PerInch is the unit of all lengths: 1/300 inch, whatever the resolution.
const PerInch = 300

// Capabilities say what a scanner can do (ScannerCapabilities).
type Capabilities struct {
	Version      string
	MakeAndModel string
	Manufacturer string
	SerialNumber string
	UUID         string // bare, as in the TXT record
	AdminURI     string // a page for people
	IconURI      string // a PNG
	Platen       *InputCaps
	Simplex      *InputCaps // of the feeder
	Duplex       *InputCaps // of the feeder
	Feeder       FeederCaps
	Adjustments  map[Adjustment]Range
	Naps2        string // extensions that NAPS2 knows, as "Progress;ErrorDetails"; "": none
	JobSource    bool   // Settings.Job is of use
}

// FeederCaps describe a document feeder beside its sides.
type FeederCaps struct {
	Capacity    int  // sheets; 0: unknown
	DetectsLoad bool // AdfState is true, not a guess
	// Where sheets lie that are smaller than the feeder: Left, Center or Right, and Top,
	// Center or Bottom; "": unknown.
	AlignX, AlignY string
}

// InputCaps are what one source can do (PlatenInputCaps and its like). Lengths are in
// 1/PerInch inch.
type InputCaps struct {
	MinWidth, MaxWidth   int
	MinHeight, MaxHeight int
	MaxResolution        int // optical
	Modes                []ColorMode
	Formats              []string // MIME types
	Resolutions          []int    // dots per inch, ascending; the same in both directions
	Intents              []Intent
}

// ColorMode is how a pixel is made.
type ColorMode string

// The colour modes.
const (
	BlackAndWhite1 ColorMode = "BlackAndWhite1"
	Grayscale8     ColorMode = "Grayscale8"
	Grayscale16    ColorMode = "Grayscale16"
	RGB24          ColorMode = "RGB24"
	RGB48          ColorMode = "RGB48"
)

// Intent is what a scan is for; it stands for settings that are not said.
type Intent string

// The intents.
const (
	Document       Intent = "Document"
	TextAndGraphic Intent = "TextAndGraphic"
	Photo          Intent = "Photo"
	Preview        Intent = "Preview"
)

// InputSource is where paper lies.
type InputSource string

// The sources.
const (
	FromPlaten InputSource = "Platen"
	FromFeeder InputSource = "Feeder"
)

// The document formats that Platen makes.
const (
	PDF  = "application/pdf"
	JPEG = "image/jpeg"
	PNG  = "image/png"
	TIFF = "image/tiff"
)

// Adjustment is a setting with a range, as an element of Settings calls it; Capabilities
// add "Support".
type Adjustment string

// The adjustments.
const (
	Brightness        Adjustment = "Brightness"
	Contrast          Adjustment = "Contrast"
	Gamma             Adjustment = "Gamma"
	Highlight         Adjustment = "Highlight"
	NoiseRemoval      Adjustment = "NoiseRemoval"
	Shadow            Adjustment = "Shadow"
	Sharpen           Adjustment = "Sharpen"
	Threshold         Adjustment = "Threshold"
	CompressionFactor Adjustment = "CompressionFactor" // less is better quality
)

// Range bounds an adjustment.
type Range struct{ Min, Max, Normal, Step int }

// Settings are what a client asks for (ScanSettings). Everything may be absent: zero
// values and nil. A client that says no Version speaks 2.0.
type Settings struct {
	Version     string
	Intent      Intent
	Region      *Region
	Source      InputSource
	Duplex      bool
	Mode        ColorMode
	Format      string // DocumentFormatExt, else DocumentFormat
	Resolution  int    // XResolution, else YResolution
	ResolutionY int    // 0: as Resolution, and no scanner can do other
	Adjustments map[Adjustment]int
	Concat      bool // ConcatIfPossible: all pages in one file
	Job         JobSource
}

// Region is a part of the source, in 1/PerInch inch.
type Region struct {
	X, Y          int
	Width, Height *int // nil: to the edge
	MustHonor     bool
}

// JobSource says who asks, by his own word (JobSourceInfo).
type JobSource struct{ User, Domain, Machine, File, Application string }

// State is that of a scanner.
type State string

// The states of a scanner.
const (
	Idle       State = "Idle"
	Processing State = "Processing"
	Stopped    State = "Stopped"
	Down       State = "Down"
)

// FeederState is that of a feeder (AdfState).
type FeederState string

// The states of a feeder; "" where there is none.
const (
	FeederLoaded     FeederState = "ScannerAdfLoaded"
	FeederEmpty      FeederState = "ScannerAdfEmpty"
	FeederProcessing FeederState = "ScannerAdfProcessing"
	FeederJam        FeederState = "ScannerAdfJam"
	FeederOpen       FeederState = "ScannerAdfHatchOpen"
	FeederMultipick  FeederState = "ScannerAdfMultipickDetected"
)

// JobState is that of a job.
type JobState string

// The states of a job.
const (
	JobPending    JobState = "Pending"
	JobHeld       JobState = "PendingHeld"
	JobProcessing JobState = "Processing"
	JobCompleted  JobState = "Completed"
	JobCanceled   JobState = "Canceled"
	JobAborted    JobState = "Aborted"
)

// Status is a scanner's state at one moment (ScannerStatus).
type Status struct {
	State  State
	Feeder FeederState
	Jobs   []JobInfo // newest first
}

// JobInfo is a job in a Status.
type JobInfo struct {
	URI        string
	UUID       string
	Age        time.Duration // since the last change
	Completed  int           // images
	ToTransfer int           // images that can be fetched now
	Retries    int           // transfers that were repeated
	State      JobState
	Reasons    []string // as "JobScanning"
}

// ImageInfo says what an image has become (ScanImageInfo).
type ImageInfo struct {
	JobURI, JobUUID string
	Width, Height   int // pixels
	BytesPerLine    int // of the raw image
}

// BufferInfo is an estimate of what settings will give (ScanBufferInfo).
type BufferInfo struct {
	Settings      Settings // complete
	Width, Height int      // pixels
	BytesPerLine  int
}

// ErrorDetails is what went wrong, for people (an extension of NAPS2).
type ErrorDetails struct {
	Name    string // as DeviceError, which "" stands for
	Message string
}

// The errors that NAPS2 knows. It shows Message with them.
const (
	DeviceError       = "DeviceException"
	DeviceBusy        = "DeviceBusyException"
	DeviceOffline     = "DeviceOfflineException"
	DeviceFeederEmpty = "DeviceFeederEmptyException"
	DevicePaperJam    = "DevicePaperJamException"
	DeviceCoverOpen   = "DeviceCoverOpenException"
)
