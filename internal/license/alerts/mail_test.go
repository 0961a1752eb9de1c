package alerts

import (
	"encoding/base64"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"strings"
	"sync"
	"testing"

	"github.com/platen-scan/platen/internal/access/accesstest"
	"github.com/platen-scan/platen/proto/api"
)

func TestMail(t *testing.T) {
	for _, c := range []struct {
		sink, security, user string
		encrypted            bool
		fault                string
	}{
		{Starttls, Starttls, "", true, ""},
		{Starttls, "", "me", true, ""},
		{TLS, TLS, "me", true, ""},
		{None, None, "", false, ""},
		{Starttls, None, "", false, ""},
		{None, Starttls, "", false, "STARTTLS"},
		{None, None, "me", false, "not encrypted"},
		{None, TLS, "", false, "first record does not look like a TLS handshake"},
	} {
		s := newSink(t, c.sink)
		v := newServer(t, accesstest.NewRecords(), Mail{Server: s.addr, Security: c.security, From: "platen@example.com", User: c.user, Password: "secret"}, s)
		settings := api.AlertSettings{Thresholds: []int{}, ExpiryDays: []int{}}
		address(&settings.Mail, "admin@example.com")
		v.set(t, settings)
		test, err := v.Test(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		sent := test.Sent[0]
		if sent.Ok != (c.fault == "") || !strings.Contains(sent.Fault, c.fault) {
			t.Errorf("%+v: sent = %+v", c, sent)
			continue
		}
		if c.fault != "" {
			if len(s.got()) != 0 || len(s.logins) != 0 {
				t.Errorf("%+v: %v, %v came all the same", c, s.got(), s.logins)
			}
			continue
		}
		got := s.got()
		if len(got) != 1 || got[0].encrypted != c.encrypted || got[0].to != "TO:<admin@example.com>" || !strings.HasPrefix(got[0].from, "FROM:<platen@example.com>") {
			t.Errorf("%+v: got %+v", c, got)
			continue
		}
		if login := "PLAIN " + base64.StdEncoding.EncodeToString([]byte("\x00me\x00secret")) + " true"; c.user != "" && (len(s.logins) != 1 || s.logins[0] != login) {
			t.Errorf("%+v: logins %q", c, s.logins)
		}
		m, err := mail.ReadMessage(strings.NewReader(got[0].text))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(quotedprintable.NewReader(m.Body))
		if err != nil || !strings.Contains(string(body), "This is a test. Alerts of Büro arrive here.") {
			t.Errorf("body = %q, %v", body, err)
		}
	}
}

// Nothing that a key or a name holds can begin a header, and a subject keeps its letters.
func TestMailHeaders(t *testing.T) {
	v := newServer(t, accesstest.NewRecords(), Mail{From: "platen@example.com"}, nil)
	for _, organisation := range []string{"Müller & Söhne", "x\r\nBcc: evil@example.com", "x\nBcc: evil@example.com\n\nbody", strings.Repeat("ü", 300)} {
		text := v.letter("admin@example.com", api.Alert{Id: item, Type: api.AlertTypeExpiry, Organisation: organisation, Text: "a\r\n.\r\nb " + organisation})
		m, err := mail.ReadMessage(strings.NewReader(string(text)))
		if err != nil {
			t.Fatal(err)
		}
		if m.Header.Get("Bcc") != "" || len(m.Header) != 9 {
			t.Errorf("headers = %v", m.Header)
		}
		got, err := new(mime.WordDecoder).DecodeHeader(m.Header.Get("Subject"))
		if want := "Platen: a licence ends " + organisation; err != nil || got != want {
			t.Errorf("subject = %q, %v, want %q", got, err, want)
		}
	}
}

// A mail server that talks without end costs nothing but the attempt.
func TestMailServerThatTalksWithoutEnd(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		conn, err := l.Accept()
		if err != nil {
			return
		}
		defer conn.Close()
		for err == nil {
			_, err = conn.Write([]byte(strings.Repeat("2", 4096)))
		}
	})
	defer wg.Wait()
	defer l.Close()
	err = Mail{Server: l.Addr().String(), Security: None, From: "platen@example.com"}.send(t.Context(), nil, "admin@example.com", nil)
	if err == nil || !strings.Contains(err.Error(), "says too much") {
		t.Errorf("send = %v", err)
	}
}
