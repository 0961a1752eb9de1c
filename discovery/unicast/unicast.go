package unicast

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

const (
	// lookEvery is how often is looked at most.
	lookEvery = time.Minute
	// minEvery and maxEvery bound how often is looked, and how long something is kept that
	// cannot be looked up again.
	minEvery = 10 * time.Second
	maxEvery = 10 * time.Minute
	// firstLook is how long Browse waits before it says that nothing is there.
	firstLook = time.Second
)

// Config is what a Browser is made of.
type Config struct {
	Domain string // where services are registered: "example.com"
	// Servers are the name servers' addresses, with a port if it is not 53. Empty: those of
	// the system, read anew each time.
	Servers []string
	Log     *slog.Logger // nil: none
}

// Browser looks for services with a name server.
type Browser struct {
	domain   string // with the last dot
	log      *slog.Logger
	exchange func(context.Context, *dns.Msg) (*dns.Msg, error)
}

var _ discovery.Browser = (*Browser)(nil)

// New returns a Browser.
func New(c Config) *Browser {
	b := &Browser{domain: dns.Fqdn(strings.TrimPrefix(c.Domain, ".")), log: c.Log, exchange: servers(c.Servers).exchange}
	if b.log == nil {
		b.log = slog.New(slog.DiscardHandler)
	}
	return b
}

// Browse implements discovery.Browser. It returns an error only if the domain is none.
func (b *Browser) Browse(ctx context.Context, types []string, see func([]discovery.Record)) error {
	if _, ok := dns.IsDomainName(b.domain); !ok || b.domain == "." {
		return errors.New("unicast: not a domain to look in")
	}
	lists := make(chan []discovery.Record)
	var looking sync.WaitGroup
	defer looking.Wait()
	looking.Go(func() { b.poll(ctx, types, lists) })
	wait := time.NewTimer(firstLook)
	defer wait.Stop()
	var last []discovery.Record
	told := false
	for {
		select {
		case <-ctx.Done():
			return nil
		case list := <-lists:
			if !told || !discovery.Equal(list, last) {
				told, last = true, list
				see(discovery.Clone(list))
			}
		case <-wait.C:
			if !told {
				told = true
				see(nil)
			}
		}
	}
}

// poll sends what is there, again and again until ctx ends.
func (b *Browser) poll(ctx context.Context, types []string, lists chan<- []discovery.Record) {
	known := map[key]found{}
	failing := false
	for {
		next := lookEvery
		var err error
		known, err = b.look(ctx, types, known)
		if ctx.Err() != nil {
			return
		}
		if err != nil && !failing {
			b.log.Warn("looking for services with the name server failed", "domain", b.domain, "error", err)
		}
		failing = err != nil
		var list []discovery.Record
		for _, f := range known {
			list = append(list, f.record)
			next = min(next, f.ttl)
		}
		discovery.Sort(list)
		select {
		case lists <- list:
		case <-ctx.Done():
			return
		}
		select {
		case <-time.After(bound(next)):
		case <-ctx.Done():
			return
		}
	}
}

func bound(d time.Duration) time.Duration { return min(max(d, minEvery), maxEvery) }
