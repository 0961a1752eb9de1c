package alerts

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"crypto/tls"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"github.com/platen-scan/platen/proto/api"
)

// HeaderSignature is "t=SECONDS,ed25519=SIGNATURE": the server's key has signed the
// seconds since 1970, a point and the body. The signature is base64url; the key is the
// webhookKey that the alerts' page shows.
const HeaderSignature = "Platen-Signature"

const (
	webhookTime = 10 * time.Second
	maxAnswer   = 4 << 10 // bytes that are read of it, and thrown away
	maxURL      = 2048
)

// parseWebhook judges a URL that an administrator sets.
func parseWebhook(text string) error {
	u, err := url.Parse(text)
	switch {
	case len(text) > maxURL:
		return errors.New("it is too long")
	case err != nil || u.Host == "" || u.Hostname() == "":
		return errors.New("it is not a URL as https://example.com/hook")
	case u.Scheme != "https" && u.Scheme != "http":
		return errors.New("only https and http can be used")
	case u.User != nil:
		return errors.New("it has a user or password in it, which do not belong in a URL")
	case u.Fragment != "":
		return errors.New("it has a fragment")
	}
	return nil
}

// Sign is the value of HeaderSignature.
func sign(key ed25519.PrivateKey, at time.Time, body []byte) string {
	t := strconv.FormatInt(at.Unix(), 10)
	signature := ed25519.Sign(key, append([]byte(t+"."), body...))
	return "t=" + t + ",ed25519=" + base64.RawURLEncoding.EncodeToString(signature)
}

// post sends an alert to a webhook.
func (a *Alerts) post(ctx context.Context, to string, alert api.Alert) error {
	if err := parseWebhook(to); err != nil {
		return err
	}
	body, err := json.Marshal(alert)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, webhookTime)
	defer cancel()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, to, bytes.NewReader(body))
	if err != nil {
		return errors.New("it is not a URL")
	}
	r.Header.Set("Content-Type", "application/json")
	r.Header.Set("User-Agent", "Platen")
	r.Header.Set(HeaderSignature, sign(a.cfg.Server.Signer(), a.cfg.Now(), body))
	transport := &http.Transport{
		Proxy:                  http.ProxyFromEnvironment,
		TLSClientConfig:        &tls.Config{RootCAs: a.cfg.Roots, MinVersion: tls.VersionTLS12},
		DisableKeepAlives:      true,
		MaxResponseHeaderBytes: 64 << 10,
	}
	client := &http.Client{
		Transport:     transport,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse },
	}
	answer, err := client.Do(r)
	if err != nil {
		return words(err)
	}
	defer answer.Body.Close()
	io.Copy(io.Discard, io.LimitReader(answer.Body, maxAnswer))
	switch {
	case answer.StatusCode/100 == 2:
		return nil
	case answer.StatusCode/100 == 3:
		return fmt.Errorf("it answers %d and leads elsewhere: set the address where it is", answer.StatusCode)
	}
	return fmt.Errorf("it answers %d", answer.StatusCode)
}

// words are what people are told of a failed connection, without the URL: that is there
// already, and can hold a secret.
func words(err error) error {
	var u *url.Error
	if errors.As(err, &u) {
		err = u.Err
	}
	var timeout net.Error
	if errors.As(err, &timeout) && timeout.Timeout() || errors.Is(err, context.DeadlineExceeded) {
		return errors.New("it does not answer in time")
	}
	return err
}
