package setup

import (
	"context"
	"errors"
	"log/slog"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/platen-scan/platen/internal/config"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const web = "[node]\nEnableWebSetup=TRUE\n"

func TestDryRunChangesNothing(t *testing.T) {
	w := newWorld(t, api.SetupRoleNode, web).validated()
	c, p := w.change(map[string]string{"[node] External": "TRUE", "[node] Drivers": "virtual"}, `,"dryRun":true`)
	if p != nil || c.State != api.SetupChangeStatePlanned || !c.Opens || !c.Restart || len(c.Changes) != 2 || c.Id != "" {
		t.Errorf("dry run = %+v, %v", c, p)
	}
	for _, want := range []string{"Phones of this network can reach Platen at https://192.168.1.5:18623", "restart"} {
		if !strings.Contains(text(c.Effects), want) {
			t.Errorf("effects %q, want %q", c.Effects, want)
		}
	}
	if want := "http://localhost:18625/setup https://192.168.1.5:18626/setup https://[fd00::5]:18626/setup"; strings.Join(c.Addresses, " ") != want {
		t.Errorf("addresses %q, want %q", c.Addresses, want)
	}
	if w.file() != web || w.applied != 0 || len(w.history) != 0 {
		t.Errorf("a dry run left %q, applied %d times, %v", w.file(), w.applied, w.history)
	}
}

func TestPlanSaysThatItIsOnTrial(t *testing.T) {
	w := newWorld(t, api.SetupRoleNode, web)
	for value, trial := range map[string]bool{"[node] HTTPPort": true, "[node] Location": false} {
		before := time.Now()
		c, p := w.change(map[string]string{value: "8000"}, `,"dryRun":true`)
		if left := c.Until.Sub(before); p != nil || trial != (left > trialTime-time.Second && left < 2*trialTime) {
			t.Errorf("planning %s: until %v, %v", value, c.Until, p)
		}
	}
}

func TestNothingToChange(t *testing.T) {
	w := newWorld(t, api.SetupRoleNode, web+"HTTPPort=8000\n").validated()
	for key, value := range map[string]string{"[node] HTTPPort": " 8000", "[node] Location": "", "[log] LogLevel": "info"} {
		c, p := w.change(map[string]string{key: value}, "")
		if p != nil || len(c.Changes) != 0 || c.State != api.SetupChangeStateKept {
			t.Errorf("%s=%q: %+v, %v", key, value, c, p)
		}
	}
	if len(w.history) != 0 || w.trial != nil || w.applied != 0 {
		t.Errorf("it left %v, applied %d times", w.history, w.applied)
	}
}

func TestChangeNeedsConfirmation(t *testing.T) {
	for _, tt := range []struct {
		key, value string
		before     string
		opens      bool
	}{
		{"[node] External", "TRUE", "", true},
		{"[node] TrustLoopback", "TRUE", "TrustLoopback=FALSE", true},
		{"[node] AllowPlainHTTP", "TRUE", "", true},
		{"[node] MaxRole", "admin", "", true},
		{"[node] MaxRole", "user", "", false},
		{"[node] Access-Control-Allow-Origin", "*", "", true},
		{"[node] Access-Control-Allow-Origin", "https://a.example", "", true},
		{"[node] Access-Control-Allow-Origin", "https://a.example", "Access-Control-Allow-Origin=*", false},
		{"[node] Access-Control-Allow-Origin", "", "Access-Control-Allow-Origin=https://a.example", false},
		{"[node] Names", "a.example", "", true},
		{"[node] Address", "192.168.1.5", "", true},
		{"[oidc] DefaultRole", "kiosk", "", true},
		{"[oidc] AdminGroups", "staff", "", true},
		{"[node] Location", "hall", "", false},
		{"[node] HTTPPort", "8000", "", false},
		{"[bonjour] Enable", "FALSE", "", false},
		{"[log] LogLevel", "debug", "", false},
	} {
		w := newWorld(t, api.SetupRoleNode, web+tt.before+"\n")
		before := w.file()
		_, p := w.change(map[string]string{tt.key: tt.value}, "")
		if got := p != nil && p.Code == problem.ConfirmationNeeded; p != nil && !got || got != tt.opens {
			t.Errorf("%s=%s: %v, want confirmation-needed %v", tt.key, tt.value, p, tt.opens)
			continue
		}
		if tt.opens && (w.file() != before || w.applied != 0) {
			t.Errorf("%s=%s was made without confirmation", tt.key, tt.value)
		}
		if c, p := w.change(map[string]string{tt.key: tt.value}, `,"confirmed":true`); tt.opens && (p != nil || len(c.Effects) == 0) {
			t.Errorf("%s=%s confirmed: %+v, %v", tt.key, tt.value, c, p)
		}
	}
}

func TestRefusedChanges(t *testing.T) {
	for _, tt := range []struct {
		name    string
		values  map[string]string
		options string
		env     string
		code    problem.Code
		field   string
	}{
		{"a faulty value", map[string]string{"[node] HTTPPort": "x"}, "", "", problem.SettingInvalid, "values.[node] HTTPPort"},
		{"a line break", map[string]string{"[node] Name": "a\nExternal=TRUE"}, "", "", problem.SettingInvalid, "values.[node] Name"},
		{"an unknown key", map[string]string{"[node] X": "1"}, "", "", problem.SettingInvalid, ""},
		{"the other role's key", map[string]string{"[gateway] Port": "1"}, "", "", problem.SettingInvalid, "values.[gateway] Port"},
		{"values that do not fit", map[string]string{"[acme] Names": "a.example"}, "", "", problem.SettingInvalid, "values.[acme] Agree"},
		{"a variable's key", map[string]string{"[node] HTTPPort": "8000"}, "", "PLATEN_NODE_HTTPPORT=7000", problem.SettingFixed, "values.[node] HTTPPort"},
		{"too long a passing level", map[string]string{"[log] LogLevel": "debug"}, `,"logMinutes":1441`, "", problem.SettingInvalid, "logMinutes"},
		{"a passing port", map[string]string{"[node] HTTPPort": "8000"}, `,"logMinutes":5`, "", problem.SettingInvalid, "logMinutes"},
		{"an unknown level", map[string]string{"[log] LogLevel": "loud"}, `,"logMinutes":5`, "", problem.SettingInvalid, "values.[log] LogLevel"},
	} {
		w := newWorld(t, api.SetupRoleNode, web, tt.env)
		_, p := w.change(tt.values, tt.options+`,"confirmed":true`)
		if p == nil || p.Code != tt.code || p.Field != tt.field || p.Detail == "" {
			t.Errorf("%s: %+v, want %s at %q", tt.name, p, tt.code, tt.field)
		}
		if w.file() != web || w.applied != 0 || len(w.history) != 0 {
			t.Errorf("%s: left %q", tt.name, w.file())
		}
	}
	w := newWorld(t, api.SetupRoleNode, web).validated()
	_, p := w.change(map[string]string{"[node] HTTPPort": "x", "[node] External": "maybe"}, "")
	if p == nil || !strings.Contains(p.Detail, "HTTPPort") || !strings.Contains(p.Detail, "External") {
		t.Errorf("two faults: %v, want both named", p)
	}
}

func TestHotAndRestart(t *testing.T) {
	w := newWorld(t, api.SetupRoleNode, web)
	c := w.must(map[string]string{"[node] Location": "hall"})
	if !c.Restart || c.State != api.SetupChangeStateKept || w.applied != 0 {
		t.Errorf("a key that needs a restart: %+v, applied %d times", c, w.applied)
	}
	c = w.must(map[string]string{"[node] MaxRole": "user"})
	if c.Restart || c.State != api.SetupChangeStateKept || w.applied != 1 || w.running.Node.MaxRole != api.RoleUser {
		t.Errorf("a hot key: %+v, applied %d times", c, w.applied)
	}
	if c = w.must(map[string]string{"[node] MaxRole": "user"}); len(c.Changes) != 0 {
		t.Errorf("the value that it has: %+v", c)
	}
	w.taken = errors.New("port 18623 is in use by nginx (4711)")
	before := w.load()
	if _, p := w.change(map[string]string{"[node] HTTPSPort": "18633"}, ""); p == nil || p.Code != problem.SettingInvalid || !strings.Contains(p.Detail, "nginx") {
		t.Errorf("a taken port: %v", p)
	}
	if w.taken = nil; len(config.Changes(before, w.load())) > 0 || w.trial != nil || w.running.Node.HTTPSPort != 18623 {
		t.Errorf("after a taken port: %q, trial %v", w.file(), w.trial)
	}
	if got, want := w.actions(), "change refused, change ok, change ok, change ok"; got != want {
		t.Errorf("audit: %s, want %s", got, want)
	}
}

func TestTrialGoesBackByItself(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, api.SetupRoleNode, web).validated()
		ended := make(chan error, 1)
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		go func() { ended <- w.Serve(ctx) }()
		c := w.must(map[string]string{"[node] SetupHTTPPort": "9000", "[node] Location": "hall"})
		if c.State != api.SetupChangeStateOnTrial || time.Until(c.Until.Time) > trialTime || w.running.Node.SetupHTTPPort != 9000 {
			t.Fatalf("change = %+v", c)
		}
		if _, p := w.change(map[string]string{"[node] MaxRole": "user"}, ""); p == nil || p.Code != problem.ChangeOnTrial || p.RetryAfter == 0 {
			t.Errorf("a second change: %v, want change-on-trial", p)
		}
		if _, p := w.do(http.MethodPost, "/setup/changes/"+c.Id+"/undo", "", nil); p == nil || p.Code != problem.ChangeUnknown {
			t.Errorf("undoing what is on trial: %v", p)
		}
		if _, p := w.do(http.MethodPost, "/setup/changes/"+c.Id+"/keep", "", nil); p == nil || p.Code != problem.ChangeOnTrial || !strings.Contains(p.Detail, "9000") {
			t.Errorf("keeping it over a connection to the old port: %v", p)
		}
		time.Sleep(trialTime - time.Second) // of the fake clock
		synctest.Wait()
		if got := w.state(c.Id); got != api.SetupChangeStateOnTrial {
			t.Errorf("a second before the end: %s", got)
		}
		time.Sleep(2 * time.Second)
		synctest.Wait()
		if got := w.state(c.Id); got != api.SetupChangeStateReverted || w.running.Node.SetupHTTPPort != 18625 || w.running.Node.Location != "" {
			t.Errorf("after its time: %s, port %d", got, w.running.Node.SetupHTTPPort)
		}
		if got := w.load().Node.SetupHTTPPort; got != 18625 {
			t.Errorf("the file says %d", got)
		}
		if _, p := w.do(http.MethodPost, "/setup/changes/"+c.Id+"/keep", "", nil); p == nil || p.Code != problem.ChangeUnknown {
			t.Errorf("keeping what went back: %v", p)
		}
		if !strings.HasPrefix(w.actions(), "keep refused, revert ok, ") {
			t.Errorf("audit: %s", w.actions())
		}
		c = w.must(map[string]string{"[node] SetupHTTPPort": "9000"})
		w.local = "127.0.0.1:9000"
		if code, p := w.do(http.MethodPost, "/setup/changes/"+c.Id+"/keep", "", &c); p != nil || code != http.StatusOK || c.State != api.SetupChangeStateKept {
			t.Errorf("keeping it from the new address: %d, %v", code, p)
		}
		time.Sleep(2 * trialTime)
		synctest.Wait()
		if w.state(c.Id) != api.SetupChangeStateKept || w.running.Node.SetupHTTPPort != 9000 {
			t.Errorf("what was kept is %s", w.state(c.Id))
		}
		c = w.must(map[string]string{"[node] HTTPPort": "9001"}) // its time must be its own
		time.Sleep(trialTime - time.Second)
		synctest.Wait()
		if got := w.state(c.Id); got != api.SetupChangeStateOnTrial {
			t.Errorf("a second trial: %s", got)
		}
		cancel()
		if err := <-ended; err != nil || w.state(c.Id) != api.SetupChangeStateOnTrial {
			t.Errorf("Serve = %v, and the change is %s; want the next start to put it back", err, w.state(c.Id))
		}
	})
}

