package config

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func edit(path string, values map[string]string) error {
	f, err := Read(path, nil)
	if err != nil {
		return err
	}
	if f, err = f.With(values); err != nil {
		return err
	}
	return f.Write()
}

func TestEditKeepsEverythingElse(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before string
		values map[string]string
		after  string
	}{
		{"a value", "; mine\n\n[node]\n  HTTPPort =  1 \n; end\nName=x", map[string]string{"[node] HTTPPort": "2"}, "; mine\n\n[node]\n  HTTPPort =  2\n; end\nName=x"},
		{"the sample line", "[node]\n; HTTP.\n;HTTPPort=18622\n\n[gateway]\n;HTTPPort=18602\n", map[string]string{"[gateway] HTTPPort": "5"}, "[node]\n; HTTP.\n;HTTPPort=18622\n\n[gateway]\nHTTPPort=5\n"},
		{"a new key", "[node]\nName=x\n\n\n[log]\n", map[string]string{"[node] HTTPPort": "5"}, "[node]\nName=x\nHTTPPort=5\n\n\n[log]\n"},
		{"a new section", "[node]\r\nName=x\r\n", map[string]string{"[log] LogLevel": "debug"}, "[node]\r\nName=x\r\n\r\n[log]\r\nLogLevel=debug\r\n"},
		{"no end of line", "[node]\nName=x", map[string]string{"[node] HTTPPort": "5"}, "[node]\nName=x\nHTTPPort=5\n"},
		{"an empty file", "", map[string]string{"[node] External": "TRUE", "[node] Name": "a", "[log] LogLevel": "warn"}, "[log]\nLogLevel=warn\n\n[node]\nExternal=TRUE\nName=a\n"},
		{"back to the default", "[node]\n\tHTTPPort=5\nName=x\n", map[string]string{"[node] HTTPPort": "", "[node] Location": ""}, "[node]\n\t;HTTPPort=18622\nName=x\n"},
		{"a line as users have it", "\xef\xbb\xbfEnableWebSetup=FALSE\n[node]\nName=x\n", map[string]string{"[node] EnableWebSetup": "TRUE"}, "\xef\xbb\xbfEnableWebSetup=TRUE\n[node]\nName=x\n"},
		{"a quoted value", "[node]\nName=\"x\"\n", map[string]string{"[node] Name": `"y"`, "[node] Location": "`z"}, "[node]\nName=`\"y\"`\nLocation=``z`\n"},
		{"blanks around", "[node]\nName=x\n", map[string]string{"[node] Name": "  y z "}, "[node]\nName=y z\n"},
	} {
		path := filepath.Join(t.TempDir(), "platen.ini")
		if err := os.WriteFile(path, []byte(tt.before), 0o640); err != nil {
			t.Fatal(err)
		}
		if err := edit(path, tt.values); err != nil {
			t.Errorf("%s: %v", tt.name, err)
		}
		if got, _ := os.ReadFile(path); string(got) != tt.after {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.after)
		}
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o640 {
			t.Errorf("%s: mode %v, %v", tt.name, info.Mode(), err)
		}
	}
}

func TestEditRefuses(t *testing.T) {
	for _, tt := range []struct {
		name   string
		before string
		values map[string]string
		faults int
	}{
		{"an unknown key", "", map[string]string{"[node] X": "1", "HTTPPort": "1"}, 2},
		{"a line break", "", map[string]string{"[node] Name": "a\nExternal=TRUE", "[node] Location": "a\rb", "[log] LogLevel": "a\x00"}, 3},
		{"what is no UTF-8", "", map[string]string{"[node] Name": "a\xff"}, 1},
		{"faulty values", "", map[string]string{"[node] HTTPPort": "x", "[node] External": "yes", "[oidc] Issuer": "a"}, 3},
		{"a faulty file", "[node]\nX=1\n", map[string]string{"[node] HTTPPort": "1"}, 1},
		{"a value of several lines", "[node]\nName=\"\"\"a\n;HTTPPort=5\n\"\"\"\n", map[string]string{"[node] HTTPPort": "7"}, 1},
		{"a quoted key", "[node]\n`HTTPPort`=5\nHTTPPort=6\n", map[string]string{"[node] HTTPPort": ""}, 0},
	} {
		path := filepath.Join(t.TempDir(), "platen.ini")
		if err := os.WriteFile(path, []byte(tt.before), 0o600); err != nil {
			t.Fatal(err)
		}
		err := edit(path, tt.values)
		var faults Faults
		if errors.As(err, &faults); err == nil || len(faults) != tt.faults {
			t.Errorf("%s: With and Write = %v, want %d faults", tt.name, err, tt.faults)
		}
		if got, _ := os.ReadFile(path); string(got) != tt.before {
			t.Errorf("%s: the file became %q", tt.name, got)
		}
	}
}

