package pagestore

import (
	"context"
	"database/sql"
	"errors"

	"github.com/platen-scan/platen/proto/scan"
)

// ScannerSettings are what people decided about a scanner. They outlive its absence.
type ScannerSettings struct {
	Name     string // empty: the device's own
	Location string // empty: the node's
	Hold     bool   // jobs wait until their owner stands at the scanner
	Shared   Choice // computers nearby find it
	Presence string // secret of the sticker at the scanner, never empty
}

// Choice is what people decided about something that has an answer without them too. Its
// zero value is that nobody decided.
type Choice string

// The choices.
const (
	ChoiceNone Choice = ""
	ChoiceNo   Choice = "no"
	ChoiceYes  Choice = "yes"
)

// ChoiceOf is the choice for what somebody decided.
func ChoiceOf(yes bool) Choice {
	if yes {
		return ChoiceYes
	}
	return ChoiceNo
}

func (c Choice) String() string { return string(c) }

// Or is what was decided, or otherwise where nobody did.
func (c Choice) Or(otherwise bool) bool {
	switch c {
	case ChoiceYes:
		return true
	case ChoiceNo:
		return false
	case ChoiceNone:
	}
	return otherwise
}

// presenceLength is that of a sticker's secret: 160 bits.
const presenceLength = 32

// NewPresence makes the secret of a new sticker.
func NewPresence() string { return scan.RandomText(presenceLength) }

// Scanner returns a scanner's settings. The first call for an ID stores those that it
// begins with, so that the sticker's secret is the same from then on.
func (s *Store) Scanner(ctx context.Context, id string) (ScannerSettings, error) {
	got, err := loadScanner(s.index.view(ctx), id)
	if errors.Is(err, sql.ErrNoRows) {
		return s.UpdateScanner(ctx, id, func(*ScannerSettings) {})
	}
	if err != nil {
		return ScannerSettings{}, readError(ctx, "reading a scanner's settings", err)
	}
	return got, nil
}

// UpdateScanner lets change alter a scanner's settings in one transaction and returns
// what they are then. change must not call the store.
func (s *Store) UpdateScanner(ctx context.Context, id string, change func(*ScannerSettings)) (ScannerSettings, error) {
	var now ScannerSettings
	err := s.write(ctx, "changing a scanner's settings", func(t *tx) (err error) {
		now, err = loadScanner(t.view, id)
		if errors.Is(err, sql.ErrNoRows) {
			now, err = ScannerSettings{Presence: NewPresence()}, nil
		}
		if err != nil {
			return err
		}
		change(&now)
		shared := sql.NullBool{Bool: now.Shared == ChoiceYes, Valid: now.Shared != ChoiceNone}
		_, err = t.exec(`INSERT INTO scanners (id, name, location, hold, presence, shared) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
			ON CONFLICT (id) DO UPDATE SET name = ?2, location = ?3, hold = ?4, presence = ?5, shared = ?6`,
			id, now.Name, now.Location, now.Hold, now.Presence, shared)
		return err
	})
	if err != nil {
		return ScannerSettings{}, err
	}
	return now, nil
}

func loadScanner(v view, id string) (got ScannerSettings, err error) {
	var shared sql.NullBool
	err = v.get("SELECT name, location, hold, presence, shared FROM scanners WHERE id = ?", []any{id},
		&got.Name, &got.Location, &got.Hold, &got.Presence, &shared)
	if shared.Valid {
		got.Shared = ChoiceOf(shared.Bool)
	}
	return got, err
}
