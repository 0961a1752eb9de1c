package access

import (
	"context"
	"crypto/sha256"
	"encoding/base32"
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Origins are the foreign pages that may ask at this end: those of the configuration,
// those of a licence, and those that a person allowed. All three may change at any
// time. The nil Origins allows none.
type Origins struct {
	mu       sync.Mutex
	any      bool
	fixed    []Origin // of the configuration
	licensed func(Origin) bool
	records  Records // nil: no person's word is kept
	log      *slog.Logger
	dropped  []func() // called when an origin may have lost its permission

	consents map[Origin]consent // as Records held them at asked
	asked    time.Time
	edits    int // of consents, by this process
}

// consent is the record of an origin that a person allowed.
type consent struct {
	Origin  string    `json:"origin"`
	By      string    `json:"by"`
	Created time.Time `json:"created"`
}

const (
	originKey = "origin."
	// consentsFresh is how long consents are believed without asking Records: another
	// process may have changed them.
	consentsFresh = time.Second
)

// NewOrigins allows none yet. The guard that gets it lends it its Records.
func NewOrigins() *Origins { return &Origins{log: slog.New(slog.DiscardHandler)} }

// Configure sets what the configuration allows, in place of what it allowed before:
// a list, or with all every web page there is. What pages that lost their permission
// have under way ends.
func (o *Origins) Configure(all bool, list []Origin) {
	o.mu.Lock()
	o.any, o.fixed = all, slices.Clone(list)
	o.mu.Unlock()
	o.drop()
}

// Licensed sets the hook that knows the origins of the licence; nil: there are none.
// It must not block.
func (o *Origins) Licensed(allows func(Origin) bool) {
	o.mu.Lock()
	o.licensed = allows
	o.mu.Unlock()
	o.drop()
}

// Allows reports whether pages of the origin may ask. If Records cannot say, they may not.
func (o *Origins) Allows(ctx context.Context, origin Origin) bool {
	if o == nil || origin == (Origin{}) {
		return false
	}
	o.mu.Lock()
	licensed, log, known := o.licensed, o.log, o.any || slices.Contains(o.fixed, origin)
	o.mu.Unlock()
	if known || licensed != nil && licensed(origin) {
		return true
	}
	consents, err := o.consented(ctx)
	if err != nil {
		log.LogAttrs(ctx, slog.LevelError, "cannot read which origins are allowed", slog.Any("error", err))
		return false
	}
	_, ok := consents[origin]
	return ok
}

// OnDrop adds a function that is called whenever an origin may have lost its permission. It
// must not wait for requests to end.
func (o *Origins) OnDrop(call func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.dropped = append(o.dropped, call)
}

// lend gives what the guard has: its records, its log, and what ends requests.
func (o *Origins) lend(records Records, log *slog.Logger, dropped func()) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.records, o.log, o.dropped = records, log, append(o.dropped, dropped)
}

func (o *Origins) drop() {
	o.mu.Lock()
	calls := slices.Clone(o.dropped)
	o.mu.Unlock()
	for _, call := range calls {
		call()
	}
}

// edited makes the next look at the consents a fresh one.
func (o *Origins) edited() {
	o.mu.Lock()
	o.asked = time.Time{}
	o.edits++
	o.mu.Unlock()
}

// consented are the origins that persons allowed; not to be changed.
func (o *Origins) consented(ctx context.Context) (map[Origin]consent, error) {
	now := time.Now()
	o.mu.Lock()
	records, consents, edits, fresh := o.records, o.consents, o.edits, now.Sub(o.asked) < consentsFresh
	o.mu.Unlock()
	if fresh || records == nil {
		return consents, nil
	}
	consents = map[Origin]consent{}
	err := records.List(ctx, originKey, func(_ string, value []byte) error {
		var c consent
		if err := json.Unmarshal(value, &c); err != nil {
			return err
		}
		origin, err := ParseOrigin(c.Origin)
		consents[origin] = c
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("listing allowed origins: %w", err)
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if edits == o.edits {
		o.consents, o.asked = consents, now
	}
	return consents, nil
}

// configured are the configuration's origins, and whether it allows all.
func (o *Origins) configured() (list []Origin, all bool) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Clone(o.fixed), o.any
}

var base32Lower = base32.NewEncoding("abcdefghijklmnopqrstuvwxyz234567").WithPadding(base32.NoPadding)

// id names the origin in paths and keys: always the same, so that one origin is
// allowed once.
func (o Origin) id() string {
	sum := sha256.Sum256([]byte(o.String()))
	return base32Lower.EncodeToString(sum[:])[:shortIDLength]
}

// endDropped ends what foreign pages have under way that are not allowed any more.
func (g *Guard) endDropped() {
	g.live.ends.Add(1)
	for text := range g.live.origins() {
		if o, err := ParseOrigin(text); err != nil || !g.Origins.Allows(context.Background(), o) {
			g.live.endEach(func(_, origin string) bool { return origin == text })
		}
	}
}
