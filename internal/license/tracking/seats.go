package tracking

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// seat is the record of one.
type seat struct {
	Number int64     `json:"seat"`
	Holder string    `json:"holder"`
	Origin string    `json:"origin,omitempty"`
	Since  time.Time `json:"since"`
	Seen   time.Time `json:"seen"`
	Until  time.Time `json:"until"` // then it is free
}

func (s seat) live(now time.Time) bool { return now.Before(s.Until) }

const (
	defaultWindow = 365 * 24 * time.Hour
	// seatsTrusted is how long a server goes by what it read of all seats when it looks for a
	// free one, seatsShown when it shows them, and seatsSure before it says that there is none.
	seatsTrusted = time.Minute
	seatsShown   = 2 * time.Second
	seatsSure    = time.Second
)

// errTaken is that a seat is somebody else's.
var errTaken = errors.New("the seat is taken")

// seatKey names records in the order of their numbers.
func seatKey(item string, number int64) string {
	return fmt.Sprintf("%s%s.%013d", seatPrefix, item, number)
}

// window is how long a seat of the key is held after it was last used.
func window(k license.Key) time.Duration {
	switch {
	case k.Kind == license.Concurrent:
		return license.SliceTime
	case k.Window > 0:
		return time.Duration(k.Window) * time.Second
	}
	return defaultWindow
}

// touchAfter is how long a seat's use is not noted again, so that not each lease is a write.
func touchAfter(window time.Duration) time.Duration { return min(window/license.RenewAfter, time.Hour) }

// take is the holder's seat, which is a free one if it has none yet. It is LicenseSeats if
// all are taken.
func (s *Server) take(ctx context.Context, k license.Key, holder, origin string) (seat, error) {
	t := s.table(k)
	if err := s.readSeats(ctx, t, seatsTrusted); err != nil {
		return seat{}, err
	}
	want := seat{Holder: holder, Origin: origin}
	if n, ok := t.of(holder); ok && n <= k.Quantity+k.Over() {
		want.Number = n
		got, err := s.claim(ctx, t, k, want, false)
		if !errors.Is(err, errTaken) {
			return got, err
		}
	}
	for reread := range 2 {
		for {
			n, ok := t.free(k, holder, s.cfg.Clock())
			if !ok {
				break
			}
			want.Number = n
			got, err := s.claim(ctx, t, k, want, true)
			if !errors.Is(err, errTaken) {
				return got, err
			}
		}
		if reread == 0 {
			if err := s.readSeats(ctx, t, seatsSure); err != nil {
				return seat{}, err
			}
		}
	}
	return seat{}, k.Problem(problem.LicenseSeats, "It has %d.", k.Quantity)
}

// claim makes a seat the holder's, or notes that its holder uses it, at the revision that
// it reads. errTaken says that it is somebody else's; it is in the table then. A seat that
// is not fresh is not made but where it is the holder's already.
func (s *Server) claim(ctx context.Context, t *table, k license.Key, want seat, fresh bool) (seat, error) {
	key, hold := seatKey(k.ID, want.Number), window(k)
	for range tries {
		now := s.cfg.Clock().Round(0).UTC()
		want.Since, want.Seen, want.Until = now, now, now.Add(hold)
		if fresh {
			value, err := json.Marshal(want)
			if err == nil {
				_, err = s.cfg.Records.Create(ctx, key, value, want.Until)
			}
			if err == nil {
				s.seated(ctx, t, k, want)
				return want, nil
			}
			if !errors.Is(err, access.ErrConflict) {
				return seat{}, fmt.Errorf("storing a seat: %w", err)
			}
		}
		there, revision, err := get[seat](ctx, s.cfg.Records, key)
		if err != nil {
			return seat{}, err
		}
		switch mine := there.Holder == want.Holder; {
		case revision == 0 && fresh:
			continue // it was there a moment ago
		case revision == 0 || !mine && !fresh:
			t.forget(want.Number)
			return seat{}, errTaken
		case !mine && there.live(now):
			t.set(there)
			return seat{}, errTaken
		case mine && there.live(now) && now.Sub(there.Seen) < touchAfter(hold) && !there.Until.After(now.Add(hold)):
			t.set(there)
			return there, nil
		case mine && there.live(now):
			want.Since = there.Since
		}
		err = access.PutRecord(ctx, s.cfg.Records, key, want, want.Until, revision)
		if errors.Is(err, access.ErrConflict) {
			continue
		}
		if err != nil {
			return seat{}, err
		}
		s.seated(ctx, t, k, want)
		return want, nil
	}
	return seat{}, fmt.Errorf("storing a seat: %w", errContended)
}

