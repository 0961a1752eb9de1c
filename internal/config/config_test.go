package config

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/api"
)

var update = flag.Bool("update", false, "write the sample file anew")

const sample = "../../deployments/platen.ini"

func TestDefault(t *testing.T) {
	want := &Config{
		Node: Node{HTTPPort: 18622, HTTPSPort: 18623, TrustLoopback: true, MaxRole: api.RoleOperator,
			SetupHTTPPort: 18625, SetupHTTPSPort: 18626, Drivers: []string{"virtual", "sane"}, FindGateway: true},
		Gateway: Gateway{HTTPPort: 18602, Port: 18603, SetupHTTPPort: 18605, SetupHTTPSPort: 18606},
		Log:     Log{Level: slog.LevelInfo},
		Storage: Storage{Reserve: 512 << 20},
		OIDC:    OIDC{Scopes: []string{"openid", "profile", "email"}, GroupsClaim: "groups"},
		ACME:    ACME{Directory: "https://acme-v02.api.letsencrypt.org/directory", Challenge: ChallengeHTTP},
		Bonjour: Bonjour{Enable: true},
		ESCL:    ESCL{Port: 18630},
		Roads:   Roads{Direct: true, WebRTCPort: 18624},
		TURN:    TURN{Port: 3478, RelayPorts: "49160-49200"},

		Tracking: Tracking{Port: 18643, SetupHTTPPort: 18645, SetupHTTPSPort: 18646},
		Alerts:   Alerts{Security: SecuritySTARTTLS},
	}
	if got := Default(); !reflect.DeepEqual(got, want) {
		t.Errorf("Default() = %+v, want %+v", got, want)
	}
}

// sampleText is a file that sets nothing and explains every key.
func sampleText() string {
	text := "; Platen's configuration. What is not set has the value that is shown.\n" +
		"; A variable of the environment overrides its key. `platen check` reports every fault.\n"
	section := ""
	for _, k := range Keys() {
		if k.Section != section {
			section = k.Section
			text += fmt.Sprintf("\n[%s]\n", section)
		}
		text += "\n; " + k.Meaning + ".\n"
		if k.Unit != "" {
			text += "; Value: " + k.Unit + ". "
		} else {
			text += "; "
		}
		text += "Variable: " + k.Env + "\n"
		text += fmt.Sprintf(";%s=%s\n", k.Key, k.Default)
	}
	return text
}