func TestWriteSeesOthers(t *testing.T) {
	path := filepath.Join(t.TempDir(), "platen.ini")
	f, err := Read(path, nil)
	if err != nil {
		t.Fatal(err)
	}
	f, err = f.With(map[string]string{"[node] Name": "x"})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Error("With has written")
	}
	if err := os.WriteFile(path, []byte("[node]\nName=y\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if f.Write() == nil {
		t.Error("Write has lost what somebody else wrote")
	}
	link := filepath.Join(t.TempDir(), "link.ini")
	if err := os.Symlink(path, link); err != nil {
		t.Fatal(err)
	}
	if err := edit(link, map[string]string{"[node] Name": "z"}); err != nil {
		t.Fatal(err)
	}
	if info, err := os.Lstat(link); err != nil || info.Mode()&os.ModeSymlink == 0 {
		t.Errorf("the link became %v, %v", info.Mode(), err)
	}
	if c, err := Load(path, nil); err != nil || c.Node.Name != "z" {
		t.Errorf("Load = %v, %v", c, err)
	}
}

// examples has a value other than the default for every key.
func examples() map[string]string {
	byUnit := map[string]string{
		"port": "4", "TRUE or FALSE": "TRUE", "IP address": "192.168.1.5", "host names": "a.example, b.example:8443", "names": "x, y",
		"admin, operator, user or kiosk": "user", "admin, operator, user, kiosk or empty": "kiosk", "* or origins": "https://a.example, http://b.example:8080",
		"host:port": "a.example:443", "a name": "Büro", "DNS domain": "office.example", "networks": "10.0.0.0/8", "scanner IDs": "aaaaaaaaaaaaaaaa-saaaaaaaaaaaaaaaaaaaa", "debug, info, warn or error": "debug", "bytes, with K, M or G": "3G", "https URL": "https://id.example/x",
		"file": `C:\a b\c`, "off, preferred or required": "required", "ports from-to": "50000-50100", challenges: "tls-alpn",
		unitPins: aPin + ", " + bPin, unitPin: aPin, unitKeys: aKey, unitHandshake: "ACME-desk_1", unitServer: "lts.example:18643#" + aPin, securities: "tls", unitMail: "scan@a.example", "": "`any; text # %(x)s",
	}
	values := map[string]string{}
	for i, k := range keys() {
		values[k.Name()] = byUnit[k.Unit]
		if k.Unit == "port" {
			values[k.Name()] = "10" + string(rune('0'+i%10)) + string(rune('0'+i/10))
		}
		if k.Default == "TRUE" {
			values[k.Name()] = "FALSE"
		}
	}
	return values
}

// A pin, another one, and what looks like a licence.
var (
	aPin = strings.Repeat("A", 43)
	bPin = strings.Repeat("B", 42) + "A"
	aKey = "v4.public." + strings.Repeat("A", 120) + "." + aPin
)

// apart are keys that make no sense together: all others go with the first or the second of each.
var apart = [][2]string{{"[license] ProductKey", "[license] HandshakeCode"}, {"[tracking] Standby", "[tracking] Main"}}

