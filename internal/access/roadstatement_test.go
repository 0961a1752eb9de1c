package access_test

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
)

func TestRoadStatement(t *testing.T) {
	id, err := identity.Load(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	other, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	node, now := id.NodeID(), time.Now()
	want := access.RoadStatement{WebTransport: []string{"https://192.168.1.5:18623/road"}, Hashes: []string{"AAAA"}, Fingerprint: "BBBB"}
	good := want.Sign(id, now)
	check := func(name, token string, chain []string, node string, at time.Time, ok bool) {
		t.Helper()
		if _, err := access.RoadStatementIn(token, chain, node, at); (err == nil) != ok {
			t.Errorf("%s: %v, want it to pass: %v", name, err, ok)
		}
	}
	got, err := access.RoadStatementIn(good, nil, node, now)
	if err != nil {
		t.Fatal(err)
	}
	if got.Expires.Sub(got.IssuedAt) != time.Hour || now.Sub(got.IssuedAt) >= time.Second {
		t.Errorf("good from %v to %v, want one hour from %v", got.IssuedAt, got.Expires, now)
	}
	want.Node, want.IssuedAt, want.Expires = node, got.IssuedAt, got.Expires
	if !reflect.DeepEqual(got, want) {
		t.Errorf("RoadStatementIn = %+v, want %+v", got, want)
	}
	check("another node's", want.Sign(other, now), nil, node, now, false)
	check("for another node", good, nil, other.NodeID(), now, false)
	check("at the end of its time and skew", good, nil, node, now.Add(time.Hour+59*time.Second), true)
	check("after it", good, nil, node, now.Add(time.Hour+time.Minute+time.Second), false)
	check("from the future", good, nil, node, now.Add(-time.Minute-2*time.Second), false)
	check("a road's grant", access.RoadGrant{Node: node, IssuedAt: now, Expires: now.Add(time.Minute)}.Sign(id), nil, node, now, false)
	check("too long", good+strings.Repeat("A", 4096), nil, node, now, false)
	check("nothing", "", nil, node, now, false)

	if _, err := id.Prepare(); err != nil {
		t.Fatal(err)
	}
	if err := id.Change(); err != nil {
		t.Fatal(err)
	}
	after := want.Sign(id, now)
	check("after a change of key", after, id.Chain(), node, now, true)
	check("after a change of key, without the chain", after, nil, node, now, false)
	check("by the former key, with the chain", good, id.Chain(), node, now, false)
	check("another node's, with this one's chain", want.Sign(other, now), id.Chain(), node, now, false)
}

// The names of the members are what browsers look for.
func TestRoadStatementMembers(t *testing.T) {
	id, err := identity.New()
	if err != nil {
		t.Fatal(err)
	}
	token := access.RoadStatement{WebTransport: []string{"https://[2001:db8::1]:18623/road"}, Hashes: []string{"AAAA"}, Fingerprint: "BBBB"}.Sign(id, time.Now())
	parts := strings.Split(token, ".")
	payload, err := base64.RawURLEncoding.DecodeString(parts[2])
	if err != nil {
		t.Fatal(err)
	}
	footer, err := base64.RawURLEncoding.DecodeString(parts[3])
	if err != nil || !bytes.Equal(id.Public(), footer) {
		t.Errorf("the footer is not the key: %x, %v", footer, err)
	}
	var claims map[string]any
	if err := json.Unmarshal(payload[:len(payload)-64], &claims); err != nil {
		t.Fatal(err)
	}
	if claims["node"] != id.NodeID() || len(claims) != 6 {
		t.Errorf("claims %v", claims)
	}
	for _, name := range []string{"iat", "exp"} {
		if _, err := time.Parse("2006-01-02T15:04:05Z", claims[name].(string)); err != nil {
			t.Errorf("%s = %v: %v", name, claims[name], err)
		}
	}
	for _, name := range []string{"webtransport", "hashes", "fingerprint"} {
		if claims[name] == nil {
			t.Errorf("no %s in %v", name, claims)
		}
	}
}