func TestWhatGoesOnTrial(t *testing.T) {
	for _, tt := range []struct {
		before, key, value string
		trial              bool
	}{
		{"External=TRUE", "[node] External", "FALSE", true},
		{"", "[node] External", "TRUE", false},
		{"", "[node] HTTPPort", "1", true},
		{"", "[node] HTTPSPort", "1", true},
		{"", "[node] SetupHTTPSPort", "1", true},
		{"", "[node] Address", "192.168.1.5", true},
		{"Names=a.example, b.example", "[node] Names", "a.example", true},
		{"Names=a.example", "[node] Names", "a.example, b.example", false},
		{"", "[node] EnableWebSetup", "FALSE", true},
		{"", "[node] TrustLoopback", "FALSE", true},
		{"AllowPlainHTTP=TRUE", "[node] AllowPlainHTTP", "FALSE", false}, // the caller is on loopback
		{"", "[node] Access-Control-Allow-Origin", "*", false},
		{"", "[log] LogLevel", "debug", false},
		{"", "[oidc] Issuer", "", false},
	} {
		w := newWorld(t, api.SetupRoleNode, web+tt.before+"\n")
		c := w.must(map[string]string{tt.key: tt.value})
		if got := c.State == api.SetupChangeStateOnTrial; got != tt.trial || got != (w.trial != nil) {
			t.Errorf("%s=%s: state %s, want on trial %v", tt.key, tt.value, c.State, tt.trial)
		}
	}
	if !locksOut(config.Change{KeyDoc: config.KeyDoc{Key: "AllowPlainHTTP"}, After: "FALSE"}, arrival{plain: true}) {
		t.Error("who came by plain HTTP can switch it off without a trial")
	}
}

