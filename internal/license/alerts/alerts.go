package alerts

import (
	"cmp"
	"context"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// Config is what Alerts are made of.
type Config struct {
	Records access.Records
	Server  *identity.Identity // signs webhooks
	Name    string             // of the server, for people
	Mail    Mail
	// Items are what is watched, as it is now; nil: nothing.
	Items func(ctx context.Context) ([]Item, error)
	// Idle reports that another server watches and sends at the moment; nil: none ever does.
	Idle func() bool
	// Away is for which server this one stands in, and since when that one was not heard of,
	// which is an alert if it lasts. Else since is zero, and this one is idle. nil: it never
	// stands in.
	Away  func() (main string, since time.Time)
	Every time.Duration    // at which they are looked at; 0: a minute
	Roots *x509.CertPool   // for mail server and webhooks; nil: the system's
	Now   func() time.Time // nil: time.Now
	Log   *slog.Logger     // nil: discarded
}

// Item is what is known of a licence.
type Item struct {
	ID           string
	Revision     int
	Organisation string
	Customer     string
	Used         int64
	Quantity     int64  // 0: nothing is counted
	Counted      string // what it counts, for people: "pages"
	Period       string // in which it counts, as "2026-11"; "": its whole time
	Expires      time.Time
}

// Alerts watches items and sends. Its methods are safe for concurrent use.
type Alerts struct {
	cfg  Config
	wake chan struct{}
}

// New makes Alerts. It starts nothing.
func New(cfg Config) *Alerts {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.Log == nil {
		cfg.Log = slog.New(slog.DiscardHandler)
	}
	cfg.Every = cmp.Or(cfg.Every, time.Minute)
	return &Alerts{cfg: cfg, wake: make(chan struct{}, 1)}
}

const (
	settingsKey = "alerts.settings"
	eventKey    = "alerts.event."
	shown       = 50 // alerts in the history
	// longAway is for how long a main server may be away before that is told.
	longAway = 15 * time.Minute
	// forgetAfter is when an alert may come up again for the same thing.
	forgetAfter = 400 * 24 * time.Hour
)

// defaults are good until somebody sets others: nothing is sent, and the history shows what would be.
func defaults() api.AlertSettings {
	return api.AlertSettings{Thresholds: []int{80, 95, 100}, ExpiryDays: []int{30, 7, 1}}
}

// Settings are those that Set has stored, or the defaults.
func (a *Alerts) Settings(ctx context.Context) (api.AlertSettings, error) {
	s, _, err := a.settings(ctx)
	return s, err
}

func (a *Alerts) settings(ctx context.Context) (s api.AlertSettings, revision uint64, err error) {
	value, revision, err := a.cfg.Records.Get(ctx, settingsKey)
	if errors.Is(err, access.ErrNoRecord) {
		return defaults(), 0, nil
	}
	if err == nil {
		err = json.Unmarshal(value, &s)
	}
	if err != nil {
		return s, 0, fmt.Errorf("reading the settings of alerts: %w", err)
	}
	return s, revision, nil
}

// Set stores settings. Errors of what they say are SettingInvalid.
func (a *Alerts) Set(ctx context.Context, s api.AlertSettings) error {
	if err := a.check(s); err != nil {
		return err
	}
	s.Thresholds, s.ExpiryDays = slices.Clone(s.Thresholds), slices.Clone(s.ExpiryDays)
	slices.Sort(s.Thresholds)
	slices.Sort(s.ExpiryDays)
	slices.Reverse(s.ExpiryDays)
	value, err := json.Marshal(s)
	if err != nil {
		return err
	}
	for {
		_, revision, err := a.settings(ctx)
		if err == nil && revision == 0 {
			_, err = a.cfg.Records.Create(ctx, settingsKey, value, time.Time{})
		} else if err == nil {
			_, err = a.cfg.Records.Update(ctx, settingsKey, value, time.Time{}, revision)
		}
		if errors.Is(err, access.ErrConflict) {
			continue // the last one who sets them wins
		}
		if err != nil {
			return fmt.Errorf("storing the settings of alerts: %w", err)
		}
		a.kick()
		return nil
	}
}

// check judges settings, each member by the contract's limits.
func (a *Alerts) check(s api.AlertSettings) error {
	numbers := func(name string, list []int, least, most int) error {
		if len(list) > 10 {
			return problem.New(problem.SettingInvalid, "At most 10.").At(name)
		}
		for i, n := range list {
			if n < least || n > most || slices.Contains(list[:i], n) {
				return problem.New(problem.SettingInvalid, "Each is from %d to %d, and there once.", least, most).At(name)
			}
		}
		return nil
	}
	if err := numbers("thresholds", s.Thresholds, 1, 200); err != nil {
		return err
	}
	if err := numbers("expiryDays", s.ExpiryDays, 0, 365); err != nil {
		return err
	}
	if len(s.Mail) > 20 || len(s.Webhooks) > 10 {
		return problem.New(problem.SettingInvalid, "At most 20 addresses and 10 webhooks.").At("mail")
	}
	for _, to := range s.Mail {
		if _, err := parseAddress(string(to)); err != nil {
			return problem.New(problem.SettingInvalid, "%q is not an address as admin@example.com.", to).At("mail")
		}
	}
	for _, to := range s.Webhooks {
		if err := parseWebhook(to); err != nil {
			return problem.New(problem.SettingInvalid, "%q cannot be a webhook: %v.", to, err).At("webhooks")
		}
	}
	return nil
}

// State is what the page for alerts shows.
func (a *Alerts) State(ctx context.Context) (api.Alerts, error) {
	s, err := a.Settings(ctx)
	if err != nil {
		return api.Alerts{}, err
	}
	events, err := a.events(ctx)
	if err != nil {
		return api.Alerts{}, err
	}
	state := api.Alerts{
		Settings: s, MailPossible: a.cfg.Mail.Server != "", Last: []api.Alert{},
		WebhookKey: base64.RawURLEncoding.EncodeToString(a.cfg.Server.Public()),
	}
	for _, e := range events[:min(shown, len(events))] {
		state.Last = append(state.Last, e.shown())
	}
	return state, nil
}

// raise makes an alert, once for each name. When one with the name is there already nothing
// happens.
func (a *Alerts) raise(ctx context.Context, name string, alert api.Alert, s api.AlertSettings) error {
	alert.Id, alert.At = scan.RandomText(20), scan.At(a.cfg.Now())
	e := event{Alert: alert, Messages: a.messages(s)}
	err := a.create(ctx, name, e)
	if errors.Is(err, access.ErrConflict) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("storing an alert: %w", err)
	}
	a.kick()
	return nil
}

