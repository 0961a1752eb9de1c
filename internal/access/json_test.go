package access_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/problem"
	"github.com/platen-scan/platen/proto/scan"
)

// sample has every shape that the contract's requests have.
type sample struct {
	Name     string            `json:"name"`
	Count    int               `json:"count,omitempty"`
	Region   *region           `json:"region,omitempty"`
	Pages    []region          `json:"pages,omitempty"`
	Options  map[string]string `json:"options,omitempty"`
	Mode     scan.ColorMode    `json:"mode,omitempty"`
	Hidden   string            `json:"-"`
	Optional *[]region         `json:"optional,omitempty"`
}

type region struct {
	X float64 `json:"x"`
}

func TestReadJSON(t *testing.T) {
	deep := func(n int) string {
		return `{"name":"a","options":` + strings.Repeat("[", n) + strings.Repeat("]", n) + `}`
	}
	tests := []struct {
		name, body string
		code       problem.Code
		field      string
	}{
		{"least", `{"name":"a"}`, "", ""},
		{"all", ` {"name":"a","count":1,"region":{"x":1.5},"pages":[{"x":1},{"x":2}],"options":{"a":"b","A":"c"},"mode":"gray","optional":[]} `, "", ""},
		{"unknown member", `{"name":"a","nam":1}`, problem.UnknownField, "nam"},
		{"unknown member inside", `{"name":"a","region":{"x":1,"z":2}}`, problem.UnknownField, "region.z"},
		{"unknown member in a list", `{"name":"a","pages":[{"x":1},{"y":2}]}`, problem.UnknownField, "pages.1.y"},
		{"unknown member behind two pointers", `{"name":"a","optional":[{"y":2}]}`, problem.UnknownField, "optional.0.y"},
		{"wrong case", `{"Name":"a"}`, problem.UnknownField, "Name"},
		{"hidden member", `{"name":"a","Hidden":"x"}`, problem.UnknownField, "Hidden"},
		{"repeated member", `{"name":"a","name":"b"}`, problem.InvalidJSON, "name"},
		{"repeated key", `{"name":"a","options":{"k":"1","k":"2"}}`, problem.InvalidJSON, "options.k"},
		{"repeated by escape", `{"name":"a","n\u0061me":"b"}`, problem.InvalidJSON, "name"},
		{"missing member", `{}`, problem.InvalidJSON, "name"},
		{"missing member inside", `{"name":"a","region":{}}`, problem.InvalidJSON, "region.x"},
		{"null member", `{"name":null}`, problem.InvalidJSON, "name"},
		{"null in a list", `{"name":"a","pages":[null]}`, problem.InvalidJSON, "pages.0"},
		{"wrong type", `{"name":1}`, problem.InvalidJSON, "name"},
		{"wrong type inside", `{"name":"a","region":{"x":"1"}}`, problem.InvalidJSON, "region.x"},
		{"object for a text", `{"name":{"a":1}}`, problem.InvalidJSON, "name"},
		{"fraction for a number", `{"name":"a","count":1.5}`, problem.InvalidJSON, "count"},
		{"too large a number", `{"name":"a","count":1e30}`, problem.InvalidJSON, "count"},
		{"unknown word", `{"name":"a","mode":"sepia"}`, problem.InvalidJSON, ""},
		{"trailing data", `{"name":"a"}{}`, problem.InvalidJSON, ""},
		{"trailing garbage", `{"name":"a"} x`, problem.InvalidJSON, ""},
		{"nothing", ``, problem.InvalidJSON, ""},
		{"blank", `  `, problem.InvalidJSON, ""},
		{"null", `null`, problem.InvalidJSON, ""},
		{"list", `[]`, problem.InvalidJSON, ""},
		{"text", `"a"`, problem.InvalidJSON, ""},
		{"cut short", `{"name":"a"`, problem.InvalidJSON, ""},
		{"comment", `{"name":"a"/**/}`, problem.InvalidJSON, ""},
		{"comma at the end", `{"name":"a",}`, problem.InvalidJSON, ""},
		{"byte order mark", "\ufeff" + `{"name":"a"}`, problem.InvalidJSON, ""},
		{"not UTF-8", "{\"name\":\"\xff\"}", problem.InvalidJSON, ""},
		{"too deep", deep(32), problem.InvalidJSON, "options" + strings.Repeat(".0", 31)},
		{"too large", `{"name":"` + strings.Repeat("x", access.MaxJSON) + `"}`, problem.BodyTooLarge, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			r := httptest.NewRequest("POST", "/", strings.NewReader(tt.body))
			r.Header.Set("Content-Type", "application/json")
			var v sample
			err := access.ReadJSON(r, &v)
			if tt.code == "" {
				if err != nil || v.Name != "a" {
					t.Errorf("ReadJSON(%s) = %+v, %v", tt.body, v, err)
				}
				return
			}
			p := problem.From(err)
			if err == nil || p.Code != tt.code || p.Field != tt.field {
				t.Errorf("ReadJSON = %v (field %q), want %s at %q", err, p.Field, tt.code, tt.field)
			}
		})
	}
}

