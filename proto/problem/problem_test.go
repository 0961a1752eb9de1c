package problem

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

func TestTable(t *testing.T) {
	keyword := regexp.MustCompile(`^[a-z]+(-[a-z]+)*$`)
	for _, c := range Codes() {
		if !keyword.MatchString(string(c)) {
			t.Errorf("code %q is no keyword", c)
		}
		if s := c.Status(); s < 400 || s > 599 {
			t.Errorf("%s: status %d", c, s)
		}
		for what, text := range map[string]string{"title": c.Title(), "next": c.Next()} {
			if !strings.HasSuffix(text, ".") || strings.Contains(text, "!") {
				t.Errorf("%s: %s %q is not a plain sentence", c, what, text)
			}
		}
	}
}

func TestWriteAndRead(t *testing.T) {
	in := New(SettingsUnsupported, "600 dpi is not offered").At("settings.resolution").After(1500 * time.Millisecond)
	w := httptest.NewRecorder()
	Write(w, fmt.Errorf("creating a job: %w", in))
	res := w.Result()
	if res.StatusCode != 422 || res.Header.Get("Content-Type") != MediaType || res.Header.Get("Retry-After") != "2" {
		t.Errorf("Write: status %d, header %v", res.StatusCode, res.Header)
	}
	var out Error
	if err := json.Unmarshal(w.Body.Bytes(), &out); err != nil {
		t.Fatal(err)
	}
	if out.Code != in.Code || out.Detail != in.Detail || out.Field != in.Field || out.RetryAfter != 2*time.Second {
		t.Errorf("read back %+v, want %+v", out, in)
	}
	if !errors.Is(&out, SettingsUnsupported.Error()) || errors.Is(&out, NotFound.Error()) {
		t.Error("errors.Is does not compare codes")
	}
}

func TestSecretsStayInside(t *testing.T) {
	w := httptest.NewRecorder()
	Write(w, errors.New("open /var/lib/secret: permission denied"))
	if body := w.Body.String(); w.Code != 500 || strings.Contains(body, "secret") {
		t.Errorf("an error of our own became %d %s", w.Code, body)
	}
}

func TestUnknownCodeBecomesInternal(t *testing.T) {
	var e Error
	if err := json.Unmarshal([]byte(`{"code":"from-the-future","title":"Hm.","status":418}`), &e); err != nil {
		t.Fatal(err)
	}
	if e.Code != Internal || e.Detail != "Hm." {
		t.Errorf("got %+v", e)
	}
}
