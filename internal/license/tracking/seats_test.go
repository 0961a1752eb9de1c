package tracking

import (
	"context"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

func (w *world) lease(s *Server, r api.LeaseRequest) (api.LeaseAnswer, error) {
	return s.Lease(context.Background(), placeOf(w.gateway), r)
}

func TestBrowserHoldsItsSeat(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		const day = 24 * time.Hour
		k := w.key(license.Browser, func(k *license.Key) { k.Quantity, k.Window = 1, int64((10 * day).Seconds()) })
		w.add(s, k)
		w.project(s)
		answer, err := w.lease(s, browser(1, ""))
		first := seatOf(t, answer, err)
		if time.Until(first.Until) != license.LeaseTime || first.Seat != 1 || first.Project != code {
			t.Errorf("lease %+v", first)
		}
		for range 4 { // it is used now and then
			time.Sleep(9 * day)
			if answer, err = w.lease(s, browser(1, "")); seatOf(t, answer, err).Seat != first.Seat {
				t.Error("the browser got another seat")
			}
			s = w.server()
		}
		time.Sleep(9 * day)
		_, err = w.lease(s, browser(2, ""))
		wantCode(t, "Lease of another browser after 9 days", err, problem.LicenseSeats)
		time.Sleep(day)
		_, err = w.lease(s, browser(2, ""))
		wantCode(t, "Lease of another browser after 10 days", err, "")
		_, err = w.lease(s, browser(1, ""))
		wantCode(t, "Lease of the first browser then", err, problem.LicenseSeats)
	})
}

func TestRelease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.server(), w.server()
		k := w.key(license.Browser, func(k *license.Key) { k.Quantity = 1 })
		w.add(a, k)
		w.project(a)
		answer, err := w.lease(b, browser(1, ""))
		seatOf(t, answer, err)
		time.Sleep(seatsShown)
		seats, _, err := a.Seats(t.Context(), k.ID, 10, "")
		if err != nil || len(seats) != 1 || seats[0].Seat != 1 || seats[0].Origin != app || seats[0].Holder != client(1)[:10] {
			t.Fatalf("Seats = %+v, %v", seats, err)
		}
		wantCode(t, "Release of nothing", a.Release(t.Context(), k.ID, 2), problem.NotFound)
		wantCode(t, "Release of another licence", a.Release(t.Context(), license.NewID(), 1), problem.NotFound)
		wantCode(t, "Release", a.Release(t.Context(), k.ID, 1), "")
		wantCode(t, "Release once more", a.Release(t.Context(), k.ID, 1), problem.NotFound)
		_, err = w.lease(a, browser(2, ""))
		wantCode(t, "Lease of another browser", err, "")
		_, err = w.lease(b, browser(1, "")) // which knows nothing of that
		wantCode(t, "Lease of the first browser", err, problem.LicenseSeats)
	})
}

func TestOverUseOfSeats(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	w.add(s, w.key(license.Browser, func(k *license.Key) { k.Quantity, k.OverUse = 4, 50 }))
	w.project(s)
	var numbers []int64
	for i := range 6 {
		answer, err := w.lease(s, browser(i, ""))
		numbers = append(numbers, seatOf(t, answer, err).Seat)
	}
	_, err := w.lease(s, browser(6, ""))
	wantCode(t, "Lease beyond over-use", err, problem.LicenseSeats)
	if slices.Max(numbers[:4]) != 4 || slices.Min(numbers[4:]) != 5 {
		t.Errorf("seats %d: the quantity comes first", numbers)
	}
	if want := []string{"1/4", "2/4", "3/4", "4/4", "5/4", "6/4"}; !slices.Equal(w.uses, want) {
		t.Errorf("observed %q, want %q", w.uses, want)
	}
}

