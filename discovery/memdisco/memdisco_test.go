package memdisco

import (
	"context"
	"net/netip"
	"reflect"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/discovery"
)

// watcher keeps what a Browser showed.
type watcher struct {
	mu    sync.Mutex
	lists [][]discovery.Record
}

func (w *watcher) see(list []discovery.Record) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.lists = append(w.lists, list)
}

func (w *watcher) all() [][]discovery.Record {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.lists
}

func (w *watcher) names() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.lists) == 0 {
		return "nothing"
	}
	var names []string
	for _, r := range w.lists[len(w.lists)-1] {
		names = append(names, r.Name)
	}
	return strings.Join(names, "|")
}

func start(t *testing.T, serve func(context.Context) error) context.CancelFunc {
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() { done <- serve(ctx) }()
	stop := func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("ended with %v, want nil", err)
		}
		synctest.Wait()
	}
	synctest.Wait()
	return stop
}

func TestLAN(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := NewLAN()
		var w watcher
		stopBrowser := start(t, func(ctx context.Context) error {
			return lan.Browser().Browse(ctx, []string{discovery.TypeNode}, w.see)
		})
		if got := w.names(); got != "nothing" {
			t.Errorf("before a second the browser saw %q, want nothing", got)
		}
		time.Sleep(time.Second)
		synctest.Wait()
		if got := w.all(); len(got) != 1 || len(got[0]) != 0 {
			t.Fatalf("after a second the browser saw %v, want one empty list", got)
		}

		record := discovery.Record{Type: discovery.TypeNode, Name: "Front desk", Port: 18623, Text: map[string]string{"id": "a"}}
		one := lan.Advertiser("platen-a", netip.MustParseAddr("192.0.2.1"))
		one.Announce([]discovery.Record{record, {Type: discovery.TypeGateway, Name: "other type", Port: 1}})
		if got := one.Announced(); len(got) != 0 {
			t.Errorf("before Serve Announced() = %v, want none", got)
		}
		stopOne := start(t, one.Serve)
		want := record
		want.Host, want.Addrs, want.Interface = "platen-a.local", []netip.Addr{netip.MustParseAddr("192.0.2.1")}, Interface
		if got := w.all()[1]; !reflect.DeepEqual(got, []discovery.Record{want}) {
			t.Errorf("seen: %+v, want %+v", got, want)
		}

		two := lan.Advertiser("platen-b", netip.MustParseAddr("192.0.2.2"))
		two.Announce([]discovery.Record{{Type: discovery.TypeNode, Name: "FRONT desk", Port: 1}})
		stopTwo := start(t, two.Serve)
		if got, want := w.names(), "Front desk|FRONT desk (2)"; got != want {
			t.Errorf("two of one name: %q, want %q", got, want)
		}
		if got := two.Announced(); len(got) != 1 || got[0].Name != "FRONT desk (2)" || got[0].Host != "platen-b.local" {
			t.Errorf("Announced() = %v, want the name with its number", got)
		}

		stopOne()
		if got, want := w.names(), "FRONT desk (2)"; got != want {
			t.Errorf("after a goodbye: %q, want %q", got, want)
		}
		two.Announce([]discovery.Record{{Type: discovery.TypeNode, Name: "FRONT desk", Port: 2}, {Type: discovery.TypeNode, Name: "Back", Port: 3}})
		synctest.Wait()
		if got, want := w.names(), "Back|FRONT desk (2)"; got != want {
			t.Errorf("a name was not kept: %q, want %q", got, want)
		}
		two.Announce(nil)
		synctest.Wait()
		if got := w.names(); got != "" {
			t.Errorf("after all were taken back: %q, want none", got)
		}
		stopTwo()
		stopBrowser()
	})
}

func TestNoAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		lan := NewLAN()
		host := lan.Advertiser("platen-a")
		host.Announce([]discovery.Record{{Type: discovery.TypeNode, Name: "lost", Port: 1},
			{Type: discovery.TypeNode, Name: "own", Port: 1, Addrs: []netip.Addr{netip.MustParseAddr("192.0.2.9")}}})
		defer start(t, host.Serve)()
		var w watcher
		defer start(t, func(ctx context.Context) error { return lan.Browser().Browse(ctx, []string{discovery.TypeNode}, w.see) })()
		if got, want := w.names(), "own"; got != want {
			t.Errorf("seen: %q, want %q", got, want)
		}
	})
}
