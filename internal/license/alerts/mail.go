package alerts

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/quotedprintable"
	"net"
	"net/mail"
	"net/smtp"
	"os"
	"strings"
	"time"

	"github.com/platen-scan/platen/proto/api"
)

// Mail is how mail is sent: section [alerts] of platen.ini.
type Mail struct {
	Server   string // host:port; "": no mail is sent
	Security string // Starttls, TLS or None; "": Starttls
	From     string // address; "": platen@ and this computer's name
	User     string // "": without signing in
	Password string
}

// How the connection is encrypted.
const (
	Starttls = "starttls" // or nothing is sent
	TLS      = "tls"      // from the first byte on
	None     = "none"     // not at all; nobody signs in then
)

const (
	mailTime  = time.Minute
	maxReplys = 64 << 10 // bytes that a mail server may say in all
)

var errNoMail = errors.New("no mail server is set: set SMTP in section [alerts] of platen.ini")

// parseAddress reads an address without a name, in ASCII.
func parseAddress(text string) (string, error) {
	a, err := mail.ParseAddress(text)
	if err != nil || a.Name != "" || a.Address != text || len(text) > 254 || strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r >= 0x7f }) {
		return "", errors.New("it is not an address as admin@example.com")
	}
	return a.Address, nil
}

func (m Mail) from() (string, error) {
	name, err := os.Hostname()
	if err != nil {
		name = "localhost"
	}
	from, err := parseAddress(cmp.Or(m.From, "platen@"+name))
	if err != nil {
		return "", fmt.Errorf("the sender %q is not an address: set From in section [alerts] of platen.ini", cmp.Or(m.From, "platen@"+name))
	}
	return from, nil
}

// letter is the whole mail of an alert. What is written in it is encoded, so that nothing
// can begin a header of its own.
func (a *Alerts) letter(to string, alert api.Alert) []byte {
	from, _ := a.cfg.Mail.from() // send judges it
	_, domain, _ := strings.Cut(from, "@")
	var b bytes.Buffer
	for _, h := range [][2]string{
		{"From", from}, {"To", to},
		{"Subject", mime.QEncoding.Encode("utf-8", subject(alert))},
		{"Date", a.cfg.Now().UTC().Format("Mon, 02 Jan 2006 15:04:05 -0700")},
		{"Message-ID", "<" + alert.Id + "@" + domain + ">"},
		{"Auto-Submitted", "auto-generated"},
		{"MIME-Version", "1.0"}, {"Content-Type", "text/plain; charset=utf-8"}, {"Content-Transfer-Encoding", "quoted-printable"},
	} {
		fmt.Fprintf(&b, "%s: %s\r\n", h[0], h[1])
	}
	b.WriteString("\r\n")
	body := quotedprintable.NewWriter(&b)
	fmt.Fprintf(body, "%s\r\n\r\n%s, %s UTC\r\n", alert.Text, a.cfg.Name, alert.At.UTC().Format(time.DateTime))
	body.Close()
	return b.Bytes()
}

// send hands a letter to the mail server.
func (m Mail) send(ctx context.Context, roots *x509.CertPool, to string, letter []byte) error {
	if m.Server == "" {
		return errNoMail
	}
	host, _, err := net.SplitHostPort(m.Server)
	if err != nil {
		return fmt.Errorf("the mail server %q is not host:port: set SMTP in section [alerts] of platen.ini", m.Server)
	}
	from, err := m.from()
	if err != nil {
		return err
	}
	if to, err = parseAddress(to); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, mailTime)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", m.Server)
	if err != nil {
		return words(err)
	}
	defer conn.Close()
	deadline, _ := ctx.Deadline()
	conn.SetDeadline(deadline)
	stop := context.AfterFunc(ctx, func() { conn.Close() })
	defer stop()
	if err := m.talk(conn, host, roots, from, to, letter); err != nil {
		return words(fmt.Errorf("mail server %s: %w", m.Server, err))
	}
	return nil
}

func (m Mail) talk(conn net.Conn, host string, roots *x509.CertPool, from, to string, letter []byte) error {
	secure := &tls.Config{ServerName: host, RootCAs: roots, MinVersion: tls.VersionTLS12}
	security := cmp.Or(m.Security, Starttls)
	conn = &quiet{Conn: conn, left: maxReplys}
	if security == TLS {
		conn = tls.Client(conn, secure)
	}
	c, err := smtp.NewClient(conn, host)
	if err != nil {
		return err
	}
	_, name, _ := strings.Cut(from, "@")
	if err := c.Hello(name); err != nil {
		return err
	}
	if security == Starttls {
		if ok, _ := c.Extension("STARTTLS"); !ok {
			return errors.New("it offers no STARTTLS: set Security in section [alerts] to tls, or to none within a network that you trust")
		}
		if err := c.StartTLS(secure); err != nil {
			return err
		}
	}
	if m.User != "" {
		if _, encrypted := c.TLSConnectionState(); !encrypted {
			return errors.New("nobody signs in over a connection that is not encrypted: set Security in section [alerts] to starttls or tls, or leave User empty")
		}
		if err := c.Auth(smtp.PlainAuth("", m.User, m.Password, host)); err != nil {
			return fmt.Errorf("signing in: %w", err)
		}
	}
	if err := c.Mail(from); err != nil {
		return err
	}
	if err := c.Rcpt(to); err != nil {
		return err
	}
	w, err := c.Data()
	if err != nil {
		return err
	}
	if _, err := w.Write(letter); err != nil {
		return err
	}
	if err := w.Close(); err != nil {
		return err
	}
	c.Quit() // it has the letter, whatever it says
	return nil
}

// quiet bounds what a mail server says: its lines have no limit otherwise.
type quiet struct {
	net.Conn
	left int64
}

func (q *quiet) Read(p []byte) (int, error) {
	if q.left <= 0 {
		return 0, fmt.Errorf("it says too much: %w", io.ErrUnexpectedEOF)
	}
	n, err := q.Conn.Read(p[:min(int64(len(p)), q.left)])
	q.left -= int64(n)
	return n, err
}
