package memdisco

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/discovery"
)

// Interface is where every record of a LAN is seen.
const Interface = "lan0"

// firstLook is how long a Browser waits before it says that nothing is there.
const firstLook = time.Second

// LAN is the network. Its methods can be used by several goroutines.
type LAN struct {
	mu          sync.Mutex
	advertisers []*advertiser // those that serve, in the order in which they came
	changed     chan struct{} // closed and made anew with each change
}

// NewLAN makes a network with nobody on it.
func NewLAN() *LAN { return &LAN{changed: make(chan struct{})} }

// Advertiser is a host on the network: host is its name without ".local". Without an
// address, only those of its records are seen that bring their own.
func (l *LAN) Advertiser(host string, addrs ...netip.Addr) discovery.Advertiser {
	return &advertiser{lan: l, host: host + ".local", addrs: addrs}
}

// Browser sees what is announced on the network.
func (l *LAN) Browser() discovery.Browser { return browser{l} }

func (l *LAN) changedLocked() {
	close(l.changed)
	l.changed = make(chan struct{})
}

type advertiser struct {
	lan   *LAN
	host  string
	addrs []netip.Addr

	// Guarded by lan.mu.
	wanted []discovery.Record
	given  []discovery.Record // wanted, with the names that they got; nil while it does not serve
	serves bool
}

func (a *advertiser) Announce(records []discovery.Record) {
	a.lan.mu.Lock()
	defer a.lan.mu.Unlock()
	old, oldGiven := a.wanted, a.given
	a.wanted = discovery.Clone(records)
	if a.serves {
		a.claimLocked(old, oldGiven)
		a.lan.changedLocked()
	}
}

// claimLocked gives each wanted record a name. One that was there before keeps the name
// that it got then.
func (a *advertiser) claimLocked(old, oldGiven []discovery.Record) {
	a.given = nil
	for _, want := range a.wanted {
		r := want.Clone()
		if i := slices.IndexFunc(old, func(o discovery.Record) bool { return o.Type == r.Type && o.Name == r.Name }); i >= 0 && i < len(oldGiven) {
			r.Name = oldGiven[i].Name
		}
		for n := 2; a.lan.takenLocked(r); n++ {
			r.Name = fmt.Sprintf("%s (%d)", want.Name, n)
		}
		if r.Host == "" {
			r.Host = a.host
		}
		if len(r.Addrs) == 0 {
			r.Addrs = slices.Clone(a.addrs)
		}
		a.given = append(a.given, r)
	}
}

func (l *LAN) takenLocked(r discovery.Record) bool {
	for _, a := range l.advertisers {
		for _, other := range a.given {
			if other.Type == r.Type && strings.EqualFold(other.Name, r.Name) {
				return true
			}
		}
	}
	return false
}

func (a *advertiser) Announced() []discovery.Record {
	a.lan.mu.Lock()
	defer a.lan.mu.Unlock()
	return discovery.Clone(a.given)
}

func (a *advertiser) Serve(ctx context.Context) error {
	l := a.lan
	l.mu.Lock()
	a.serves = true
	l.advertisers = append(l.advertisers, a)
	a.claimLocked(nil, nil)
	l.changedLocked()
	l.mu.Unlock()

	<-ctx.Done()

	l.mu.Lock()
	a.serves, a.given = false, nil
	l.advertisers = slices.DeleteFunc(l.advertisers, func(other *advertiser) bool { return other == a })
	l.changedLocked()
	l.mu.Unlock()
	return nil
}

type browser struct{ lan *LAN }

func (b browser) Browse(ctx context.Context, types []string, see func([]discovery.Record)) error {
	wait := time.NewTimer(firstLook)
	defer wait.Stop()
	var last []discovery.Record
	told := false
	for {
		list, changed := b.lan.list(types)
		if (told || len(list) > 0) && !discovery.Equal(list, last) {
			last, told = list, true
			see(discovery.Clone(list))
		}
		select {
		case <-ctx.Done():
			return nil
		case <-changed:
		case <-wait.C:
			if !told {
				told = true
				see(nil)
			}
		}
	}
}

// list is what is announced of these types now, and a channel that is closed when that
// changes.
func (l *LAN) list(types []string) ([]discovery.Record, <-chan struct{}) {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []discovery.Record
	for _, a := range l.advertisers {
		for _, r := range a.given {
			if slices.Contains(types, r.Type) && len(r.Addrs) > 0 {
				r = r.Clone()
				r.Interface = Interface
				list = append(list, r)
			}
		}
	}
	discovery.Sort(list)
	return list, l.changed
}
