package ledger

import (
	"cmp"
	"math/bits"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/proto/api"
)

// Query says which part of the statistics is wanted.
type Query struct {
	From, To time.Time      // first and last day, in UTC; zero: from the beginning, to the end
	By       license.Period // Day, Month or Year; Whole: the period "" holds all
	Item     string         // "": every one
	// Of says whose the item is and what it sells; nil: nobody knows.
	Of func(item string) (organisation, kind string)
}

// Usage is what the ledger says was used: one row an item, handshake code and period,
// in the order of periods, items and codes. Pages are of the day on which they were
// committed. It is exact but for what maxClients says.
func (b *Book) Usage(q Query) []api.UsageRow {
	b.mu.RLock()
	defer b.mu.RUnlock()
	return b.usage.rows(q)
}

const (
	dayMillis   = 24 * 60 * 60 * 1000
	sliceMillis = 3 * 60 * 1000
	clientBits  = 20

	// maxClients is how many browser clients the statistics tell from each other: those
	// beyond count as one client together. Pages are not affected.
	maxClients = 1<<clientBits - 1
)

// usage is folded from the receipts, in no matter which order they come.
type usage struct {
	texts   names
	clients names
	days    map[int32]map[series]*cell
}

// series is what a row is about, as numbers of texts.
type series struct{ item, project uint32 }

// cell is a series on one day.
type cell struct {
	pages int64
	nodes []uint32 // sorted numbers of texts
	// seen are the clients of each three minutes: the slice of the day in the upper bits,
	// the client's number below. Sorted.
	seen []uint32
}

// names gives texts numbers, from 0 on.
type names struct {
	numbers map[string]uint32
	texts   []string
}

func (n *names) number(text string) uint32 {
	number, ok := n.numbers[text]
	if !ok {
		text = strings.Clone(text) // without the record that it is part of
		number = uint32(len(n.texts))
		n.numbers[text] = number
		n.texts = append(n.texts, text)
	}
	return number
}

func newUsage() usage {
	return usage{
		texts:   names{numbers: map[string]uint32{}},
		clients: names{numbers: map[string]uint32{}},
		days:    map[int32]map[series]*cell{},
	}
}

func dayOf(millis int64) int32 {
	day := millis / dayMillis
	if millis < 0 && millis%dayMillis != 0 {
		day--
	}
	return int32(min(max(day, -1<<31), 1<<31-1))
}

func (u *usage) add(r *receipt) {
	day := dayOf(r.At)
	cells := u.days[day]
	if cells == nil {
		cells = map[series]*cell{}
		u.days[day] = cells
	}
	of := series{u.texts.number(r.Item), u.texts.number(r.Project)}
	c := cells[of]
	if c == nil {
		c = &cell{}
		cells[of] = c
	}
	c.pages++
	insert(&c.nodes, u.texts.number(r.Node))
	if r.Client == "" {
		return
	}
	client, known := u.clients.numbers[r.Client]
	switch {
	case known:
	case len(u.clients.texts) < maxClients:
		client = u.clients.number(r.Client)
	default:
		client = maxClients
	}
	insert(&c.seen, uint32(r.At%dayMillis/sliceMillis)<<clientBits|client)
}

// insert adds v to a sorted set. What comes in order costs nothing to move.
func insert(set *[]uint32, v uint32) {
	at, found := slices.BinarySearch(*set, v)
	if !found {
		*set = slices.Insert(*set, at, v)
	}
}

// concurrent is the most clients of one slice.
func (c *cell) concurrent() (most int64) {
	for from := 0; from < len(c.seen); {
		to := from + 1
		for to < len(c.seen) && c.seen[to]>>clientBits == c.seen[from]>>clientBits {
			to++
		}
		most = max(most, int64(to-from))
		from = to
	}
	return most
}

func (u *usage) rows(q Query) []api.UsageRow {
	type group struct {
		period string
		of     series
	}
	groups := map[group][]*cell{}
	for day, cells := range u.days {
		date := time.UnixMilli(int64(day) * dayMillis).UTC()
		if !q.From.IsZero() && day < dayOf(q.From.UnixMilli()) || !q.To.IsZero() && day > dayOf(q.To.UnixMilli()) {
			continue
		}
		period := periodOf(date, q.By)
		for of, c := range cells {
			if q.Item == "" || u.texts.texts[of.item] == q.Item {
				groups[group{period, of}] = append(groups[group{period, of}], c)
			}
		}
	}
	rows := make([]api.UsageRow, 0, len(groups))
	clients, nodes := newBitmap(len(u.clients.texts)+1), newBitmap(len(u.texts.texts))
	for g, cells := range groups {
		row := api.UsageRow{Period: g.period, Item: u.texts.texts[g.of.item], Project: u.texts.texts[g.of.project]}
		if q.Of != nil && row.Item != "" {
			row.Organisation, row.Kind = q.Of(row.Item)
		}
		clear(clients)
		clear(nodes)
		for _, c := range cells {
			row.Pages += c.pages
			row.Concurrent = max(row.Concurrent, c.concurrent())
			for _, v := range c.seen {
				// The client that stands for those beyond maxClients is the last bit.
				clients.set(min(int(v&maxClients), len(u.clients.texts)))
			}
			for _, v := range c.nodes {
				nodes.set(int(v))
			}
		}
		row.Clients, row.Nodes = clients.count(), nodes.count()
		rows = append(rows, row)
	}
	slices.SortFunc(rows, func(a, b api.UsageRow) int {
		return cmp.Or(cmp.Compare(a.Period, b.Period), cmp.Compare(a.Item, b.Item), cmp.Compare(a.Project, b.Project))
	})
	return rows
}

func periodOf(date time.Time, by license.Period) string {
	switch by {
	case license.Day:
		return date.Format("2006-01-02")
	case license.Month:
		return date.Format("2006-01")
	case license.Year:
		return date.Format("2006")
	case license.Whole:
	}
	return ""
}

// bitmap is a set of small numbers.
type bitmap []uint64

func newBitmap(size int) bitmap { return make(bitmap, size/64+1) }

func (b bitmap) set(i int) { b[i/64] |= 1 << (i % 64) }

func (b bitmap) count() (n int64) {
	for _, word := range b {
		n += int64(bits.OnesCount64(word))
	}
	return n
}
