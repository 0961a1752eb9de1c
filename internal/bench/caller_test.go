//go:build bench || scale

package bench

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/testenv"
	"github.com/platen-scan/platen/proto/scan"
)

// caller is an API client with the credentials that a service leaves in its data folder.
type caller struct {
	base, token string
	ca          string // pin of the authority that the service's certificate is of
	http        *http.Client
}

func callerOf(t *testing.T, s *testenv.Service) *caller {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(s.Data, "keys", "local.json"))
	if err != nil {
		t.Fatal(err)
	}
	var e struct{ URL, Token, CA string }
	if err := json.Unmarshal(b, &e); err != nil {
		t.Fatal(err)
	}
	return &caller{base: e.URL + "/api/v1", token: e.Token, ca: e.CA,
		http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}, ForceAttemptHTTP2: true}}}
}

func (c *caller) do(method, path string, body any) (*http.Response, error) {
	b, err := json.Marshal(body)
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(method, c.base+path, bytes.NewReader(b))
	if err != nil {
		return nil, err
	}
	if body == nil {
		req.Body, req.ContentLength = nil, 0
	} else {
		req.Header.Set("Content-Type", "application/json")
	}
	req.Header.Set("Authorization", "Bearer "+c.token)
	req.Header.Set("Idempotency-Key", scan.RandomText(32))
	res, err := c.http.Do(req)
	if err != nil {
		return nil, err
	}
	if res.StatusCode >= 300 {
		msg, _ := io.ReadAll(res.Body)
		res.Body.Close()
		return nil, fmt.Errorf("%s %s: %s %s", method, path, res.Status, msg)
	}
	return res, nil
}

func (c *caller) json(t *testing.T, method, path string, body, v any) {
	t.Helper()
	res, err := c.do(method, path, body)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if err := json.NewDecoder(res.Body).Decode(v); err != nil {
		t.Fatal(err)
	}
}

// scanner waits for the first scanner.
func (c *caller) scanner(t *testing.T) string {
	t.Helper()
	var list struct{ Items []scan.Scanner }
	testenv.Eventually(t, "a scanner", 20*time.Second, func() bool {
		c.json(t, "GET", "/scanners", nil, &list)
		return len(list.Items) > 0
	})
	return list.Items[0].ID
}
