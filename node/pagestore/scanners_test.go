package pagestore

import (
	"testing"

	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

func TestScannerSettings(t *testing.T) {
	cfg := testConfig(t, t.TempDir())
	s, _ := openTest(t, cfg, nil)
	first, err := s.Scanner(t.Context(), testScanner)
	if err != nil || first.Name != "" || first.Hold || len(first.Presence) != presenceLength {
		t.Fatalf("Scanner = %+v, %v, want no settings but a presence", first, err)
	}
	if again, err := s.Scanner(t.Context(), testScanner); err != nil || again != first {
		t.Errorf("Scanner again = %+v, %v, want %+v", again, err, first)
	}
	want := ScannerSettings{Name: "Front desk", Location: "Hall", Hold: true, Presence: first.Presence}
	if got, err := s.UpdateScanner(t.Context(), testScanner, func(c *ScannerSettings) {
		c.Name, c.Location, c.Hold = "Front desk", "Hall", true
	}); err != nil || got != want {
		t.Errorf("UpdateScanner = %+v, %v, want %+v", got, err, want)
	}
	for _, shared := range []Choice{ChoiceNo, ChoiceYes, ChoiceNone, ChoiceYes} {
		want.Shared = shared
		got, err := s.UpdateScanner(t.Context(), testScanner, func(c *ScannerSettings) { c.Shared = shared })
		read, readErr := s.Scanner(t.Context(), testScanner)
		if err != nil || readErr != nil || got != want || read != want {
			t.Errorf("UpdateScanner to share %q = %+v, %v, then Scanner = %+v, %v, want %+v", shared, got, err, read, readErr, want)
		}
	}
	other := scan.DerivedID(testNode, scan.KindScanner, "other")
	if got, err := s.UpdateScanner(t.Context(), other, func(c *ScannerSettings) { c.Hold = true }); err != nil ||
		!got.Hold || got.Presence == "" || got.Presence == first.Presence {
		t.Errorf("UpdateScanner of a new one = %+v, %v, want a presence of its own", got, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s, _ = openTest(t, cfg, nil)
	if got, err := s.Scanner(t.Context(), testScanner); err != nil || got != want {
		t.Errorf("Scanner after a restart = %+v, %v, want %+v", got, err, want)
	}
}

func TestChoice(t *testing.T) {
	for c, want := range map[Choice][2]bool{ChoiceNone: {false, true}, ChoiceNo: {false, false}, ChoiceYes: {true, true}} {
		if got := [2]bool{c.Or(false), c.Or(true)}; got != want {
			t.Errorf("Choice(%q).Or(false), .Or(true) = %v, want %v", c, got, want)
		}
	}
	if yes, no := ChoiceOf(true), ChoiceOf(false); yes != ChoiceYes || no != ChoiceNo {
		t.Errorf("ChoiceOf(true), ChoiceOf(false) = %q, %q", yes, no)
	}
}

// A release code lives with its job until a device works on it, and is in no Job.
func TestReleaseCode(t *testing.T) {
	s, _ := newStore(t)
	job, _, err := s.CreateJob(t.Context(), NewJob{
		Scanner: testScanner, Owner: owner, ReleaseCode: "012345",
		Begin: func(j *scan.Job) error {
			j.State, j.Reasons, j.Deadline = scan.JobHeld, []scan.Reason{scan.ReasonHeldForOwner}, scan.At(j.Created.Add(scan.OwnerTimer))
			return nil
		},
	})
	if err != nil || job.State != scan.JobHeld || job.ReleaseCode != "" {
		t.Errorf("CreateJob = %+v, %v, want it held and without the code", job, err)
	}
	stored, _, err := s.Job(t.Context(), job.ID)
	if err != nil || stored.State != scan.JobHeld || !stored.Deadline.Equal(job.Deadline.Time) || stored.ReleaseCode != "" {
		t.Errorf("Job = %+v, %v, want what CreateJob returned", stored, err)
	}
	for _, step := range []struct {
		state scan.JobState
		code  string
	}{{scan.JobHeld, "012345"}, {scan.JobPending, "012345"}, {scan.JobHeld, "012345"}, {scan.JobProcessing, ""}, {scan.JobPending, ""}} {
		setState(t, s, job.ID, step.state)
		if got, err := s.ReleaseCode(t.Context(), job.ID); err != nil || got != step.code {
			t.Errorf("ReleaseCode once the job is %s = %q, %v, want %q", step.state, got, err, step.code)
		}
	}
	_, err = s.ReleaseCode(t.Context(), scan.NewID(testNode, scan.KindJob))
	wantProblem(t, "ReleaseCode of no job", err, problem.NotFound)
	_, _, err = s.CreateJob(t.Context(), NewJob{Scanner: testScanner, Owner: owner, Begin: func(*scan.Job) error { return problem.JobWrongState.Error() }})
	wantProblem(t, "CreateJob of a job that cannot begin", err, problem.JobWrongState)
	if n := count(t, s, "SELECT count(*) FROM jobs"); n != 1 {
		t.Errorf("%d jobs, want 1", n)
	}
}
