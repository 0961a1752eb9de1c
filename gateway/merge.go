package gateway

import (
	"cmp"
	"context"
	"encoding/json"
	"fmt"
	"math"
	"net/url"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
	"github.com/platen-scan/platen/relay"
)

const (
	listBudget = 2 * time.Second // for all nodes together
	asksAtOnce = 64              // nodes
)

// kindOfList says how a list that the nodes hold is merged.
type kindOfList struct {
	path    string
	kind    scan.Kind
	time    func(itemHead) scan.Time // by which the list is ordered, newest first
	filters []string                 // query parameters that pass to the nodes
}

// itemHead is what the gateway reads of an item.
type itemHead struct {
	ID      string    `json:"id"`
	Created scan.Time `json:"created"`
	Updated scan.Time `json:"updated"`
}

// merge collects one page of a list from all nodes, newest first. Among items of
// the same millisecond each node's own order stands.
//
// The place between two pages is the time of the last item that was shown, with the
// items of that time. It is enough to go on by: the nodes' own cursors that come
// with it only save reading again what was shown before, so a cursor that would
// become too long leaves some of them out.
type merge struct {
	g      *Gateway
	caller access.Caller
	kind   kindOfList
	filter url.Values
	limit  int
	from   place
}

// place is where a merged list goes on.
type place struct {
	Time  int64             `json:"t,omitempty"` // of the last item shown, Unix milliseconds
	Shown []string          `json:"s,omitempty"` // the items of that time that were shown; empty: the list begins
	Nodes map[string]string `json:"n,omitempty"` // by routing prefix: the node's own cursor
	Done  []string          `json:"d,omitempty"` // routing prefixes of nodes that have no more
}

// shown reports whether the item came before the place.
func (p place) shown(i item) bool {
	return len(p.Shown) > 0 && (i.time > p.Time || i.time == p.Time && slices.Contains(p.Shown, i.id))
}

type item struct {
	time int64
	id   string
	node *node
	raw  json.RawMessage
}

// heap is what one node has after the place.
type heap struct {
	node   *node
	cursor string // the node's, of the page that items begins in
	next   string // the node's, after the last of items; "": there is no more
	items  []item
	err    error
}

// name is the list's for the seal of a cursor: another filter is another list.
func (m *merge) name() string { return m.kind.path + "?" + m.filter.Encode() }

// collect asks the nodes and merges. next is nil at the end of the list. Nodes that
// are away or do not answer in time are named in away.
func (m *merge) collect(ctx context.Context, nodes []*node) (items []json.RawMessage, next *place, away []api.Absent) {
	ctx, cancel := context.WithTimeout(relay.WithControl(ctx), listBudget)
	defer cancel()
	nodes = slices.DeleteFunc(nodes, func(n *node) bool { return slices.Contains(m.from.Done, n.prefix) })
	heaps := make([]heap, len(nodes))
	slots := make(chan struct{}, asksAtOnce)
	var asking sync.WaitGroup
	for i, n := range nodes {
		slots <- struct{}{}
		asking.Go(func() {
			defer func() { <-slots }()
			heaps[i] = m.ask(ctx, n)
		})
	}
	asking.Wait()

	known := heaps[:0]
	for _, h := range heaps {
		if h.err != nil {
			m.g.log.Debug("node left out of a list", "node", h.node.id, "error", h.err)
			away = append(away, m.g.registry.absent(h.node))
			continue
		}
		known = append(known, h)
	}
	shown, more := m.cut(known)
	items = make([]json.RawMessage, len(shown))
	for i, s := range shown {
		items[i] = s.raw
	}
	if more && len(shown) > 0 {
		next = m.placeAfter(shown, known)
	}
	return items, next, away
}

// cut merges the heaps and takes what goes into the page. A node's next page begins
// with something as old as its oldest item here, so nothing older than the oldest
// item of a node that has more may be shown yet. That never costs the page an item:
// such a node has filled its heap with a whole page.
func (m *merge) cut(heaps []heap) (shown []item, more bool) {
	var all []item
	bound := int64(math.MinInt64)
	for _, h := range heaps {
		all = append(all, h.items...)
		if h.next != "" && len(h.items) > 0 {
			more = true
			oldest := slices.MinFunc(h.items, func(a, b item) int { return cmp.Compare(a.time, b.time) })
			bound = max(bound, oldest.time)
		}
	}
	slices.SortStableFunc(all, func(a, b item) int { return cmp.Compare(b.time, a.time) })
	end := len(all)
	if at := slices.IndexFunc(all, func(i item) bool { return i.time < bound }); at >= 0 {
		end = at
	}
	end = min(end, m.limit)
	return all[:end], more || end < len(all)
}