func TestSample(t *testing.T) {
	want := sampleText()
	if *update {
		if err := os.WriteFile(sample, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(sample)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != want {
		t.Errorf("%s does not explain the keys as they are; run go test ./internal/config -update", sample)
	}
	if c, err := Load(sample, nil); err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("the sample loads as %+v, %v; want the defaults", c, err)
	}
	uncommented := strings.ReplaceAll(string(got), "\n;", "\n")
	var lines []string
	for line := range strings.Lines(uncommented) { // prose begins with a blank now
		if !strings.HasPrefix(line, " ") {
			lines = append(lines, strings.TrimPrefix(line, ";"))
		}
	}
	c, err := parse("sample", []byte(strings.Join(lines[1:], "")), nil)
	if err != nil || !reflect.DeepEqual(c, Default()) {
		t.Errorf("the sample with all keys set loads as %+v, %v; want the defaults", c, err)
	}
}

// The lines are those that users have in their present service's file.
func TestLinesThatUsersHave(t *testing.T) {
	origin := func(s string) access.Origin {
		o, err := access.ParseOrigin(s)
		if err != nil {
			t.Fatal(err)
		}
		return o
	}
	tests := []struct {
		text string
		want func(*Config)
	}{
		{"Access-Control-Allow-Origin=*", func(c *Config) { c.Node.AllowOrigin.Any, c.Gateway.AllowOrigin.Any = true, true }},
		{"[gateway]\nAccess-Control-Allow-Origin=*", func(c *Config) { c.Gateway.AllowOrigin.Any = true }},
		{"Access-Control-Allow-Origin=http://192.168.8.212", func(c *Config) {
			c.Node.AllowOrigin.List = []access.Origin{origin("http://192.168.8.212:80")}
			c.Gateway.AllowOrigin = c.Node.AllowOrigin
		}},
		{"Access-Control-Allow-Origin=http://192.168.8.212, http://192.168.8.126:8033, https://www.example.com", func(c *Config) {
			c.Node.AllowOrigin.List = []access.Origin{origin("http://192.168.8.212"), origin("http://192.168.8.126:8033"), origin("https://www.example.com:443")}
			c.Gateway.AllowOrigin = c.Node.AllowOrigin
		}},
		{"EnableWebSetup=TRUE", func(c *Config) { c.Node.EnableWebSetup, c.Gateway.EnableWebSetup = true, true }},
		{"EnableWebSetup=FALSE", func(c *Config) {}},
		{"LogLevel=Debug", func(c *Config) { c.Log.Level = slog.LevelDebug }},
		{"[node]\r\nEnableWebSetup = true\r\n", func(c *Config) { c.Node.EnableWebSetup = true }},
		{"\xef\xbb\xbfLogLevel=error\n[node]\nHTTPPort=8080\nHTTPSPort=8443", func(c *Config) {
			c.Log.Level = slog.LevelError
			c.Node.HTTPPort, c.Node.HTTPSPort = 8080, 8443
		}},
		{"[node]\nName=Reception; ground floor # 2\n", func(c *Config) { c.Node.Name = "Reception; ground floor # 2" }},
		{"[node]\nName=C:\\scans\\\nLocation=%(Name)s\n", func(c *Config) {
			c.Node.Name, c.Node.Location = `C:\scans\`, "%(Name)s"
		}},
		{"ProductKey=" + aKey + "; " + aKey + "\n[license]\nVendors=" + aPin + "\nServers=lts.example:18643#" + aPin, func(c *Config) {
			c.License = License{Vendors: []string{aPin}, ProductKey: aKey + "; " + aKey, Servers: []string{"lts.example:18643#" + aPin}}
		}},
		{"HandshakeCode=200001-desk_1", func(c *Config) { c.License.HandshakeCode = "200001-desk_1" }},
		{"[storage]\nReserve=2g", func(c *Config) { c.Storage.Reserve = 2 << 30 }},
		{"[node]\nNames=scan.example.com, scan.local:443, fd00::1\nDrivers=\n", func(c *Config) {
			c.Node.Names = []string{"scan.example.com", "scan.local:443", "fd00::1"}
			c.Node.Drivers = nil
		}},
		{"[gateway]\nPublicAddress=[fd00::1]:18603\n[node]\nAddress=fd00::1", func(c *Config) {
			c.Gateway.PublicAddress, c.Node.Address = "[fd00::1]:18603", "fd00::1"
		}},
		{"[escl]\nAllow=192.168.1.0/24, fd00::/8, 10.0.0.7\n[bonjour]\nName=Büro 3 (hinten)\n", func(c *Config) {
			c.ESCL.Allow = []netip.Prefix{netip.MustParsePrefix("192.168.1.0/24"), netip.MustParsePrefix("fd00::/8"), netip.MustParsePrefix("10.0.0.7/32")}
			c.Bonjour.Name = "Büro 3 (hinten)"
		}},
	}
	for _, tt := range tests {
		want := Default()
		tt.want(want)
		got, err := parse("platen.ini", []byte(tt.text), nil)
		if err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q = %+v, %v, want %+v", tt.text, got, err, want)
		}
	}
}

func TestFaults(t *testing.T) {
	tests := []struct {
		text string
		env  []string
		want []string // each the beginning of a fault, in order
	}{
		{text: "[license]\nVendors=" + aPin + ", x", want: []string{`platen.ini:2: [license] Vendors: "x" is no pin: 43 letters`}},
		{text: "ProductKey=" + aKey + "; t0076lQAAAGNcO61He", want: []string{"platen.ini:1: [license] ProductKey: key 2 is not a whole licence of Platen"}},
		{text: "ProductKey= ; ", want: []string{"platen.ini:1: [license] ProductKey: there is no key in it"}},
		{text: "HandshakeCode=200001_desk", want: []string{`platen.ini:1: [license] HandshakeCode: "200001_desk" is no handshake code`}},
		{text: "ProductKey=" + aKey + "\n[license]\nHandshakeCode=200001-desk", want: []string{"platen.ini:3: [license] HandshakeCode: it cannot be used together with ProductKey"}},
		{text: "[license]\nServers=lts.example:18643#" + aPin + ", lts.example#" + aPin, want: []string{`platen.ini:2: [license] Servers: "lts.example#` + aPin + `" is not host:port#pin`}},
		{text: "[license]\nServers=lts.example:18643", want: []string{`platen.ini:2: [license] Servers: "lts.example:18643" is not host:port#pin`}},
		{text: "[license]\nServers=lts.example:18643#" + aPin[1:], want: []string{`platen.ini:2: [license] Servers: "lts.example:18643#` + aPin[1:] + `" ends with no pin`}},
		{text: "[tracking]\nPort=18645\nStandby=" + aPin + "\nMain=lts.example:18643#" + aPin, want: []string{
			"platen.ini:2: [tracking] SetupHTTPPort: [tracking] Port has the same port, 18645", "platen.ini:3: [tracking] Standby: a server that stands in"}},
		{text: "[alerts]\nSMTP=mail\nSecurity=ssl\nFrom=Platen\nPassword=x", want: []string{
			`platen.ini:2: [alerts] SMTP: "mail" is not host:port`, `platen.ini:3: [alerts] Security: "ssl" is none of starttls, tls or none`,
			`platen.ini:4: [alerts] From: "Platen" is no mail address`, "platen.ini:5: [alerts] User: it is needed with Password"}},
		{text: "[escl]\nAllow=192.168.1.7/24", want: []string{`platen.ini:2: [escl] Allow: "192.168.1.7/24" has bits beyond its length; the network is 192.168.1.0/24`}},
		{text: "[escl]\nAllow=office", want: []string{`platen.ini:2: [escl] Allow: "office" is no network`}},
		{text: "[escl]\nPresent=x", want: []string{`platen.ini:2: [escl] Present: "x" is not the ID of a scanner`}},
		{text: "[node]\nGateways=here", want: []string{`platen.ini:2: [node] Gateways: "here" is not host:port`}},
		{text: "[bonjour]\nName=" + strings.Repeat("ü", 30), want: []string{`platen.ini:2: [bonjour] Name: `}},
		{text: "[node]\n\nHTTPPort=70000\n", want: []string{`platen.ini:3: [node] HTTPPort: "70000" is not a port`}},
		{text: "[node]\nhttpport=1", want: []string{"platen.ini:2: [node] httpport: there is no such key; did you mean HTTPPort?"}},
		{text: "HTTPPort=1", want: []string{"platen.ini:1: HTTPPort: there is no such key; did you mean [node] HTTPPort or [gateway] HTTPPort?"}},
		{text: "EnableWebsetup=TRUE", want: []string{"platen.ini:1: EnableWebsetup: there is no such key; did you mean EnableWebSetup?"}},
		{text: "[log]\nLevl=1\n[nodes]\nName=x", want: []string{"platen.ini:2: [log] Levl: there is no such key", "platen.ini:4: [nodes] Name: there is no such key; did you mean [node] Name or [gateway] Name or [oidc] Name or [bonjour] Name or [tracking] Name?"}},
		{text: "[node]\nExternal=yes\nMaxRole=root\nHTTPPort=x\n[log]\nLogLevel=loud\n[storage]\nReserve=-1\n", want: []string{
			`platen.ini:2: [node] External: "yes" is neither TRUE nor FALSE`,
			`platen.ini:3: [node] MaxRole: "root" is none of`,
			`platen.ini:4: [node] HTTPPort: "x" is not a port`,
			`platen.ini:6: [log] LogLevel: "loud" is none of`,
			`platen.ini:8: [storage] Reserve: "-1" is not a size`,
		}},
		{text: "[node]\nName=a\nName=b", want: []string{"platen.ini:3: [node] Name: it is set twice"}},
		{text: "LogLevel=info\n[log]\nLogLevel=debug", want: []string{"platen.ini:3: [log] LogLevel: it is set at platen.ini:1 already"}},
		{text: "[node]\njust words\nName=x\n=5\n", want: []string{"platen.ini:2: a line is Key=Value", "platen.ini:4: a line is Key=Value"}},
		{text: "Access-Control-Allow-Origin=www.example.com, https://ok.example, https://bad.example/path", want: []string{
			`platen.ini:1: [node] Access-Control-Allow-Origin: "www.example.com": not a web origin: it begins with neither http:// nor https://; "https://bad.example/path":`}},
		{text: "Access-Control-Allow-Origin=*, https://a.example", want: []string{"platen.ini:1: [node] Access-Control-Allow-Origin: * allows all"}},
		{text: "Access-Control-Allow-Origin=https://*.example.com", want: []string{"platen.ini:1: [node] Access-Control-Allow-Origin:"}},
		{text: "[node]\nHTTPPort=1000\nHTTPSPort=1000", want: []string{"platen.ini:3: [node] HTTPSPort: [node] HTTPPort has the same port, 1000"}},
		{text: "[gateway]\nHTTPPort=18603", want: []string{"platen.ini:2: [gateway] Port: [gateway] HTTPPort has the same port, 18603"}},
		{text: "[node]\nSetupHTTPPort=18622\nSetupHTTPSPort=0\nHTTPSPort=0\n[gateway]\nSetupHTTPSPort=18605", want: []string{
			"platen.ini:2: [node] SetupHTTPPort: [node] HTTPPort has the same port, 18622",
			"platen.ini:6: [gateway] SetupHTTPSPort: [gateway] SetupHTTPPort has the same port, 18605"}},
		{text: "[oidc]\nIssuer=http://id.example\nDefaultRole=root\n", want: []string{
			`platen.ini:2: [oidc] Issuer: "http://id.example" is not an https:// address`, "platen.ini:3: [oidc] DefaultRole:"}},
		{text: "[oidc]\nIssuer=https://id.example\nDefaultRole=user\n", want: []string{"platen.ini:2: [oidc] ClientID: it is needed with Issuer"}},
		{text: "[tls]\nLocalCertificate=/a\nExternalKey=/b\n", want: []string{
			"platen.ini:2: [tls] LocalKey: it is needed with [tls] LocalCertificate", "platen.ini:3: [tls] ExternalCertificate: it is needed with [tls] ExternalKey"}},
		{text: "[acme]\nNames=a.example\nChallenge=dns\nDirectory=\n", want: []string{
			"platen.ini:2: [acme] Agree: certificates for Names", "platen.ini:4: [acme] Directory: it is needed", "platen.ini:3: [acme] DNSHook: it is needed"}},
		{text: "[acme]\nAgree=TRUE\nChallenge=tls", want: []string{`platen.ini:3: [acme] Challenge: "tls" is none of http, tls-alpn or dns`, "platen.ini:2: [acme] Names: there is no name"}},
		{text: "[node]\nMaxRole=\n", want: []string{`platen.ini:2: [node] MaxRole: "" is none of`}},
		{text: "LogLevel=info\nEnableWebSetup=TRUE\n[gateway]\nEnableWebSetup=FALSE", want: []string{"platen.ini:4: [gateway] EnableWebSetup: it is set at platen.ini:2 already"}},
		{text: "[node]\nEncryption=on\n[turn]\nRelayPorts=80-90", want: []string{
			`platen.ini:2: [node] Encryption: "on" is none of`, `platen.ini:4: [turn] RelayPorts: "80-90" is no range`}},
		{text: "[node]\nNames=good.example, bad name\nAddress=example.com", want: []string{
			`platen.ini:2: [node] Names: host name "bad name"`,
			`platen.ini:3: [node] Address: "example.com" is not an IP address`}},
		{env: []string{"PLATEN_NODE_HTTPPORT=x", "PLATEN_NODE_HTPPORT=1", "PLATEN_STORAGE_X=1"}, want: []string{
			`PLATEN_NODE_HTTPPORT: [node] HTTPPort: "x" is not a port`,
			"PLATEN_NODE_HTPPORT: there is no such key; did you mean PLATEN_NODE_HTTPPORT?",
			"PLATEN_STORAGE_X: there is no such key"}},
	}
	for _, tt := range tests {
		c, err := parse("platen.ini", []byte(tt.text), tt.env)
		var faults Faults
		if !errors.As(err, &faults) || c != nil {
			t.Errorf("%q = %+v, %v, want faults", tt.text, c, err)
			continue
		}
		if len(faults) != len(tt.want) {
			t.Errorf("%q: faults\n%v\nwant %d", tt.text, err, len(tt.want))
			continue
		}
		for i, want := range tt.want {
			if got := faults[i].String(); !strings.HasPrefix(got, want) {
				t.Errorf("%q: fault %q, want %q", tt.text, got, want)
			}
		}
	}
}

func TestEnvironment(t *testing.T) {
	c, err := parse("platen.ini", []byte("[node]\nHTTPPort=1\nName=file\n"), []string{
		"PLATEN_NODE_HTTPPORT=2", "PLATEN_NODE_ACCESS_CONTROL_ALLOW_ORIGIN=https://a.example", "PLATEN_LOG_LOGLEVEL=warn",
		"PLATEN_GATEWAY_NAMES=a.example,b.example", "PLATEN_WORKER_DEPTH=1", "HOME=/root", "PATH", "NODE_HTTPPORT=3",
	})
	if err != nil {
		t.Fatal(err)
	}
	if c.Node.HTTPPort != 2 || c.Node.Name != "file" || len(c.Node.AllowOrigin.List) != 1 || c.Log.Level != slog.LevelWarn || len(c.Gateway.Names) != 2 {
		t.Errorf("parse = %+v", c)
	}
}

func TestLoadFiles(t *testing.T) {
	if _, err := Load(filepath.Join(t.TempDir(), "missing.ini"), nil); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("a missing file: %v", err)
	}
	large := filepath.Join(t.TempDir(), "large.ini")
	if err := os.WriteFile(large, bytes.Repeat([]byte(";\n"), maxFile), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(large, nil); err == nil {
		t.Error("a file over the limit was read")
	}
	good := filepath.Join(t.TempDir(), "platen.ini")
	if err := os.WriteFile(good, []byte("[node]\nName=a\nBad=1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Load(good, nil); err == nil || !strings.HasPrefix(err.Error(), "platen.ini:3: [node] Bad:") {
		t.Errorf("Load = %v, want the file's name and line", err)
	}
}

func TestParseOrigins(t *testing.T) {
	o, err := parseOrigins("https://a.example, http://b.example:8080")
	if err != nil {
		t.Fatal(err)
	}
	for s, want := range map[string]bool{
		"https://a.example": true, "https://a.example:443": true, "http://b.example:8080": true,
		"http://a.example": false, "https://a.example:444": false, "https://sub.a.example": false, "https://a.example.evil.example": false, "http://b.example": false,
	} {
		origin, err := access.ParseOrigin(s)
		if err != nil {
			t.Fatal(err)
		}
		if got := slices.Contains(o.List, origin); got != want {
			t.Errorf("the list has %s: %v, want %v", s, got, want)
		}
	}
	if o, err := parseOrigins("*"); err != nil || !o.Any {
		t.Errorf("parseOrigins(*) = %+v, %v", o, err)
	}
}

func TestKeysAreDocumented(t *testing.T) {
	seen := map[string]bool{}
	for _, k := range Keys() {
		if k.Meaning == "" || k.Section == "" || k.Key == "" || seen[k.Env] {
			t.Errorf("key %+v has no meaning or is there twice", k)
		}
		seen[k.Env] = true
	}
	if !seen["PLATEN_NODE_ACCESS_CONTROL_ALLOW_ORIGIN"] || !seen["PLATEN_GATEWAY_PORT"] {
		t.Errorf("variables %v", seen)
	}
}

func TestDefaultDir(t *testing.T) {
	t.Setenv("XDG_DATA_HOME", "/data")
	if got, err := DefaultDir("node"); err != nil || got != filepath.Join("/data", "platen", "node") {
		t.Errorf("DefaultDir = %s, %v", got, err)
	}
	t.Setenv("XDG_DATA_HOME", "")
	t.Setenv("HOME", "/home/me")
	if got, err := DefaultDir("gateway"); err != nil || got != "/home/me/.local/share/platen/gateway" {
		t.Errorf("DefaultDir = %s, %v", got, err)
	}
}

// Any text is either a configuration or faults, each with its place.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile(sample)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte("[node]\nHTTPPort=1\n-=x\nName=\"\"\"a\nb\"\"\"\n"))
	f.Add([]byte("Access-Control-Allow-Origin=*\n[DEFAULT]\nLogLevel=`debug`\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		c, err := parse("platen.ini", text, nil)
		var faults Faults
		if (c == nil) == (err == nil) || err != nil && !errors.As(err, &faults) {
			t.Fatalf("parse(%q) = %v, %v", text, c, err)
		}
		for _, fault := range faults {
			if fault.Where == "" || fault.Reason == "" {
				t.Errorf("parse(%q): fault %+v says too little", text, fault)
			}
		}
	})
}