// In no three minutes there are more clients than the quantity.
func TestConcurrentSlices(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		a, b := w.server(), w.server()
		const quantity, clients = 5, 23
		k := w.key(license.Concurrent, func(k *license.Key) { k.Quantity = quantity })
		w.add(a, k)
		w.project(a)
		time.Sleep(catalogAge)
		type lease struct {
			client int
			license.Lease
		}
		var leases []lease
		refused := 0
		for i := range 2000 {
			s := []*Server{a, b}[i%2]
			c := (i / 40) % clients // a few at a time, others later
			c = (c + i%7) % clients
			answer, err := w.lease(s, browser(c, ""))
			if err == nil {
				leases = append(leases, lease{c, seatOf(t, answer, err)})
			} else {
				refused++
				wantCode(t, "Lease", err, problem.LicenseSeats)
			}
			time.Sleep(9 * time.Second)
		}
		most := 0
		for _, l := range leases {
			if l.Until.Sub(l.From) > license.SliceTime+time.Second {
				t.Fatalf("a lease for %v", l.Until.Sub(l.From))
			}
			holders, seats := map[int]bool{}, map[int64]int{}
			for _, other := range leases {
				if !other.From.After(l.From) && other.Until.After(l.From) {
					holders[other.client] = true
					if who, taken := seats[other.Seat]; taken && who != other.client {
						t.Fatalf("clients %d and %d have seat %d", who, other.client, other.Seat)
					}
					seats[other.Seat] = other.client
				}
			}
			most = max(most, len(holders))
		}
		if most != quantity || refused == 0 {
			t.Errorf("%d clients at the same time and %d refused, want %d and some", most, refused, quantity)
		}
	})
}

func TestNodeSeats(t *testing.T) {
	w := newWorld(t)
	s := w.server()
	named := newIdentity(t).NodeID()
	w.add(s, w.key(license.PerNode, func(k *license.Key) { k.Quantity, k.Nodes = 2, []string{named} }))
	w.project(s)
	nodes := []string{newIdentity(t).NodeID(), newIdentity(t).NodeID(), newIdentity(t).NodeID()}
	for i, node := range nodes {
		for c := range 3 { // any number of browsers
			_, err := w.ask(s, browser(c, node))
			if i < 2 {
				wantCode(t, "Lease of a node", err, "")
			} else {
				wantCode(t, "Lease of the third node", err, problem.LicenseSeats)
			}
		}
	}
	answer, err := w.lease(s, browser(1, named))
	if err != nil || answer.Lease != "" {
		t.Errorf("a node that the key names needs a seat: %q, %v", answer.Lease, err)
	}
}

// Ten thousand and some browsers come to two gateways on one state: each gets a seat until
// there is none, and no seat has two holders.
func TestTenThousandBrowsers(t *testing.T) {
	w := newWorld(t)
	servers := []*Server{w.server(), w.server()}
	const quantity, browsers = 10_000, 10_050
	k := w.key(license.Browser, func(k *license.Key) { k.Quantity = quantity })
	w.add(servers[0], k)
	var mu sync.Mutex
	seats, refused := map[int64]string{}, 0
	began := time.Now()
	come := func(from, to int, servers ...*Server) {
		var wait sync.WaitGroup
		next := make(chan int)
		for range 32 {
			wait.Go(func() {
				for i := range next {
					for _, s := range servers { // the same browser at both of them
						held, err := s.take(context.Background(), k, client(i), app)
						mu.Lock()
						if err != nil {
							wantCode(t, "take", err, problem.LicenseSeats)
							refused++
						} else if who, taken := seats[held.Number]; taken && who != held.Holder {
							t.Errorf("seat %d has two holders", held.Number)
						} else if held.Number < 1 || held.Number > quantity {
							t.Errorf("seat %d of %d", held.Number, quantity)
						} else {
							seats[held.Number] = held.Holder
						}
						mu.Unlock()
					}
				}
			})
		}
		for i := from; i < to; i++ {
			next <- i
		}
		close(next)
		wait.Wait()
	}
	var both sync.WaitGroup
	both.Go(func() { come(0, browsers/2, servers[0]) })
	both.Go(func() { come(browsers/2, browsers, servers[1]) })
	both.Wait()
	t.Logf("%d browsers got their seats in %v", browsers, time.Since(began))
	if len(seats) != quantity || refused != browsers-quantity {
		t.Errorf("%d seats and %d refused, want %d and %d", len(seats), refused, quantity, browsers-quantity)
	}
	held := map[string]bool{}
	for _, holder := range seats {
		held[holder] = true
	}
	if len(held) != quantity {
		t.Errorf("%d browsers have %d seats", len(held), len(seats))
	}
	began = time.Now()
	come(0, browsers, servers...) // all once more, at both
	t.Logf("%d browsers came to two gateways once more in %v", browsers, time.Since(began))
	if len(seats) != quantity {
		t.Errorf("%d seats, want %d", len(seats), quantity)
	}
	item, err := w.server().Item(t.Context(), k.ID)
	if err != nil || item.Used != quantity {
		t.Errorf("%d are used, %v; want %d", item.Used, err, quantity)
	}
}