// seated notes what was stored.
func (s *Server) seated(ctx context.Context, t *table, k license.Key, got seat) {
	t.set(got)
	if got.Since.Equal(got.Seen) {
		s.used(ctx, k, t.count(s.cfg.Clock()))
	}
}

// Seats lists a page of who holds seats of an item, in the order of their numbers. next is
// "" at the end.
func (s *Server) Seats(ctx context.Context, id string, limit int, cursor string) (page []api.Seat, next string, err error) {
	c, err := s.catalog(ctx)
	if err != nil {
		return nil, "", err
	}
	e, err := c.get(id)
	if err != nil {
		return nil, "", err
	}
	t := s.table(e.key)
	if err := s.readSeats(ctx, t, seatsShown); err != nil {
		return nil, "", err
	}
	seats, next, err := pageOf(t.all(s.cfg.Clock()), func(s seat) string { return seatKey("", s.Number) }, limit, cursor)
	page = make([]api.Seat, 0, len(seats))
	for _, held := range seats {
		page = append(page, api.Seat{
			Seat: held.Number, Holder: shortHolder(held.Holder), Origin: held.Origin, Since: scan.At(held.Since), Until: scan.At(held.Until),
		})
	}
	return page, next, err
}

// shortHolder is enough to tell browsers apart.
func shortHolder(holder string) string {
	if scan.ParseNodeID(holder) == nil {
		return holder
	}
	return holder[:min(len(holder), 10)]
}

// Release frees a seat; NotFound if nobody holds it. Who held it is refused when its lease
// ends, unless it gets another one.
func (s *Server) Release(ctx context.Context, id string, number int64) error {
	c, err := s.catalog(ctx)
	if err != nil {
		return err
	}
	e, err := c.get(id)
	if err != nil {
		return err
	}
	key, now := seatKey(id, number), s.cfg.Clock()
	nobody := problem.New(problem.NotFound, "Nobody holds seat %d of licence %s.", number, id)
	for range tries {
		there, revision, err := get[seat](ctx, s.cfg.Records, key)
		if err != nil {
			return err
		}
		if revision == 0 || !there.live(now) {
			return nobody
		}
		there.Until = now
		err = access.PutRecord(ctx, s.cfg.Records, key, there, gone, revision)
		if errors.Is(err, access.ErrConflict) {
			continue
		}
		if err == nil {
			s.table(e.key).forget(number)
		}
		return err
	}
	return fmt.Errorf("freeing a seat: %w", errContended)
}

// readSeats reads all seats of an item if that was not done within the time.
func (s *Server) readSeats(ctx context.Context, t *table, within time.Duration) error {
	if t.recent(s.cfg.Clock(), within) {
		return nil
	}
	leave, err := s.turns.take(ctx, seatPrefix+t.item)
	if err != nil {
		return err
	}
	defer leave()
	if t.recent(s.cfg.Clock(), within) {
		return nil
	}
	started := s.cfg.Clock()
	var seats []seat
	if err := list(ctx, s.cfg.Records, seatPrefix+t.item+".", func(_ string, held seat) error {
		if held.live(started) {
			seats = append(seats, held)
		}
		return nil
	}); err != nil {
		return err
	}
	for _, again := range t.replace(seats, started) {
		if err := s.freeAgain(ctx, t, again); err != nil {
			return err
		}
	}
	return nil
}

// freeAgain frees the second seat of one holder: it has one if another server released the
// seat on the way to it while this one believed that it was taken. Nobody may have a
// lease of it any more.
func (s *Server) freeAgain(ctx context.Context, t *table, again seat) error {
	if s.cfg.Clock().Sub(again.Seen) < license.LeaseTime+touchAfter(defaultWindow) {
		return nil
	}
	key := seatKey(t.item, again.Number)
	there, revision, err := get[seat](ctx, s.cfg.Records, key)
	if err != nil || revision == 0 || there.Holder != again.Holder || !there.Seen.Equal(again.Seen) {
		return err
	}
	err = access.PutRecord(ctx, s.cfg.Records, key, there, gone, revision)
	if err == nil || errors.Is(err, access.ErrConflict) {
		t.forget(again.Number)
		return nil
	}
	return err
}