// The page must stay until its going is kept: nobody could keep it otherwise.
func TestSwitchingThePageOff(t *testing.T) {
	for _, value := range []string{"FALSE", ""} {
		w := newWorld(t, api.SetupRoleNode, web)
		c := w.must(map[string]string{"[node] EnableWebSetup": value})
		if c.State != api.SetupChangeStateOnTrial || !w.running.Node.EnableWebSetup || len(c.Addresses) != 0 || w.file() != web {
			t.Errorf("on trial: %+v, %q", c, w.file())
		}
		if _, p := w.do(http.MethodPost, "/setup/changes/"+c.Id+"/keep", "", &c); p != nil || c.State != api.SetupChangeStateKept || w.running.Node.EnableWebSetup {
			t.Errorf("kept: %+v, %v", c, p)
		}
		if w.load().Node.EnableWebSetup {
			t.Error("the file still has the page on")
		}
	}
}

// Whenever the process ends while a change is on trial, the next one starts without it.
func TestCrashInTrial(t *testing.T) {
	w := newWorld(t, api.SetupRoleNode, web+"; mine\nHTTPPort=7000\n")
	c := w.must(map[string]string{"[node] HTTPPort": "7001", "[node] Name": "x", "[oidc] ClientSecret": "hush"})
	if _, err := New(w.config); err == nil {
		t.Error("New goes on while a change is on trial")
	}
	if err := os.WriteFile(w.config.Path, []byte(w.file()+"\n[log]\nLogLevel=warn\n"), 0o600); err != nil { // by hand, meanwhile
		t.Fatal(err)
	}
	w.start()
	if w.running.Node.HTTPPort != 7000 || w.running.Node.Name != "" || w.running.OIDC.ClientSecret != "" || w.running.Log.Level != slog.LevelWarn {
		t.Errorf("after a crash: %+v", w.running)
	}
	if got := w.state(c.Id); got != api.SetupChangeStateReverted {
		t.Errorf("state %s, want reverted", got)
	}
	if !strings.HasPrefix(w.actions(), "revert ok") {
		t.Errorf("audit: %s", w.actions())
	}
	before := w.file()
	w.start()
	if w.file() != before {
		t.Error("a second start changed the file again")
	}
	// The crash came after the trial was noted and before anything else.
	if err := w.setTrial(&trial{ID: "aaaaaaaaaaaaaaaaaaaa", Until: time.Now(), Back: map[string]string{"[node] HTTPPort": "7000"}}); err != nil {
		t.Fatal(err)
	}
	w.start()
	if w.running.Node.HTTPPort != 7000 || w.trial != nil {
		t.Errorf("after a crash at the beginning: %+v", w.running.Node)
	}
}

