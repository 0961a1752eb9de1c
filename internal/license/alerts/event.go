package alerts

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/scan"
)

// event is an alert with what is to be sent of it.
type event struct {
	Alert    api.Alert `json:"alert"`
	Messages []message `json:"messages,omitempty"`

	name string
}

// message is an alert on one way.
type message struct {
	To    string    `json:"to"`
	Mail  bool      `json:"mail,omitempty"`
	Tries int       `json:"tries,omitempty"`
	Next  scan.Time `json:"next,omitzero"` // not before; zero: at once
	Done  bool      `json:"done,omitempty"`
	OK    bool      `json:"ok,omitempty"`
	Fault string    `json:"fault,omitempty"`
}

const (
	// claim is how long a server that has taken a message has for it before another one may
	// take it: longer than sending can take.
	claim = 2 * time.Minute
	// atOnce is how many messages are under way at the same time.
	atOnce = 4
)

// backOff is the time from one attempt to the next; behind the last one the message is
// given up. All of it is about a day.
var backOff = []time.Duration{time.Minute, 5 * time.Minute, 30 * time.Minute, 2 * time.Hour, 6 * time.Hour, 16 * time.Hour}

// messages are those that the settings ask for.
func (a *Alerts) messages(s api.AlertSettings) (list []message) {
	for _, to := range s.Mail {
		list = append(list, message{To: string(to), Mail: true})
	}
	for _, to := range s.Webhooks {
		list = append(list, message{To: to})
	}
	return list
}

// shown is the alert as people see it.
func (e event) shown() api.Alert {
	alert := e.Alert
	for _, m := range e.Messages {
		sent := api.AlertSent{To: m.To, Ok: m.OK, Fault: m.Fault}
		if !m.Done && m.Fault == "" {
			sent.Fault = "It was not sent yet."
		}
		alert.Sent = append(alert.Sent, sent)
	}
	return alert
}

