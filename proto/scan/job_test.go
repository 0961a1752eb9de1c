package scan

import "testing"

func TestJobNext(t *testing.T) {
	for _, tt := range []struct {
		from  JobState
		event JobEvent
		pages int
		to    JobState // "" for impossible
	}{
		{JobPending, EventLease, 0, JobProcessing},
		{JobPending, EventCancel, 0, JobCanceled},
		{JobPending, EventFinish, 0, ""},
		{JobPending, EventHold, 0, JobHeld},
		{JobHeld, EventRelease, 0, JobPending},
		{JobHeld, EventResume, 0, ""},
		{JobHeld, EventFinish, 0, ""},
		{JobHeld, EventTimeout, 0, JobCanceled},
		{JobHeld, EventLease, 0, ""},
		{JobProcessing, EventStop, 2, JobStopped},
		{JobProcessing, EventDone, 2, JobCompleted},
		{JobProcessing, EventFail, 0, JobAborted},
		{JobProcessing, EventFail, 3, JobCompleted},
		{JobStopped, EventResume, 3, JobPending},
		{JobStopped, EventTimeout, 0, JobAborted},
		{JobStopped, EventTimeout, 6, JobCompleted},
		{JobStopped, EventCancel, 6, JobCanceled},
		{JobCompleted, EventCancel, 6, ""},
		{JobAborted, EventResume, 0, ""},
		{JobCanceled, EventFinish, 0, ""},
	} {
		got, ok := tt.from.Next(tt.event, tt.pages)
		if ok != (tt.to != "") || got.To != tt.to {
			t.Errorf("%s.Next(%s, %d) = %s, %t, want %q", tt.from, tt.event, tt.pages, got.To, ok, tt.to)
		}
	}
}

// Every waiting state ends by itself, every state can be left, no terminal state can.
func TestJobStatesEnd(t *testing.T) {
	for _, s := range JobStates {
		if s.Terminal() != (len(transitions[s]) == 0) {
			t.Errorf("%s: Terminal() = %t, but it has %d transitions", s, s.Terminal(), len(transitions[s]))
		}
		if s.Terminal() {
			continue
		}
		if _, ok := s.Next(EventCancel, 0); !ok {
			t.Errorf("%s cannot be canceled", s)
		}
		for event, tr := range transitions[s] {
			waits := tr.To == JobStopped || tr.To == JobHeld
			if waits != (tr.Timer > 0) {
				t.Errorf("%s on %s: goes to %s with timer %v", s, event, tr.To, tr.Timer)
			}
			if _, ok := tr.To.Next(EventTimeout, 0); waits && !ok {
				t.Errorf("%s waits for a person but has no end by timeout", tr.To)
			}
		}
	}
}
