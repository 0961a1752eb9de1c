package access_test

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/rs/cors"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/problem"
)

// allowedList is what the configuration allows in the tables.
var allowedList = []string{
	"https://shop.example", "http://plain.example", "https://desk.example:8443", "http://192.168.8.126:8033",
	"http://[fd00::7]:8080", "https://[2001:db8::1]", "https://xn--exmple-cua.example", "http://localhost:3000", "https://a.b-c.d_e.example",
}

// Reasons for which we and rs/cors differ, always by taking less.
const (
	oneSpelling = "browsers write an origin in one way; any other is no browser's"
	oneHeader   = "a browser sends one Origin; rs/cors looks at the first"
)

// originTable says of each Origin header whether it is allowed. rs/cors agrees, except
// where differs says why it does not.
var originTable = []struct {
	origin  []string
	allow   bool
	differs string
}{
	// What the list says.
	{[]string{"https://shop.example"}, true, ""},
	{[]string{"http://plain.example"}, true, ""},
	{[]string{"https://desk.example:8443"}, true, ""},
	{[]string{"http://192.168.8.126:8033"}, true, ""},
	{[]string{"http://[fd00::7]:8080"}, true, ""},
	{[]string{"https://[2001:db8::1]"}, true, ""},
	{[]string{"https://xn--exmple-cua.example"}, true, ""},
	{[]string{"http://localhost:3000"}, true, ""},
	{[]string{"https://a.b-c.d_e.example"}, true, ""},
	{[]string{"https://evil.example"}, false, ""},

	// Prefixes and suffixes.
	{[]string{"https://shop.example.evil.example"}, false, ""},
	{[]string{"https://shop.example.evil"}, false, ""},
	{[]string{"https://shop.exampleevil.com"}, false, ""},
	{[]string{"https://shop.example-evil.com"}, false, ""},
	{[]string{"https://shop.exampl"}, false, ""},
	{[]string{"https://shop.examplee"}, false, ""},
	{[]string{"https://hop.example"}, false, ""},
	{[]string{"https://evilshop.example"}, false, ""},
	{[]string{"https://evil-shop.example"}, false, ""},
	{[]string{"https://www.shop.example"}, false, ""},
	{[]string{"https://shop.example.shop.example"}, false, ""},
	{[]string{"https://example"}, false, ""},
	{[]string{"https://.shop.example"}, false, ""},
	{[]string{"https://shop..example"}, false, ""},
	{[]string{"https://shopXexample"}, false, ""},
	{[]string{"https://192.168.8.126:8033.evil.example"}, false, ""},
	{[]string{"http://192.168.8.1260:8033"}, false, ""},
	{[]string{"http://192.168.8.12:8033"}, false, ""},
	{[]string{"http://localhost.evil.example:3000"}, false, ""},
	{[]string{"http://xlocalhost:3000"}, false, ""},

	// Userinfo, paths, queries and fragments.
	{[]string{"https://shop.example@evil.example"}, false, ""},
	{[]string{"https://evil.example@shop.example"}, false, ""},
	{[]string{"https://user@shop.example"}, false, ""},
	{[]string{"https://user:pass@shop.example"}, false, ""},
	{[]string{"https://@shop.example"}, false, ""},
	{[]string{"https://shop.example:@evil.example"}, false, ""},
	{[]string{"https://shop.example%40evil.example"}, false, ""},
	{[]string{"https://shop.example/"}, false, ""},
	{[]string{"https://shop.example/path"}, false, ""},
	{[]string{"https://evil.example/https://shop.example"}, false, ""},
	{[]string{"https://evil.example?https://shop.example"}, false, ""},
	{[]string{"https://evil.example#https://shop.example"}, false, ""},
	{[]string{"https://shop.example?"}, false, ""},
	{[]string{"https://shop.example#"}, false, ""},
	{[]string{`https://shop.example\`}, false, ""},
	{[]string{`https://evil.example\shop.example`}, false, ""},
	{[]string{`https:\\shop.example`}, false, ""},

	// Case.
	{[]string{"https://SHOP.example"}, false, oneSpelling},
	{[]string{"https://Shop.Example"}, false, oneSpelling},
	{[]string{"HTTPS://shop.example"}, false, oneSpelling},
	{[]string{"Https://Desk.Example:8443"}, false, oneSpelling},
	{[]string{"http://[FD00::7]:8080"}, false, oneSpelling},
	{[]string{"https://XN--exmple-cua.example"}, false, oneSpelling},
	{[]string{"http://LOCALHOST:3000"}, false, oneSpelling},
	{[]string{"https://EVIL.example"}, false, ""},

	// Trailing dots.
	{[]string{"https://shop.example."}, false, ""},
	{[]string{"https://shop.example.."}, false, ""},
	{[]string{"https://desk.example.:8443"}, false, ""},
	{[]string{"http://localhost.:3000"}, false, ""},
	{[]string{"http://192.168.8.126.:8033"}, false, ""},

	// Ports.
	{[]string{"https://shop.example:443"}, false, ""},
	{[]string{"http://plain.example:80"}, false, ""},
	{[]string{"https://shop.example:80"}, false, ""},
	{[]string{"http://plain.example:443"}, false, ""},
	{[]string{"https://shop.example:8443"}, false, ""},
	{[]string{"https://desk.example"}, false, ""},
	{[]string{"https://desk.example:443"}, false, ""},
	{[]string{"https://desk.example:844"}, false, ""},
	{[]string{"https://desk.example:84430"}, false, ""},
	{[]string{"https://desk.example:08443"}, false, ""},
	{[]string{"https://desk.example:+8443"}, false, ""},
	{[]string{"https://desk.example: 8443"}, false, ""},
	{[]string{"https://desk.example:8443:8443"}, false, ""},
	{[]string{"https://desk.example:"}, false, ""},
	{[]string{"https://desk.example:0"}, false, ""},
	{[]string{"https://desk.example:65536"}, false, ""},
	{[]string{"https://desk.example:73979"}, false, ""}, // 8443 + 65536
	{[]string{"https://desk.example:0x20fb"}, false, ""},
	{[]string{"http://localhost:3001"}, false, ""},
	{[]string{"http://localhost"}, false, ""},

	// Schemes.
	{[]string{"http://shop.example"}, false, ""},
	{[]string{"https://plain.example"}, false, ""},
	{[]string{"http://desk.example:8443"}, false, ""},
	{[]string{"https://localhost:3000"}, false, ""},
	{[]string{"ws://shop.example"}, false, ""},
	{[]string{"wss://shop.example"}, false, ""},
	{[]string{"ftp://shop.example"}, false, ""},
	{[]string{"file://"}, false, ""},
	{[]string{"file://shop.example"}, false, ""},
	{[]string{"data:text/html,https://shop.example"}, false, ""},
	{[]string{"blob:https://shop.example"}, false, ""},
	{[]string{"javascript://shop.example"}, false, ""},
	{[]string{"chrome-extension://shop.example"}, false, ""},
	{[]string{"httpss://shop.example"}, false, ""},
	{[]string{"shttps://shop.example"}, false, ""},
	{[]string{"https:shop.example"}, false, ""},
	{[]string{"https:/shop.example"}, false, ""},
	{[]string{"https:///shop.example"}, false, ""},
	{[]string{"//shop.example"}, false, ""},
	{[]string{"://shop.example"}, false, ""},
	{[]string{"shop.example"}, false, ""},
	{[]string{"https://"}, false, ""},

	// Addresses.
	{[]string{"http://192.168.8.126"}, false, ""},
	{[]string{"http://192.168.008.126:8033"}, false, ""},
	{[]string{"http://0xc0.168.8.126:8033"}, false, ""},
	{[]string{"http://3232237694:8033"}, false, ""},
	{[]string{"http://192.168.2174:8033"}, false, ""},
	{[]string{"http://[::ffff:192.168.8.126]:8033"}, false, ""},
	{[]string{"http://[fd00::7]"}, false, ""},
	{[]string{"http://[fd00:0::7]:8080"}, false, ""},
	{[]string{"http://[fd00::0007]:8080"}, false, ""},
	{[]string{"http://[fd00::7%25eth0]:8080"}, false, ""},
	{[]string{"http://fd00::7:8080"}, false, ""},
	{[]string{"http://[fd00::7:8080"}, false, ""},
	{[]string{"http://[fd00::7]8080"}, false, ""},
	{[]string{"https://[2001:db8::1]:443"}, false, ""},
	{[]string{"https://[2001:db8:0:0:0:0:0:1]"}, false, ""},
	{[]string{"http://[[fd00::7]]:8080"}, false, ""},

	// Names in other scripts.
	{[]string{"https://exämple.example"}, false, ""},
	{[]string{"https://ex%C3%A4mple.example"}, false, ""},
	{[]string{"https://shоp.example"}, false, ""}, // Cyrillic о
	{[]string{"https://shop。example"}, false, ""}, // ideographic full stop
	{[]string{"https://ｓｈｏｐ.example"}, false, ""},
	{[]string{"https://shop.example\u200b"}, false, ""},
	{[]string{"https://xn--shp-hqb.example"}, false, ""},
	{[]string{"https://\u212Aelvin.example"}, false, ""}, // Kelvin sign: lower case is k

	// Null, stars and nothing.
	{[]string{"null"}, false, ""},
	{[]string{"NULL"}, false, ""},
	{[]string{"https://null"}, false, ""},
	{[]string{""}, false, ""},
	{[]string{"*"}, false, ""},
	{[]string{"https://*"}, false, ""},
	{[]string{"https://*.example"}, false, ""},
	{[]string{"https://shop.*"}, false, ""},

	// Blanks and control characters.
	{[]string{" https://shop.example"}, false, ""},
	{[]string{"https://shop.example "}, false, ""},
	{[]string{"https:// shop.example"}, false, ""},
	{[]string{"https://shop .example"}, false, ""},
	{[]string{"\thttps://shop.example"}, false, ""},
	{[]string{"https://shop.example\t"}, false, ""},
	{[]string{"https://shop.example\r\nX: y"}, false, ""},
	{[]string{"https://shop.example\x00"}, false, ""},
	{[]string{"https://shop.example\x00.evil.example"}, false, ""},
	{[]string{"https://shop.example\x7f"}, false, ""},
	{[]string{"\ufeffhttps://shop.example"}, false, ""},

	// Lists and doubled headers.
	{[]string{"https://shop.example https://evil.example"}, false, ""},
	{[]string{"https://evil.example https://shop.example"}, false, ""},
	{[]string{"https://shop.example, https://evil.example"}, false, ""},
	{[]string{"https://shop.example,https://shop.example"}, false, ""},
	{[]string{"https://shop.example;"}, false, ""},
	{[]string{"https://shop.example", "https://evil.example"}, false, oneHeader},
	{[]string{"https://shop.example", "https://shop.example"}, false, oneHeader},
	{[]string{"https://shop.example", ""}, false, oneHeader},
	{[]string{"https://evil.example", "https://shop.example"}, false, ""},
	{[]string{"null", "https://shop.example"}, false, ""},
}

// parseAll reads origins that are well formed.
func parseAll(t testing.TB, list ...string) []access.Origin {
	t.Helper()
	var origins []access.Origin
	for _, text := range list {
		o, err := access.ParseOrigin(text)
		if err != nil {
			t.Fatal(err)
		}
		origins = append(origins, o)
	}
	return origins
}

func oracle(list ...string) *cors.Cors { return cors.New(cors.Options{AllowedOrigins: list}) }

// asks sends the Origin header and reports whether its page may read the answer.
func asks(t testing.TB, h http.Handler, origin ...string) bool {
	t.Helper()
	r := accesstest.NewRequest(access.RoadLAN, "GET", jobPath, "")
	r.Header["Origin"] = origin
	w := accesstest.Do(h, r)
	echo, code := w.Header().Get("Access-Control-Allow-Origin"), accesstest.Code(w)
	switch {
	case echo == "" && code == problem.OriginNotAllowed:
		return false
	case echo == origin[0] && code == problem.SessionRequired:
		return true
	}
	t.Errorf("Origin %q: problem %q, Access-Control-Allow-Origin %q", origin, code, echo)
	return false
}

func TestOriginTable(t *testing.T) {
	e := newEnd(t)
	e.guard.Origins.Configure(false, parseAll(t, allowedList...))
	h, theirs := e.on(access.RoadLAN), oracle(allowedList...)
	for _, row := range originTable {
		got := asks(t, h, row.origin...)
		if got != row.allow {
			t.Errorf("Origin %q: allowed = %v, want %v", row.origin, got, row.allow)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Origin"] = row.origin
		other := theirs.OriginAllowed(r)
		if got && !other {
			t.Errorf("Origin %q is allowed, and rs/cors refuses it", row.origin)
		}
		if (other != got) != (row.differs != "") {
			t.Errorf("Origin %q: rs/cors says %v; the row says it differs because %q", row.origin, other, row.differs)
		}
	}
	if rows := len(originTable) + len(hostTable); rows < 200 {
		t.Errorf("the tables have %d rows", rows)
	}
}

// FuzzOrigin allows one origin beside another and sends a third: it is taken if it is
// one of the two to the letter, and never if rs/cors refuses it.
func FuzzOrigin(f *testing.F) {
	for _, row := range originTable {
		f.Add("https://desk.example:8443", row.origin[0])
		f.Add(row.origin[0], row.origin[0])
	}
	e := newEnd(f, func(c *access.Config) { c.Log = nil })
	h := e.on(access.RoadLAN)
	f.Fuzz(func(t *testing.T, configured, header string) {
		list := []string{"https://shop.example"}
		if o, err := access.ParseOrigin(configured); err == nil {
			list = append(list, o.String())
		}
		e.guard.Origins.Configure(false, parseAll(t, list...))
		got := asks(t, h, header)
		if want := slices.Contains(list, header); got != want {
			t.Errorf("of %q, Origin %q: allowed = %v, want %v", list, header, got, want)
		}
		r := httptest.NewRequest("GET", "/", nil)
		r.Header["Origin"] = []string{header}
		if got && !oracle(list...).OriginAllowed(r) {
			t.Errorf("of %q, Origin %q is allowed, and rs/cors refuses it", list, header)
		}
	})
}
