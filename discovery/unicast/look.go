package unicast

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/miekg/dns"

	"github.com/platen-scan/platen/discovery"
)

const (
	lookFor = 30 * time.Second // one look altogether
	atOnce  = 8                // instances that are looked up
)

// key is what tells records apart.
type key struct{ typ, name string }

// found is a record that was looked up.
type found struct {
	record discovery.Record
	ttl    time.Duration
	until  time.Time // how long it is kept if it cannot be looked up again
}

// look looks up everything. What could not be looked up now is taken from known while it
// may be kept; the error is the first one.
func (b *Browser) look(ctx context.Context, types []string, known map[key]found) (map[key]found, error) {
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	var first error
	now := map[key]found{}
	for _, typ := range types {
		names, err := b.instances(ctx, typ)
		if err != nil {
			for k, f := range known {
				if k.typ == typ && time.Now().Before(f.until) {
					now[k] = f
				}
			}
		} else {
			err = b.resolve(ctx, typ, names, known, now)
		}
		if first == nil && err != nil {
			first = err
		}
	}
	return now, first
}

// instances are the full names of a type's instances by what is shown of them.
func (b *Browser) instances(ctx context.Context, typ string) (map[key]string, error) {
	owner := typ + "." + b.domain
	rrs, err := b.ask(ctx, owner, dns.TypePTR)
	if err != nil {
		return nil, err
	}
	names := map[key]string{}
	for _, rr := range rrs {
		ptr, ok := rr.(*dns.PTR)
		if !ok {
			continue
		}
		labels := dns.Split(ptr.Ptr)
		if len(labels) < 2 || !strings.EqualFold(ptr.Ptr[labels[1]:], owner) {
			continue
		}
		name := discovery.Clean(discovery.Unescape(ptr.Ptr[:labels[1]-1]))
		k := key{typ, name}
		if _, twice := names[k]; name != "" && !twice && len(names) < discovery.MaxSeen {
			names[k] = ptr.Ptr
		}
	}
	return names, nil
}

// resolve adds the records of these instances to all.
func (b *Browser) resolve(ctx context.Context, typ string, names map[key]string, known, all map[key]found) error {
	var (
		mu    sync.Mutex
		first error
		group sync.WaitGroup
	)
	slots := make(chan struct{}, atOnce)
	for k, full := range names {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			f, err := b.record(ctx, full)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
				f.record.Type, f.record.Name = typ, k.name
				f.until = time.Now().Add(bound(f.ttl))
				all[k] = f
				return
			case errors.Is(err, errIncomplete):
				return
			}
			if old, there := known[k]; there && time.Now().Before(old.until) {
				all[k] = old
			}
			if first == nil {
				first = err
			}
		})
	}
	group.Wait()
	return first
}

var errIncomplete = errors.New("instance is not complete")

// record looks up one instance.
func (b *Browser) record(ctx context.Context, full string) (found, error) {
	f := found{ttl: maxEvery}
	srvs, err := b.ask(ctx, full, dns.TypeSRV)
	if err != nil {
		return f, err
	}
	i := slices.IndexFunc(srvs, func(rr dns.RR) bool { s, ok := rr.(*dns.SRV); return ok && s.Port != 0 && s.Target != "." })
	if i < 0 {
		return f, errIncomplete
	}
	srv := srvs[i].(*dns.SRV)
	f.live(srv)
	host := discovery.Unescape(strings.TrimSuffix(srv.Target, "."))
	if !discovery.ValidHost(host) {
		return f, errIncomplete
	}
	f.record.Host, f.record.Port = host, srv.Port
	texts, err := b.ask(ctx, full, dns.TypeTXT)
	if err != nil {
		return f, err
	}
	i = slices.IndexFunc(texts, func(rr dns.RR) bool { return rr.Header().Rrtype == dns.TypeTXT })
	if i < 0 {
		return f, errIncomplete
	}
	f.live(texts[i])
	var text []string
	for _, s := range texts[i].(*dns.TXT).Txt {
		text = append(text, discovery.Unescape(s))
	}
	f.record.Text = discovery.ParseText(text)
	if err := b.addrs(ctx, srv.Target, &f); err != nil {
		return f, err
	}
	if len(f.record.Addrs) == 0 {
		return f, errIncomplete
	}
	return f, nil
}

// addrs looks up the addresses of a host. Those of one link only are of no use: which
// link, is not said.
func (b *Browser) addrs(ctx context.Context, host string, f *found) error {
	var failed error
	for _, qtype := range []uint16{dns.TypeA, dns.TypeAAAA} {
		rrs, err := b.ask(ctx, host, qtype)
		if err != nil {
			failed = err
			continue
		}
		for _, rr := range rrs {
			var addr netip.Addr
			switch rr := rr.(type) {
			case *dns.A:
				addr, _ = netip.AddrFromSlice(rr.A)
			case *dns.AAAA:
				addr, _ = netip.AddrFromSlice(rr.AAAA)
			}
			addr = addr.Unmap()
			if !discovery.Usable(addr) || addr.IsLinkLocalUnicast() || slices.Contains(f.record.Addrs, addr) || len(f.record.Addrs) >= discovery.MaxAddrs {
				continue
			}
			f.live(rr)
			f.record.Addrs = append(f.record.Addrs, addr)
		}
	}
	discovery.SortAddrs(f.record.Addrs)
	if len(f.record.Addrs) > 0 {
		return nil
	}
	return failed
}

// live bounds how long f is true by one of its records.
func (f *found) live(rr dns.RR) {
	f.ttl = min(f.ttl, time.Duration(rr.Header().Ttl)*time.Second)
}

// ask asks one question. That there is no such name is an answer, an empty one.
func (b *Browser) ask(ctx context.Context, name string, qtype uint16) ([]dns.RR, error) {
	m := new(dns.Msg)
	m.SetQuestion(name, qtype)
	m.SetEdns0(udpSize, false)
	r, err := b.exchange(ctx, m)
	if err != nil {
		return nil, err
	}
	switch r.Rcode {
	case dns.RcodeSuccess:
		return r.Answer, nil
	case dns.RcodeNameError:
		return nil, nil
	}
	return nil, fmt.Errorf("name server: %s", dns.RcodeToString[r.Rcode])
}
