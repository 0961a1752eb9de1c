package discovery

import (
	"context"
	"errors"
	"slices"
	"sync"
)

// Merge makes one Browser of several. Of records of the same type, name and interface it
// shows the one of the first Browser that sees it. Those that can never work here do not
// stop the others; Browse returns their errors when all have ended.
func Merge(browsers ...Browser) Browser { return merged(browsers) }

type merged []Browser

// heard is a list of one of them.
type heard struct {
	who  int
	list []Record
}

func (m merged) Browse(ctx context.Context, types []string, see func([]Record)) error {
	if len(m) == 0 {
		see(nil)
		<-ctx.Done()
		return nil
	}
	lists := make(chan heard)
	errs := make([]error, len(m))
	var running sync.WaitGroup
	for i, b := range m {
		running.Go(func() {
			errs[i] = b.Browse(ctx, types, func(list []Record) {
				select {
				case lists <- heard{i, list}:
				case <-ctx.Done():
				}
			})
			if ctx.Err() != nil {
				return
			}
			select {
			case lists <- heard{i, nil}: // what it saw is no longer known
			case <-ctx.Done():
			}
		})
	}
	ended := make(chan struct{})
	go func() {
		running.Wait()
		close(ended)
	}()
	m.collect(lists, ended, see)
	<-ended
	return errors.Join(errs...)
}

// collect shows the merged lists until all have ended.
func (m merged) collect(lists <-chan heard, ended <-chan struct{}, see func([]Record)) {
	latest := make([][]Record, len(m))
	silent := map[int]bool{}
	for i := range m {
		silent[i] = true
	}
	var last []Record
	told := false
	for {
		var h heard
		select {
		case <-ended:
			return
		case h = <-lists:
		}
		latest[h.who] = h.list
		delete(silent, h.who)
		list := join(latest)
		if told && Equal(list, last) || !told && len(list) == 0 && len(silent) > 0 {
			continue
		}
		told, last = true, list
		see(Clone(list))
	}
}

func join(lists [][]Record) []Record {
	var all []Record
	for _, list := range lists {
		all = append(all, list...)
	}
	Sort(all)
	return slices.CompactFunc(all, func(a, b Record) bool { return compare(a, b) == 0 })
}