// A way goes by every seat once, those of the quantity first.
func TestWay(t *testing.T) {
	for _, sizes := range [][2]int64{{1, 0}, {2, 1}, {3, 3}, {10, 0}, {12, 6}, {97, 13}, {1000, 100}} {
		for i := range 20 {
			seen := map[int64]bool{}
			n := int64(0)
			for number := range way(client(i), sizes[0], sizes[1]) {
				if n++; seen[number] || number < 1 || n <= sizes[0] && number > sizes[0] {
					t.Fatalf("way of %v: %d at step %d", sizes, number, n)
				}
				seen[number] = true
			}
			if n != sizes[0]+sizes[1] {
				t.Errorf("way of %v has %d steps", sizes, n)
			}
		}
	}
}

func TestSecondSeatOfOneHolderGoes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		s := w.server()
		k := w.key(license.Browser)
		w.add(s, k)
		time.Sleep(seatsTrusted)
		now := time.Now().UTC()
		for i, seen := range []time.Duration{-30 * time.Hour, -time.Hour} {
			held := seat{Number: int64(i + 1), Holder: client(1), Origin: app, Since: now, Seen: now.Add(seen), Until: now.Add(time.Hour)}
			if err := access.PutRecord(t.Context(), w.records, seatKey(k.ID, held.Number), held, held.Until, 0); err != nil {
				t.Fatal(err)
			}
		}
		held, err := s.take(t.Context(), k, client(1), app)
		if err != nil || held.Number != 2 {
			t.Errorf("take = seat %d, %v; want the one that was used last", held.Number, err)
		}
		if item, err := s.Item(t.Context(), k.ID); err != nil || item.Used != 1 {
			t.Errorf("%d seats are used, %v; want 1", item.Used, err)
		}
		wantCode(t, "Release of the other one", s.Release(t.Context(), k.ID, 1), problem.NotFound)
	})
}

// Records fail, servers begin anew, seats are released and time goes by: who has a lease
// has the seat, and nobody else has it before that is over or somebody has released it.
func TestSeatsWhateverFails(t *testing.T) {
	for seed := range uint64(3) {
		for _, kind := range []license.Kind{license.Browser, license.Concurrent} {
			synctest.Test(t, func(t *testing.T) { seatsWhateverFails(t, kind, rand.New(rand.NewPCG(seed, 7))) })
		}
	}
}

func seatsWhateverFails(t *testing.T, kind license.Kind, r *rand.Rand) {
	w := newWorld(t)
	k := w.key(kind, func(k *license.Key) {
		if k.Quantity = 8; kind == license.Browser {
			k.Window = int64((2 * time.Hour).Seconds())
		}
	})
	s := w.server()
	w.add(s, k)
	w.project(s)
	chance := 0
	begin := func() *Server {
		calm := chance
		chance = 0
		defer func() { chance = calm }()
		return w.server(func(c *Config) {
			c.Records = &faulty{w.records, func() (bool, bool) { return r.IntN(1000) < chance, r.IntN(1000) < chance }}
		})
	}
	servers := []*Server{begin(), begin()}
	chance = 50
	held := map[int64]license.Lease{} // as their holders have them
	leased, refused := 0, 0
	for range 1500 {
		s := servers[r.IntN(2)]
		switch r.IntN(20) {
		case 0:
			number := 1 + r.Int64N(8)
			if s.Release(t.Context(), k.ID, number) == nil {
				delete(held, number)
			} else if there, _, err := get[seat](t.Context(), w.records, seatKey(k.ID, number)); err == nil && there.Holder == "" {
				delete(held, number) // it was done, but could not be said
			}
		case 1:
			servers[r.IntN(2)] = begin()
		case 2, 3:
			time.Sleep(time.Duration(r.IntN(100)) * time.Second)
		default:
			answer, err := w.lease(s, browser(r.IntN(14), ""))
			if err != nil {
				refused++
				continue
			}
			leased++
			l := seatOf(t, answer, nil)
			if before, ok := held[l.Seat]; ok && before.Holder != l.Holder && before.Until.After(time.Now()) {
				t.Fatalf("seat %d is two clients'", l.Seat)
			}
			there, _, err := get[seat](t.Context(), w.records, seatKey(k.ID, l.Seat))
			if err != nil || there.Holder != l.Holder || there.Until.Before(l.Until) || l.Seat > k.Quantity {
				t.Fatalf("a lease of seat %d until %v, %v; the record is %+v", l.Seat, l.Until, err, there)
			}
			held[l.Seat] = l
		}
	}
	if leased < 100 || refused < 10 {
		t.Errorf("%d leased and %d refused: the test tests nothing", leased, refused)
	}
}
