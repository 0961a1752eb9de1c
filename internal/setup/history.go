package setup

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// kept is how many changes can be looked at and undone.
const kept = 50

const (
	historyFile = "changes.json"
	trialFile   = "trial.json"
)

// change is one that was made, as it is stored.
type change struct {
	api.SetupChange
	Back   map[string]string `json:"back"`             // what the file had, by key; "": nothing. No secrets
	Undoes string            `json:"undoes,omitempty"` // ID of the change that this one puts back
}

// trial is a change that goes back by itself. The file exists as long as it is on trial.
type trial struct {
	ID    string            `json:"id"`
	Until time.Time         `json:"until"`
	Back  map[string]string `json:"back"` // secrets too: nothing else could put them back
	Held  map[string]string `json:"held"` // values that are written once it is kept
}

func (s *Setup) readHistory() ([]change, error) {
	var list []change
	if err := readFile(filepath.Join(s.Dir, historyFile), &list); err != nil {
		return nil, err
	}
	return list, nil
}

// record puts a change first, or in the place that it has, and makes it durable.
func (s *Setup) record(c change) error {
	s.mu.Lock()
	found := false
	for i := range s.history {
		if s.history[i].Id == c.Id {
			s.history[i], found = c, true
		}
	}
	if !found {
		s.history = append([]change{c}, s.history[:min(len(s.history), kept-1)]...)
	}
	list := s.history
	s.mu.Unlock()
	return s.writeFile(historyFile, list)
}

// setState moves a change to a state; one that is not known is passed over.
func (s *Setup) setState(id string, state api.SetupChangeState) (change, error) {
	c, ok := s.find(id)
	if !ok {
		return c, nil
	}
	c.State, c.Until = state, scan.Time{}
	return c, s.record(c)
}

func (s *Setup) find(id string) (change, bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.history {
		if c.Id == id {
			return c, true
		}
	}
	return change{}, false
}

func (s *Setup) readTrial() (*trial, error) {
	var t trial
	if err := readFile(filepath.Join(s.Dir, trialFile), &t); err != nil || t.ID == "" {
		return nil, err
	}
	return &t, nil
}

// setTrial begins a trial, or with nil ends the one that is there.
func (s *Setup) setTrial(t *trial) error {
	var err error
	if t != nil {
		err = s.writeFile(trialFile, t)
	} else if err = os.Remove(filepath.Join(s.Dir, trialFile)); errors.Is(err, fs.ErrNotExist) {
		err = nil
	}
	if err != nil {
		return fmt.Errorf("keeping a change on trial: %w", err)
	}
	s.mu.Lock()
	s.trial = t
	s.mu.Unlock()
	s.nudge()
	return nil
}

// readFile leaves v as it is where there is no file.
func readFile(path string, v any) error {
	text, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err == nil {
		err = json.Unmarshal(text, v)
	}
	if err != nil {
		return fmt.Errorf("reading the changes of settings: %s: %w", path, err)
	}
	return nil
}

func (s *Setup) writeFile(name string, v any) error {
	text, err := json.Marshal(v)
	if err == nil {
		err = os.MkdirAll(s.Dir, 0o700)
	}
	if err == nil {
		err = identity.WriteSecret(filepath.Join(s.Dir, name), text)
	}
	if err != nil {
		return fmt.Errorf("storing the changes of settings: %w", err)
	}
	return nil
}