// placeAfter is the place after the items of a page, with the cursors of the nodes.
func (m *merge) placeAfter(shown []item, heaps []heap) *place {
	p := &place{Time: shown[len(shown)-1].time, Nodes: map[string]string{}, Done: slices.Clone(m.from.Done)}
	if p.Time == m.from.Time {
		p.Shown = slices.Clone(m.from.Shown)
	}
	used := map[*node]int{}
	for _, i := range shown {
		used[i.node]++
		if i.time == p.Time {
			p.Shown = append(p.Shown, i.id)
		}
	}
	for _, h := range heaps {
		all := used[h.node] == len(h.items)
		switch {
		case all && h.next == "":
			p.Done = append(p.Done, h.node.prefix)
		case all:
			p.Nodes[h.node.prefix] = h.next
		case h.cursor != "":
			p.Nodes[h.node.prefix] = h.cursor
		}
	}
	return p
}

// seal makes the cursor, leaving nodes' cursors out until it is short enough.
func (m *merge) seal(p place) (string, error) {
	for {
		cursor, err := m.g.cursors.seal(m.name(), p)
		if err != nil || len(cursor) <= maxCursor {
			return cursor, err
		}
		switch {
		case len(p.Done) > 0:
			p.Done = p.Done[:len(p.Done)/2]
		case len(p.Nodes) > 0:
			drop := len(p.Nodes)/2 + 1
			for prefix := range p.Nodes {
				if drop--; drop < 0 {
					break
				}
				delete(p.Nodes, prefix)
			}
		default:
			return "", fmt.Errorf("sealing a cursor: %d characters", len(cursor))
		}
	}
}

// ask gets what one node has after the place: at least limit items, unless it has
// no more.
func (m *merge) ask(ctx context.Context, n *node) heap {
	h := heap{node: n, cursor: m.from.Nodes[n.prefix]}
	if !m.g.registry.online(n) {
		h.err = m.g.registry.offline(n)
		return h
	}
	cursor := h.cursor
	for {
		page, next, err := m.askPage(ctx, n, cursor)
		if err != nil {
			h.err = err
			return h
		}
		page = slices.DeleteFunc(page, m.from.shown)
		if len(h.items) == 0 {
			h.cursor = cursor
		}
		h.items = append(h.items, page...)
		h.next = next
		if next == "" || len(h.items) >= m.limit {
			return h
		}
		cursor = next
	}
}

// askPage reads one page of the node's list.
func (m *merge) askPage(ctx context.Context, n *node, cursor string) ([]item, string, error) {
	query := url.Values{"limit": {strconv.Itoa(m.limit)}}
	for name, values := range m.filter {
		query[name] = values
	}
	if cursor != "" {
		query.Set("cursor", cursor)
	}
	var list struct {
		Items []json.RawMessage `json:"items"`
		Next  string            `json:"next"`
	}
	if err := m.g.get(ctx, n, m.caller, m.kind.path+"?"+query.Encode(), &list); err != nil {
		return nil, "", err
	}
	if len(list.Items) == 0 && list.Next != "" || list.Next == cursor && cursor != "" {
		return nil, "", fmt.Errorf("the node's list does not go on")
	}
	items := make([]item, 0, len(list.Items))
	for _, raw := range list.Items {
		var head itemHead
		if err := json.Unmarshal(raw, &head); err != nil {
			return nil, "", fmt.Errorf("decoding an item of the node's list: %w", err)
		}
		prefix, kind, err := scan.ParseID(head.ID)
		if err != nil || prefix != n.prefix || kind != m.kind.kind {
			return nil, "", fmt.Errorf("the node lists what is not its own: %.60q", head.ID)
		}
		items = append(items, item{time: m.kind.time(head).UnixMilli(), id: head.ID, node: n, raw: raw})
	}
	return items, list.Next, nil
}