func TestUndo(t *testing.T) {
	w := newWorld(t, api.SetupRoleNode, web+"MaxRole=kiosk\n").validated()
	first := w.must(map[string]string{"[node] MaxRole": "user", "[node] Location": "hall", "[oidc] ClientSecret": "hush"})
	secret := w.must(map[string]string{"[oidc] ClientSecret": "hush2"})
	off := w.must(map[string]string{"[node] External": "TRUE"})
	var c api.SetupChange
	if _, p := w.do(http.MethodPost, "/setup/changes/"+first.Id+"/undo", "", &c); p != nil || c.State != api.SetupChangeStateKept || c.Id == first.Id {
		t.Fatalf("undo = %+v, %v", c, p)
	}
	if w.running.Node.MaxRole != api.RoleKiosk || w.running.Node.Location != "" || w.running.OIDC.ClientSecret != "hush2" || w.state(first.Id) != api.SetupChangeStateUndone {
		t.Errorf("after undo: %+v, state %s", w.running, w.state(first.Id))
	}
	if !strings.Contains(text(c.Effects), "Secrets stay") {
		t.Errorf("effects %q say nothing of the secret", c.Effects)
	}
	if _, p := w.do(http.MethodPost, "/setup/changes/"+first.Id+"/undo", "", nil); p == nil || p.Code != problem.ChangeUnknown {
		t.Errorf("undoing twice: %v", p)
	}
	if _, p := w.do(http.MethodPost, "/setup/changes/"+secret.Id+"/undo", "", nil); p == nil || p.Code != problem.SettingFixed {
		t.Errorf("undoing a secret: %v", p)
	}
	if _, p := w.do(http.MethodPost, "/setup/changes/"+off.Id+"/undo", "", &c); p != nil || c.State != api.SetupChangeStateOnTrial || w.state(off.Id) != api.SetupChangeStateKept {
		t.Fatalf("undo that could lock out = %+v, %v", c, p)
	}
	if _, p := w.do(http.MethodPost, "/setup/changes/"+c.Id+"/keep", "", &c); p != nil || w.state(off.Id) != api.SetupChangeStateUndone || w.running.Node.External {
		t.Errorf("keeping the undo: %v, state %s", p, w.state(off.Id))
	}
	if _, p := w.do(http.MethodPost, "/setup/changes/aaaaaaaaaaaaaaaaaaaa/undo", "", nil); p == nil || p.Code != problem.ChangeUnknown {
		t.Errorf("undoing nothing: %v", p)
	}
	for i := range kept + 5 {
		w.must(map[string]string{"[node] Location": strings.Repeat("x", i+1)})
	}
	w.start()
	var list api.SetupChangeList
	if w.do(http.MethodGet, "/setup/changes", "", &list); len(list.Items) != kept || list.Items[0].Changes[0].After != strings.Repeat("x", kept+5) {
		t.Errorf("%d changes are kept, the newest %+v", len(list.Items), list.Items[0])
	}
	for _, name := range []string{historyFile, trialFile} {
		if b, _ := os.ReadFile(w.config.Dir + "/" + name); strings.Contains(string(b), "hush") {
			t.Errorf("%s holds the secret", name)
		}
	}
	if records, _, err := w.audit.List(200, "", ""); err != nil {
		t.Error(err)
	} else {
		for _, r := range records {
			if strings.Contains(r.Detail, "hush") {
				t.Errorf("the audit log holds the secret: %+v", r)
			}
		}
	}
}