func (a *Alerts) create(ctx context.Context, name string, e event) error {
	value, err := json.Marshal(e)
	if err == nil {
		_, err = a.cfg.Records.Create(ctx, eventKey+name, value, a.cfg.Now().Add(forgetAfter))
	}
	return err
}

// kick lets Serve look at once.
func (a *Alerts) kick() {
	select {
	case a.wake <- struct{}{}:
	default:
	}
}

// Serve watches the items and sends what is due, until ctx ends. Every goroutine that it
// started has ended then.
func (a *Alerts) Serve(ctx context.Context) error {
	for {
		wait := a.cfg.Every
		if !a.idle() {
			if next := a.look(ctx); next > 0 {
				wait = min(wait, next)
			}
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(wait):
		case <-a.wake:
		}
	}
}

// idle reports whether another server watches and sends.
func (a *Alerts) idle() bool {
	if a.cfg.Away != nil {
		_, since := a.cfg.Away()
		return since.IsZero()
	}
	return a.cfg.Idle != nil && a.cfg.Idle()
}

// look raises and sends what there is, and answers when more is to be sent; 0: nothing waits.
func (a *Alerts) look(ctx context.Context) time.Duration {
	if err := a.Check(ctx); err != nil && ctx.Err() == nil {
		a.cfg.Log.Error("licences cannot be watched", "error", err)
	}
	next, err := a.sendDue(ctx)
	if err != nil && ctx.Err() == nil {
		a.cfg.Log.Error("alerts cannot be sent", "error", err)
	}
	return next
}

