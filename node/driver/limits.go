package driver

import "time"

// Limits are how long a node waits for a worker. Zero means the default.
type Limits struct {
	Start  time.Duration // from the process's start to its hello; default 10 s
	List   time.Duration // for a listing, start included; default 20 s
	Open   time.Duration // default 60 s
	Ask    time.Duration // for capabilities and status; default 30 s
	Silent time.Duration // in a scan, without bytes or progress; default 60 s
	Grace  time.Duration // from the cancellation of a silent scan to SIGKILL; default 5 s
	Cancel time.Duration // from Cancel to SIGKILL; default 1.5 s
	Close  time.Duration // from Close to SIGKILL; default 5 s
}

func (l Limits) withDefaults() Limits {
	for _, f := range []struct {
		d    *time.Duration
		zero time.Duration
	}{
		{&l.Start, 10 * time.Second},
		{&l.List, 20 * time.Second},
		{&l.Open, 60 * time.Second},
		{&l.Ask, 30 * time.Second},
		{&l.Silent, 60 * time.Second},
		{&l.Grace, 5 * time.Second},
		{&l.Cancel, 1500 * time.Millisecond},
		{&l.Close, 5 * time.Second},
	} {
		if *f.d <= 0 {
			*f.d = f.zero
		}
	}
	return l
}
