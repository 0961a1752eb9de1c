package escl

import (
	"reflect"
	"testing"
	"time"
)

func busy() *Status {
	return &Status{State: Processing, Feeder: FeederLoaded, Jobs: []JobInfo{
		{URI: "/eSCL/ScanJobs/b", UUID: "b", Age: 3 * time.Second, Completed: 2, ToTransfer: 1, Retries: 4, State: JobProcessing, Reasons: []string{"JobScanning", "JobTransferring"}},
		{URI: "/eSCL/ScanJobs/a", State: JobCanceled},
	}}
}

func TestStatusXML(t *testing.T) {
	want := declaration + `<scan:ScannerStatus` + xmlns + `><pwg:Version>` + Version + `</pwg:Version><pwg:State>Processing</pwg:State><scan:AdfState>ScannerAdfLoaded</scan:AdfState>` +
		`<scan:Jobs><scan:JobInfo><pwg:JobUri>/eSCL/ScanJobs/b</pwg:JobUri><pwg:JobUuid>b</pwg:JobUuid><scan:Age>3</scan:Age>` +
		`<pwg:ImagesCompleted>2</pwg:ImagesCompleted><pwg:ImagesToTransfer>1</pwg:ImagesToTransfer><scan:TransferRetryCount>4</scan:TransferRetryCount><pwg:JobState>Processing</pwg:JobState>` +
		`<pwg:JobStateReasons><pwg:JobStateReason>JobScanning</pwg:JobStateReason><pwg:JobStateReason>JobTransferring</pwg:JobStateReason></pwg:JobStateReasons></scan:JobInfo>` +
		`<scan:JobInfo><pwg:JobUri>/eSCL/ScanJobs/a</pwg:JobUri><scan:Age>0</scan:Age>` +
		`<pwg:ImagesCompleted>0</pwg:ImagesCompleted><pwg:ImagesToTransfer>0</pwg:ImagesToTransfer><scan:TransferRetryCount>0</scan:TransferRetryCount><pwg:JobState>Canceled</pwg:JobState></scan:JobInfo></scan:Jobs></scan:ScannerStatus>`
	got := busy().XML()
	if string(got) != want {
		t.Errorf("XML() = %s\nwant    %s", got, want)
	}
	back, err := ParseStatus(got)
	if err != nil || !reflect.DeepEqual(back, busy()) {
		t.Errorf("ParseStatus(XML()) = %+v, %v, want what was written", back, err)
	}
	want = declaration + `<scan:ScannerStatus` + xmlns + `><pwg:Version>` + Version + `</pwg:Version><pwg:State>Idle</pwg:State></scan:ScannerStatus>`
	if got := (&Status{State: Idle}).XML(); string(got) != want {
		t.Errorf("XML() = %s\nwant    %s", got, want)
	}
}

var statusTests = []struct {
	name, xml string
	want      *Status
	fault     string
}{
	{"nothing", `<ScannerStatus/>`, &Status{}, ""},
	{"idle", `<scan:ScannerStatus` + xmlns + `><pwg:State>Idle</pwg:State></scan:ScannerStatus>`, &Status{State: Idle}, ""},
	{"feeder mistyped", `<ScannerStatus><AdfState>ScannedAdfLoaded</AdfState></ScannerStatus>`, &Status{Feeder: FeederLoaded}, ""},
	{"door", `<ScannerStatus><AdfState>ScannerAdfDoorOpen</AdfState></ScannerStatus>`, &Status{Feeder: FeederOpen}, ""},
	{"state of its own", `<ScannerStatus><State>Testing</State><AdfState>ScannerAdfMispick</AdfState></ScannerStatus>`,
		&Status{State: "Testing", Feeder: "ScannerAdfMispick"}, ""},
	{"job", `<ScannerStatus><Jobs><JobInfo><JobUri>/eSCL/ScanJobs/1</JobUri><JobUuid>urn:uuid:1</JobUuid><Age>12</Age><JobState>Completed</JobState></JobInfo><JobInfo/></Jobs></ScannerStatus>`,
		&Status{Jobs: []JobInfo{{URI: "/eSCL/ScanJobs/1", UUID: "1", Age: 12 * time.Second, State: JobCompleted}}}, ""},
	{"no number", `<ScannerStatus><Jobs><JobInfo><Age>old</Age></JobInfo></Jobs></ScannerStatus>`, nil, `Age is "old"`},
	{"another document", `<html/>`, nil, "something else"},
}

func TestParseStatus(t *testing.T) {
	for _, tt := range statusTests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := ParseStatus([]byte(tt.xml))
			check(t, got, err, tt.want, tt.fault)
		})
	}
}

func TestImageInfo(t *testing.T) {
	info := &ImageInfo{JobURI: "/eSCL/ScanJobs/b", JobUUID: "b", Width: 2480, Height: 3508, BytesPerLine: 7440}
	want := declaration + `<scan:ScanImageInfo` + xmlns + `><pwg:JobUri>/eSCL/ScanJobs/b</pwg:JobUri><pwg:JobUuid>b</pwg:JobUuid>` +
		`<scan:ActualWidth>2480</scan:ActualWidth><scan:ActualHeight>3508</scan:ActualHeight><scan:ActualBytesPerLine>7440</scan:ActualBytesPerLine></scan:ScanImageInfo>`
	if got := info.XML(); string(got) != want {
		t.Errorf("XML() = %s\nwant    %s", got, want)
	}
}

func TestBufferInfo(t *testing.T) {
	info := &BufferInfo{Settings: *everything(), Width: 2480, Height: 3508, BytesPerLine: 7440}
	inner := string(everything().XML()[len(declaration+`<scan:ScanSettings`+xmlns):])
	want := declaration + `<scan:ScanBufferInfo` + xmlns + `><scan:ScanSettings` + inner +
		`<scan:ImageWidth>2480</scan:ImageWidth><scan:ImageHeight>3508</scan:ImageHeight><scan:BytesPerLine>7440</scan:BytesPerLine></scan:ScanBufferInfo>`
	if got := info.XML(); string(got) != want {
		t.Errorf("XML() = %s\nwant    %s", got, want)
	}
}

func TestErrorDetailsXML(t *testing.T) {
	const start = declaration + `<Error><Type>NAPS2.Scan.Exceptions.`
	want := start + `DevicePaperJamException</Type><Message>a &lt; b</Message><StackTrace></StackTrace></Error>`
	if got := (&ErrorDetails{Name: DevicePaperJam, Message: "a < b"}).XML(); string(got) != want {
		t.Errorf("XML() = %s\nwant    %s", got, want)
	}
	want = start + `DeviceException</Type><Message></Message><StackTrace></StackTrace></Error>`
	if got := (&ErrorDetails{}).XML(); string(got) != want {
		t.Errorf("XML() = %s\nwant    %s", got, want)
	}
}
