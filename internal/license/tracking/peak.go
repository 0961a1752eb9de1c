package tracking

import (
	"context"
	"log/slog"
	"strings"
	"time"
)

// peak is the most clients at the same time on a day in UTC, as one server saw it. It is
// stored when it grows, but not each time: a server that is killed forgets the growth of
// the last minute.
type peak struct {
	day    string
	most   int64
	stored int64
	at     time.Time // when it was stored
}

// peakRecord is what is stored of all servers' peaks.
type peakRecord struct {
	Most int64 `json:"most"`
}

const (
	storePeakEvery = time.Minute
	keepPeaks      = 3 * 366 * 24 * time.Hour
)

func peakKey(item, day string) string { return peakPrefix + item + "." + day }

func (s *Server) notePeak(ctx context.Context, item string, clients int64, now time.Time) {
	today := now.UTC().Format(time.DateOnly)
	s.mu.Lock()
	p := s.peaks[item]
	var before peak
	if p == nil || p.day != today {
		if p != nil {
			before = *p
		}
		p = &peak{day: today}
		s.peaks[item] = p
	}
	p.most = max(p.most, clients)
	due := p.most > p.stored && now.Sub(p.at) >= storePeakEvery
	if due {
		p.at = now
	}
	current := *p
	s.mu.Unlock()
	if before.most > before.stored {
		s.storePeak(ctx, item, before)
	}
	if due {
		s.storePeak(ctx, item, current)
	}
}

// storePeak is only for statistics: where it fails the next one tries again.
func (s *Server) storePeak(ctx context.Context, item string, p peak) {
	day, err := time.Parse(time.DateOnly, p.day)
	if err == nil {
		err = change(ctx, s.cfg.Records, peakKey(item, p.day), day.Add(keepPeaks), func(r *peakRecord, _ bool) (bool, error) {
			grows := p.most > r.Most
			r.Most = max(r.Most, p.most)
			return grows, nil
		})
	}
	if err != nil {
		s.cfg.Log.LogAttrs(ctx, slog.LevelWarn, "the most clients at the same time cannot be stored", slog.String("item", item), slog.Any("error", err))
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := s.peaks[item]; now != nil && now.day == p.day {
		now.stored = max(now.stored, p.most)
	}
}

// Peak is the most clients of an item within three minutes of a day.
type Peak struct {
	Item    string
	Day     string // 2026-11-22, in UTC
	Clients int64
}

// Peaks are those of the days from one to another one, both included, of all items that
// count clients at the same time.
func (s *Server) Peaks(ctx context.Context, from, to time.Time) ([]Peak, error) {
	s.mu.Lock()
	unstored := map[string]peak{}
	for item, p := range s.peaks {
		if p.most > p.stored {
			unstored[item] = *p
		}
	}
	s.mu.Unlock()
	for item, p := range unstored {
		s.storePeak(ctx, item, p)
	}
	first, last := from.UTC().Format(time.DateOnly), to.UTC().Format(time.DateOnly)
	var peaks []Peak
	err := list(ctx, s.cfg.Records, peakPrefix, func(name string, r peakRecord) error {
		if item, day, ok := strings.Cut(name, "."); ok && day >= first && day <= last {
			peaks = append(peaks, Peak{item, day, r.Most})
		}
		return nil
	})
	return peaks, err
}