// Check raises what is to be raised of the items as they are now.
func (a *Alerts) Check(ctx context.Context) error {
	if a.cfg.Items == nil {
		return nil
	}
	items, err := a.cfg.Items(ctx)
	if err != nil {
		return err
	}
	s, err := a.Settings(ctx)
	if err != nil {
		return err
	}
	there, err := a.names(ctx)
	if err != nil {
		return err
	}
	raise := func(name string, alert api.Alert, messages api.AlertSettings) error {
		if there[name] {
			return nil
		}
		return a.raise(ctx, name, alert, messages)
	}
	if err := a.checkMain(s, raise); err != nil {
		return err
	}
	for _, i := range items {
		if err := i.check(s, a.cfg.Now(), raise); err != nil {
			return err
		}
	}
	return nil
}

// checkMain raises that the main server is away for long, once.
func (a *Alerts) checkMain(s api.AlertSettings, raise func(string, api.Alert, api.AlertSettings) error) error {
	if a.cfg.Away == nil {
		return nil
	}
	main, since := a.cfg.Away()
	if since.IsZero() || a.cfg.Now().Sub(since) < longAway {
		return nil
	}
	text := fmt.Sprintf("The licence tracking server at %s has not answered its standby %s since %s UTC. The standby renews what was leased and hands out what was free then; nothing can be changed until the main server is back.",
		main, a.cfg.Name, since.UTC().Format("2006-01-02 15:04"))
	return raise("away."+since.UTC().Format("20060102150405"), api.Alert{Type: api.AlertTypeAway, Text: text}, s)
}

// check raises what is to be raised of one item.
func (i Item) check(s api.AlertSettings, now time.Time, raise func(string, api.Alert, api.AlertSettings) error) error {
	base := fmt.Sprintf("%s.%d.", i.ID, i.Revision)
	for _, percent := range s.Thresholds {
		// Not Used*100: it could be too large a number.
		if i.Quantity < 1 || float64(i.Used)*100 < float64(i.Quantity)*float64(percent) {
			continue
		}
		alert := api.Alert{Type: api.AlertTypeUsage, Item: i.ID, Organisation: i.Organisation, Percent: percent, Text: i.used(percent)}
		if err := raise(base+"usage."+cmp.Or(i.Period, "whole")+"."+fmt.Sprint(percent), alert, s); err != nil {
			return err
		}
	}
	if i.Expires.IsZero() {
		return nil
	}
	// Of several days that are past at once, as with an item that was just added, only the
	// last one is told.
	passed := slices.DeleteFunc(slices.Clone(s.ExpiryDays), func(days int) bool {
		return now.Before(i.Expires.Add(-time.Duration(days) * 24 * time.Hour))
	})
	slices.Sort(passed)
	for at, days := range passed {
		alert := api.Alert{Type: api.AlertTypeExpiry, Item: i.ID, Organisation: i.Organisation, Days: days, Text: i.ends(now)}
		messages := s
		if at > 0 {
			messages.Mail, messages.Webhooks = nil, nil
			alert.Text = ""
		}
		if err := raise(base+"expiry."+i.Expires.UTC().Format("20060102")+"."+fmt.Sprint(days), alert, messages); err != nil {
			return err
		}
	}
	return nil
}

func (i Item) name() string {
	return fmt.Sprintf("Licence %s of %s", i.ID, cmp.Or(i.Customer, i.Organisation, "nobody"))
}

func (i Item) used(percent int) string {
	period := ""
	if i.Period != "" {
		period = " in " + i.Period
	}
	return fmt.Sprintf("%s has used %d of %d %s%s: %d per cent or more. When none are left, new scans are refused; what was scanned stays there to be fetched.",
		i.name(), i.Used, i.Quantity, cmp.Or(i.Counted, "units"), period, percent)
}

func (i Item) ends(now time.Time) string {
	on := i.Expires.UTC().Format("2006-01-02 15:04") + " UTC"
	if !now.Before(i.Expires) {
		return i.name() + " ended on " + on + ". New scans are refused; what was scanned stays there to be fetched."
	}
	return i.name() + " ends on " + on + ". Renew it with the vendor."
}

// subject is one line of an alert.
func subject(a api.Alert) string {
	what := map[api.AlertType]string{
		api.AlertTypeUsage: fmt.Sprintf("%d per cent of a licence are used", a.Percent), api.AlertTypeExpiry: "a licence ends",
		api.AlertTypeAway: "a licence tracking server is away",
		api.AlertTypeTest: "a test",
	}[a.Type]
	return strings.TrimSpace("Platen: " + what + " " + a.Organisation)
}
