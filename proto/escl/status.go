package escl

import "time"

// XML is the document ScannerStatus.
func (s *Status) XML() []byte {
	return document("scan:ScannerStatus", func(w *writer) {
		w.text("pwg:Version", Version)
		w.text("pwg:State", string(s.State))
		w.maybe("scan:AdfState", string(s.Feeder))
		if len(s.Jobs) > 0 {
			w.in("scan:Jobs", "", func() {
				for _, j := range s.Jobs {
					w.in("scan:JobInfo", "", func() { j.write(w) })
				}
			})
		}
	})
}

func (j *JobInfo) write(w *writer) {
	w.text("pwg:JobUri", j.URI)
	w.maybe("pwg:JobUuid", j.UUID)
	w.number("scan:Age", int(j.Age/time.Second))
	w.number("pwg:ImagesCompleted", j.Completed)
	w.number("pwg:ImagesToTransfer", j.ToTransfer)
	w.number("scan:TransferRetryCount", j.Retries)
	w.text("pwg:JobState", string(j.State))
	if len(j.Reasons) > 0 {
		list(w, "pwg:JobStateReasons", "pwg:JobStateReason", j.Reasons)
	}
}

// misnamed are states of feeders as some devices call them.
var misnamed = map[FeederState]FeederState{
	"ScannedAdfLoaded":   FeederLoaded, // NAPS2
	"ScannerAdfDoorOpen": FeederOpen,
}

// ParseStatus reads the document ScannerStatus.
func ParseStatus(b []byte) (*Status, error) {
	r, root, err := read(b, MaxDocument, "ScannerStatus")
	if err != nil {
		return nil, err
	}
	s := &Status{
		State:  State(root.child("State").word()),
		Feeder: FeederState(root.child("AdfState").word()),
	}
	if known, ok := misnamed[s.Feeder]; ok {
		s.Feeder = known
	}
	for _, e := range root.child("Jobs").all("JobInfo") {
		s.Jobs = append(s.Jobs, JobInfo{
			URI:        e.child("JobUri").word(),
			UUID:       bareUUID(e.child("JobUuid").word()),
			Age:        time.Duration(r.size(e, "Age")) * time.Second,
			Completed:  r.size(e, "ImagesCompleted"),
			ToTransfer: r.size(e, "ImagesToTransfer"),
			Retries:    r.size(e, "TransferRetryCount"),
			State:      JobState(e.child("JobState").word()),
			Reasons:    e.child("JobStateReasons").words("JobStateReason"),
		})
	}
	if r.err != nil {
		return nil, r.err
	}
	return s, nil
}