// names are those of all alerts that came up, told or not.
func (a *Alerts) names(ctx context.Context) (map[string]bool, error) {
	names := map[string]bool{}
	err := a.cfg.Records.List(ctx, eventKey, func(key string, _ []byte) error {
		names[strings.TrimPrefix(key, eventKey)] = true
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing alerts: %w", err)
	}
	return names, nil
}

// events are the alerts that people see, the newest first.
func (a *Alerts) events(ctx context.Context) (list []event, err error) {
	err = a.cfg.Records.List(ctx, eventKey, func(key string, value []byte) error {
		e := event{name: strings.TrimPrefix(key, eventKey)}
		if err := json.Unmarshal(value, &e); err != nil {
			return err
		}
		if e.Alert.Text != "" {
			list = append(list, e)
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("listing alerts: %w", err)
	}
	slices.SortFunc(list, func(a, b event) int {
		return cmp.Or(b.Alert.At.Compare(a.Alert.At.Time), cmp.Compare(b.Alert.Id, a.Alert.Id))
	})
	return list, nil
}

// sendDue sends what is due, and answers when more is; 0: nothing waits.
func (a *Alerts) sendDue(ctx context.Context) (next time.Duration, err error) {
	events, err := a.events(ctx)
	if err != nil {
		return 0, err
	}
	s, err := a.Settings(ctx)
	if err != nil {
		return 0, err
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for at, e := range events {
		waits := false
		for i, m := range e.Messages {
			if m.Done {
				continue
			}
			waits = true
			if m.Mail && a.cfg.Away != nil && a.cfg.Mail.Server == "" {
				continue // the main server sends it when it is back
			}
			if wait := m.Next.Sub(a.cfg.Now()); wait > 0 {
				next = sooner(next, wait)
				continue
			}
			next = sooner(next, time.Second)
			slots <- struct{}{}
			wg.Go(func() {
				defer func() { <-slots }()
				if err := a.deliver(ctx, e.name, i, s); err != nil && ctx.Err() == nil {
					a.cfg.Log.Error("an alert cannot be sent", "alert", e.Alert.Id, "error", err)
				}
			})
		}
		if at >= shown && !waits {
			a.forget(ctx, e.name)
		}
	}
	wg.Wait()
	return next, nil
}

func sooner(a, b time.Duration) time.Duration {
	if a == 0 {
		return b
	}
	return min(a, b)
}

// change replaces what the record of an event says, unless edit answers false.
func (a *Alerts) change(ctx context.Context, name string, edit func(*event) bool) error {
	for {
		value, revision, err := a.cfg.Records.Get(ctx, eventKey+name)
		if errors.Is(err, access.ErrNoRecord) {
			return nil
		}
		var e event
		if err == nil {
			err = json.Unmarshal(value, &e)
		}
		if err != nil {
			return fmt.Errorf("reading an alert: %w", err)
		}
		at := e.Alert.At
		if !edit(&e) {
			return nil
		}
		if value, err = json.Marshal(e); err != nil {
			return err
		}
		_, err = a.cfg.Records.Update(ctx, eventKey+name, value, at.Add(forgetAfter), revision)
		if !errors.Is(err, access.ErrConflict) {
			return err
		}
	}
}

// deliver takes a message, sends it and writes down what came of it. It does nothing where
// somebody else has taken it.
func (a *Alerts) deliver(ctx context.Context, name string, i int, s api.AlertSettings) error {
	var taken message
	var alert api.Alert
	err := a.change(ctx, name, func(e *event) bool {
		taken = message{}
		if i >= len(e.Messages) || e.Messages[i].Done || e.Messages[i].Next.After(a.cfg.Now()) {
			return false
		}
		m := &e.Messages[i]
		m.Tries++
		m.Next = scan.At(a.cfg.Now().Add(claim))
		taken, alert = *m, e.Alert
		return true
	})
	if err != nil || taken.To == "" {
		return err
	}
	sent := a.send(ctx, taken, alert, s)
	if ctx.Err() != nil {
		// Cut off by our own end: the next start tries again, and this was no try.
		ctx = context.WithoutCancel(ctx)
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, 5*time.Second)
		defer cancel()
		if sent != nil {
			return a.change(ctx, name, func(e *event) bool {
				m := &e.Messages[i]
				m.Tries, m.Next = m.Tries-1, scan.Time{}
				return true
			})
		}
	}
	return a.change(ctx, name, func(e *event) bool {
		m := &e.Messages[i]
		m.OK, m.Done, m.Fault, m.Next = sent == nil, sent == nil, "", scan.Time{}
		if sent == nil {
			return true
		}
		m.Fault = sent.Error()
		if errors.Is(sent, errNotSet) || m.Tries > len(backOff) {
			m.Done = true
			return true
		}
		m.Next = scan.At(a.cfg.Now().Add(backOff[m.Tries-1]))
		return true
	})
}

var errNotSet = errors.New("it was taken out of the settings")

// send sends a message, once.
func (a *Alerts) send(ctx context.Context, m message, alert api.Alert, s api.AlertSettings) error {
	if m.Mail {
		for _, to := range s.Mail {
			if string(to) == m.To {
				return a.cfg.Mail.send(ctx, a.cfg.Roots, m.To, a.letter(m.To, alert))
			}
		}
		return errNotSet
	}
	if !slices.Contains(s.Webhooks, m.To) {
		return errNotSet
	}
	return a.post(ctx, m.To, alert)
}

// forget leaves nothing of an alert but its name.
func (a *Alerts) forget(ctx context.Context, name string) {
	err := a.change(ctx, name, func(e *event) bool {
		*e = event{}
		return true
	})
	if err != nil && ctx.Err() == nil {
		a.cfg.Log.Error("an old alert cannot be put away", "error", err)
	}
}

// Test sends a message by every way that is set, once, and answers what came of it.
func (a *Alerts) Test(ctx context.Context) (api.AlertTest, error) {
	s, err := a.Settings(ctx)
	if err != nil {
		return api.AlertTest{}, err
	}
	e := event{
		Alert:    api.Alert{Id: scan.RandomText(20), Type: api.AlertTypeTest, At: scan.At(a.cfg.Now()), Text: "This is a test. Alerts of " + a.cfg.Name + " arrive here."},
		Messages: a.messages(s),
	}
	var wg sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for i := range e.Messages {
		slots <- struct{}{}
		wg.Go(func() {
			defer func() { <-slots }()
			m := &e.Messages[i]
			err := a.send(ctx, *m, e.Alert, s)
			m.Tries, m.Done, m.OK = 1, true, err == nil
			if err != nil {
				m.Fault = err.Error()
			}
		})
	}
	wg.Wait()
	result := api.AlertTest{Sent: []api.AlertSent{}}
	result.Sent = append(result.Sent, e.shown().Sent...)
	if err := a.create(ctx, "test."+e.Alert.Id, e); err != nil {
		return result, fmt.Errorf("storing an alert: %w", err)
	}
	return result, nil
}