// Every key can be edited, alone and together, in an empty file and in the sample, and back.
func TestEditEveryKey(t *testing.T) {
	sampleText, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	for i, before := range []string{"", string(sampleText), "EnableWebSetup=FALSE\nAccess-Control-Allow-Origin=*\nLogLevel=warn\n", ""} {
		values := examples()
		for _, pair := range apart {
			delete(values, pair[i%2])
		}
		path := filepath.Join(t.TempDir(), "platen.ini")
		if err := os.WriteFile(path, []byte(before), 0o600); err != nil {
			t.Fatal(err)
		}
		if err := edit(path, values); err != nil {
			t.Fatal(err)
		}
		f, err := Read(path, nil)
		if err != nil {
			t.Fatal(err)
		}
		back := map[string]string{}
		for _, k := range keys() {
			want, set := values[k.Name()]
			if got := k.text(f.Config); set && (got != want || got == k.Default || f.Raw(k.Name()) != got) {
				t.Errorf("%s = %q, want %q", k.Name(), got, want)
			}
			back[k.Name()] = ""
		}
		for _, s := range f.Settings() {
			if _, set := values[s.Name()]; !set {
				continue
			}
			if s.Source != FromFile || s.Secret != (s.Value == "") {
				t.Errorf("setting %+v", s)
			}
		}
		if err := edit(path, back); err != nil {
			t.Fatal(err)
		}
		if c, err := Load(path, nil); err != nil || !reflect.DeepEqual(c, Default()) {
			t.Errorf("back to the defaults: %+v, %v", c, err)
		}
		if got, _ := os.ReadFile(path); before == string(sampleText) && !bytes.Equal(got, sampleText) {
			t.Errorf("the sample did not come back:\n%s", got)
		}
	}
}

func TestSettings(t *testing.T) {
	path := filepath.Join(t.TempDir(), "platen.ini")
	if err := os.WriteFile(path, []byte("[node]\nHTTPPort=1\nHTTPSPort=2\n[oidc]\nClientSecret=hush\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	f, err := Read(path, []string{"PLATEN_NODE_HTTPPORT=3"})
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]Setting{
		"[node] HTTPPort":     {Value: "3", Source: FromEnvironment},
		"[node] HTTPSPort":    {Value: "2", Source: FromFile},
		"[gateway] HTTPPort":  {Value: "18602", Source: FromDefault},
		"[oidc] ClientSecret": {Value: "", Source: FromFile},
	}
	for _, s := range f.Settings() {
		if w, ok := want[s.Name()]; ok && (s.Value != w.Value || s.Source != w.Source) {
			t.Errorf("%s = %q from %s, want %q from %s", s.Name(), s.Value, s.Source, w.Value, w.Source)
		}
	}
	for _, c := range Changes(f.Config, Default()) {
		if strings.Contains(c.Before+c.After, "hush") {
			t.Errorf("a change shows the secret: %+v", c)
		}
	}
	if got := Changes(Default(), f.Config); len(got) != 3 || got[0].Name() != "[node] HTTPPort" || got[0].After != "3" {
		t.Errorf("Changes = %+v", got)
	}
}

func FuzzEdit(f *testing.F) {
	text, err := os.ReadFile(sample)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(text), "[node] Name", "a;b#c")
	f.Add("Access-Control-Allow-Origin=*\r\n[node]\r\nName=x", "[node] Access-Control-Allow-Origin", "https://a.example")
	f.Add("[node]\nName='x'\n[ node ]\nLocation = y\n", "[node] Location", "'\"`'")
	f.Add("", "[log] LogLevel", "debug")
	f.Fuzz(func(t *testing.T, text, name, value string) {
		before := &File{path: "platen.ini", text: []byte(text)}
		if before.parse() != nil {
			return
		}
		after, err := before.With(map[string]string{name: value})
		if err != nil {
			return
		}
		again, err := parse("platen.ini", after.text, nil)
		if err != nil || !reflect.DeepEqual(again, after.Config) || after.Raw(name) != strings.TrimSpace(value) {
			t.Fatalf("With(%q, %q) of %q = %q: %v", name, value, text, after.text, err)
		}
		for _, c := range Changes(before.Config, again) {
			if k, _ := keyNamed(name); c.Name() != name && !(k.Legacy && c.Key == k.Key) {
				t.Errorf("With(%q, %q) of %q changed %s", name, value, text, c.Name())
			}
		}
	})
}