func TestReadJSONContentType(t *testing.T) {
	for kind, ok := range map[string]bool{
		"application/json": true, "Application/JSON; charset=utf-8": true, "application/json;charset=UTF-8": true,
		"": false, "text/plain": false, "application/jsonx": false, "application/x-www-form-urlencoded": false,
		"application/json; charset=latin1": false, "text/plain; x=application/json": false, "application/json, text/plain": false,
		"multipart/form-data; boundary=x": false,
	} {
		r := httptest.NewRequest("POST", "/", strings.NewReader(`{"name":"a"}`))
		if kind != "" {
			r.Header.Set("Content-Type", kind)
		}
		var v sample
		err := access.ReadJSON(r, &v)
		if got := err == nil; got != ok || !ok && problem.From(err).Code != problem.MediaTypeWrong {
			t.Errorf("Content-Type %q: %v, want taken = %v", kind, err, ok)
		}
	}
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"name":"a"}`))
	r.Header["Content-Type"] = []string{"application/json", "text/plain"}
	if err := access.ReadJSON(r, &sample{}); problem.From(err).Code != problem.MediaTypeWrong {
		t.Errorf("two Content-Types: %v", err)
	}
}

func TestReadPeerJSONPassesOverWhatIsNew(t *testing.T) {
	r := httptest.NewRequest("POST", "/", strings.NewReader(`{"name":"a","new":{"x":null}}`))
	r.Header.Set("Content-Type", "application/json")
	var v sample
	if err := access.ReadPeerJSON(r, &v); err != nil || v.Name != "a" {
		t.Errorf("ReadPeerJSON = %+v, %v", v, err)
	}
}

func TestWriteJSONOfNoJSON(t *testing.T) {
	w := httptest.NewRecorder()
	if err := access.WriteJSON(w, 200, func() {}); err == nil || w.Body.Len() > 0 {
		t.Errorf("WriteJSON of a func = %v, body %q; want an error and no answer", err, w.Body)
	}
}

// What is read must be the same object that any reader sees: known members only.
func FuzzReadJSON(f *testing.F) {
	for _, s := range []string{`{"name":"a"}`, `{"name":"a","pages":[{"x":1}]}`, `{"name":"a","options":{"k":"v"}}`, `{"name":"a","name":"b"}`} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, body string) {
		r := httptest.NewRequest("POST", "/", strings.NewReader(body))
		r.Header.Set("Content-Type", "application/json")
		var v sample
		err := access.ReadJSON(r, &v)
		if err != nil {
			if code := problem.From(err).Code; code == problem.Internal {
				t.Errorf("ReadJSON(%q) = %v, which is no problem of the client's", body, err)
			}
			return
		}
		var members map[string]any
		if err := json.Unmarshal([]byte(body), &members); err != nil {
			t.Fatalf("ReadJSON took %q: %v", body, err)
		}
		if name, ok := members["name"].(string); !ok || name != v.Name {
			t.Errorf("ReadJSON(%q) read name %q, others read %v", body, v.Name, members["name"])
		}
		for name := range members {
			if !strings.Contains(" name count region pages options mode optional ", " "+name+" ") {
				t.Errorf("ReadJSON took %q with member %q", body, name)
			}
		}
		if fmt.Sprint(members["count"]) == "<nil>" && v.Count != 0 {
			t.Errorf("ReadJSON(%q) made a count", body)
		}
	})
}