func TestPassingLogLevel(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, api.SetupRoleNode, web).validated()
		c, p := w.change(map[string]string{"[log] LogLevel": "debug"}, `,"logMinutes":60`)
		if p != nil || c.State != api.SetupChangeStateKept || w.Level.Level() != slog.LevelDebug || w.file() != web {
			t.Fatalf("a passing level: %+v, %v, level %v", c, p, w.Level.Level())
		}
		var page api.Setup
		if w.do(http.MethodGet, "/setup", "", &page); page.Log.Level != api.SetupLogLevelDebug || page.Log.Until.IsZero() {
			t.Errorf("the page shows %+v", page.Log)
		}
		w.Level.Configure(slog.LevelWarn)
		time.Sleep(time.Hour) // of the fake clock
		if w.Level.Level() != slog.LevelWarn {
			t.Errorf("after an hour the level is %v", w.Level.Level())
		}
		w.change(map[string]string{"[log] LogLevel": "debug"}, `,"logMinutes":60`)
		w.must(map[string]string{"[log] LogLevel": "error"})
		if w.Level.Level() != slog.LevelError {
			t.Errorf("a level that is to stay did not end the passing one: %v", w.Level.Level())
		}
		if NewLevel(slog.LevelDebug, slog.LevelWarn).Level() != slog.LevelWarn {
			t.Error("the least level is passed")
		}
	})
}
