package setup

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/audit"
	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// carryOut makes a planned change; changing is held. After an error all is as before.
func (s *Setup) carryOut(ctx context.Context, p *plan) (change, error) {
	if p.trial {
		until := time.Now().Add(trialTime)
		p.change.State, p.change.Until = api.SetupChangeStateOnTrial, scan.At(until)
		// First of all: a crash from here on must put it back.
		if err := s.setTrial(&trial{ID: p.change.Id, Until: until, Back: p.back, Held: p.held}); err != nil {
			return change{}, err
		}
	}
	err := s.install(ctx, p)
	if err == nil {
		return p.change, nil
	}
	if p.trial {
		err = errors.Join(err, s.setTrial(nil))
	}
	return change{}, err
}

func (s *Setup) install(ctx context.Context, p *plan) error {
	if err := p.after.Write(); err != nil {
		return problem.New(problem.SettingFixed, "%s.", err)
	}
	var err error
	if p.hot {
		err = refusal(s.apply(ctx, p.after.Config))
	}
	if err == nil {
		err = s.record(p.change)
	}
	if err == nil {
		return nil
	}
	if back := s.putBack(ctx, p.back); back != nil {
		s.Log.Error("putting back a change that failed did not work", "error", back)
	}
	return err
}

// refusal is the error of Apply for people.
func refusal(err error) error {
	var known *problem.Error
	if err == nil || errors.As(err, &known) {
		return err
	}
	return problem.New(problem.SettingInvalid, "%s.", err)
}

// putBack gives keys the values that the file had for them before, and applies that.
// Other changes of the file in the meantime stay.
func (s *Setup) putBack(ctx context.Context, back map[string]string) error {
	file, err := config.Read(s.Path, s.Env)
	if err != nil {
		return err
	}
	if file, err = file.With(back); err != nil {
		return err
	}
	if err := file.Write(); err != nil {
		return err
	}
	if s.Apply == nil { // the service does not run yet
		return nil
	}
	return s.apply(ctx, file.Config)
}

// expire puts the change on trial back once its time is up.
func (s *Setup) expire(ctx context.Context) {
	s.changing.Lock()
	defer s.changing.Unlock()
	s.mu.Lock()
	t := s.trial
	s.mu.Unlock()
	if t == nil || time.Now().Before(t.Until) {
		return
	}
	if err := s.revert(ctx, t, "nobody kept it"); err != nil {
		s.Log.Error("putting a change of settings back failed", "change", t.ID, "error", err)
	}
}

// revert ends a trial by putting everything back; changing is held.
func (s *Setup) revert(ctx context.Context, t *trial, why string) error {
	err := s.putBack(ctx, t.Back)
	c, recordErr := s.setState(t.ID, api.SetupChangeStateReverted)
	err = errors.Join(err, recordErr, s.setTrial(nil))
	e := audit.Entry{Action: "setup.revert", Result: audit.OK, Target: t.ID, Detail: why + ": " + describe(c.Changes)}
	if err != nil {
		e.Result = audit.Failed
	}
	if s.Audit != nil {
		err = errors.Join(err, s.Audit.Append(ctx, e))
	}
	s.Log.Warn("a change of settings was put back", "change", t.ID, "because", why)
	return err
}

// Recover puts back a change that was on trial when the process ended. The command calls
// it before it loads the configuration, with Path, Env, Dir and, if it has them, Audit
// and Log.
func Recover(ctx context.Context, c Config) error {
	c.Apply = nil
	s := &Setup{Config: c, wake: make(chan struct{}, 1)}
	if s.Log == nil {
		s.Log = slog.New(slog.DiscardHandler)
	}
	t, err := s.readTrial()
	if err != nil || t == nil {
		return err
	}
	if s.history, err = s.readHistory(); err != nil {
		return err
	}
	if err := s.putBack(ctx, nil); err != nil { // is the file one that can be changed?
		return err
	}
	return s.revert(ctx, t, "the service ended while it was on trial")
}

// keep ends a trial by keeping the change; changing is held.
func (s *Setup) keep(ctx context.Context, id string, from arrival) (change, error) {
	c, ok := s.find(id)
	s.mu.Lock()
	t := s.trial
	s.mu.Unlock()
	switch {
	case ok && c.State == api.SetupChangeStateKept:
		return c, nil
	case !ok || t == nil || t.ID != id:
		return c, problem.ChangeUnknown.Error()
	}
	file, err := config.Read(s.Path, s.Env)
	if err != nil {
		return c, settingProblem(err)
	}
	if !s.reaches(file.Config, from) {
		return c, problem.New(problem.ChangeOnTrial, "Keep it from the new address: %s.", strings.Join(c.Addresses, " or "))
	}
	if len(t.Held) > 0 {
		if file, err = file.With(t.Held); err != nil {
			return c, settingProblem(err)
		}
		if err := file.Write(); err != nil {
			return c, problem.New(problem.SettingFixed, "%s.", err)
		}
		if err := refusal(s.apply(ctx, file.Config)); err != nil {
			return c, err
		}
	}
	if err := s.setTrial(nil); err != nil {
		return c, err
	}
	if c.Undoes != "" {
		if _, err := s.setState(c.Undoes, api.SetupChangeStateUndone); err != nil {
			return c, err
		}
	}
	return s.setState(id, api.SetupChangeStateKept)
}

// undo makes the change that puts an earlier one back; changing is held.
func (s *Setup) undo(ctx context.Context, id string, from arrival) (change, error) {
	old, ok := s.find(id)
	if !ok || old.State != api.SetupChangeStateKept {
		return old, problem.ChangeUnknown.Error()
	}
	if err := s.busy(); err != nil {
		return old, err
	}
	if len(old.Back) == 0 {
		return old, problem.New(problem.SettingFixed, "What it replaced was a secret, which is not kept.")
	}
	p, err := s.plan(old.Back, from)
	if err != nil {
		return old, err
	}
	p.change.Undoes = id
	if len(old.Back) < len(old.Changes) {
		p.change.Effects = append(p.change.Effects, says(api.SetupEffectCodeSecretsStay))
	}
	made, err := s.carryOut(ctx, p)
	if err == nil && !p.trial {
		_, err = s.setState(id, api.SetupChangeStateUndone)
	}
	return made, err
}

// busy is an error while a change is on trial.
func (s *Setup) busy() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.trial == nil {
		return nil
	}
	return problem.ChangeOnTrial.Error().After(max(time.Second, time.Until(s.trial.Until)))
}

// describe is a change for the audit log, which keeps values of settings but no secrets.
func describe(edits []api.SetupEdit) string {
	var parts []string
	for _, e := range edits {
		parts = append(parts, e.Key+": "+e.Before+" → "+e.After)
	}
	return strings.Join(parts, "; ")
}
