package node

import (
	"cmp"
	"slices"
	"time"

	"github.com/platen-scan/platen/proto/scan"
)

// describe is the scanner as it is now, and the owner of the job that it names.
func (d *device) describe() (s scan.Scanner, holder string) {
	s = scan.Scanner{
		ID: d.id, Node: d.node.id, NodeName: d.node.Name(), Name: cmp.Or(d.settings.Name, d.info.Title, d.info.Model, d.info.Name),
		Make: d.info.Make, Model: d.info.Model, Location: cmp.Or(d.settings.Location, d.node.location), Driver: d.info.Driver, Hold: d.settings.Hold,
		Shared: d.settings.Shared.Or(!d.info.Network), Encryption: d.node.encryption(), // for the gateway; see permitted
		Status: scan.Status{State: scan.ScannerIdle, Feeder: d.feeder(), Waiting: len(d.queue), Since: scan.At(time.Now())},
	}
	if c := d.capabilities(); c != nil {
		for _, src := range c.Sources {
			s.Sources = append(s.Sources, src.Source)
		}
	}
	st := &s.Status
	if t := d.current; t != nil && !t.job.State.Terminal() {
		st.Job, holder = t.job.ID, t.owner
	}
	switch {
	case len(d.crashes) >= crashLimit:
		st.State, st.Reasons = scan.ScannerStopped, []scan.Reason{scan.ReasonDriverFailed}
	case len(d.retries) > 0:
		st.State, st.Reasons = scan.ScannerStopped, []scan.Reason{scan.ReasonStorageFailed}
	case d.current != nil && d.current.job.State == scan.JobStopped:
		d.describeStopped(st)
	case d.current != nil:
		st.State = scan.ScannerProcessing
	case !d.seen:
		st.State, st.Reasons = scan.ScannerOffline, []scan.Reason{scan.ReasonOffline}
	case d.told.State != "":
		st.State, st.Reasons = d.told.State, slices.Clone(d.told.Reasons)
	}
	return s, holder
}

// describeStopped shows a device whose job waits: what the device says once it was
// asked, so that a person sees the cover close, and the job's reason before.
func (d *device) describeStopped(st *scan.Status) {
	t := d.current
	why := t.job.Reasons
	switch {
	case slices.Contains(why, scan.ReasonNextSheet):
		st.State, st.Reasons = scan.ScannerProcessing, slices.Clone(why)
	case t.asked && d.told.State == scan.ScannerIdle:
		st.State = scan.ScannerProcessing
	case t.asked && len(d.told.Reasons) > 0:
		st.State, st.Reasons = d.told.State, slices.Clone(d.told.Reasons)
	case slices.Contains(why, scan.ReasonOffline):
		st.State, st.Reasons = scan.ScannerOffline, slices.Clone(why)
	default:
		st.State, st.Reasons = scan.ScannerStopped, slices.Clone(why)
	}
}

// feeder is what is known of the feeder: what the device said last, or whether it has one.
func (d *device) feeder() scan.FeederState {
	if c := d.capabilities(); c != nil && !slices.ContainsFunc(c.Sources, func(s scan.SourceCapabilities) bool { return s.Source.Feeder() }) {
		return scan.FeederNone
	}
	if d.told.Feeder == "" {
		return scan.FeederUnknown
	}
	return d.told.Feeder
}
