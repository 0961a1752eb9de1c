package escl

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"slices"
	"strconv"
	"strings"
)

// Bounds of documents. Whoever reads one from the network reads no more than this.
const (
	MaxSettings = 64 << 10 // bytes of ScanSettings
	MaxDocument = 1 << 20  // bytes of any other

	maxDepth    = 32
	maxElements = 1 << 14
)

// element is a part of a document in one of the protocol's namespaces, or in none.
type element struct {
	name     string // without prefix
	text     []byte
	attrs    []xml.Attr
	children []*element
}

// reader takes values from elements and remembers the first fault.
type reader struct {
	root string
	err  error
}

// read parses a document whose outermost element is called root. Nothing is loaded or
// expanded: encoding/xml passes over document types and knows no entities but XML's own.
func read(b []byte, most int, root string) (*reader, *element, error) {
	r := &reader{root: root}
	if len(b) > most {
		return nil, nil, fmt.Errorf("%s: more than %d bytes", root, most)
	}
	b = bytes.TrimPrefix(b, []byte("\ufeff"))
	// User and machine names come in old encodings under a declaration of UTF-8.
	d := xml.NewDecoder(bytes.NewReader(bytes.ToValidUTF8(b, []byte("\ufffd"))))
	d.CharsetReader = func(_ string, in io.Reader) (io.Reader, error) { return in, nil }
	top, err := parse(d)
	if err != nil {
		return nil, nil, fmt.Errorf("%s: %w", root, err)
	}
	if top == nil || top.name != root {
		return nil, nil, fmt.Errorf("%s: the document is something else", root)
	}
	return r, top, nil
}

// parse reads up to the end of the outermost element; what follows does not matter. It
// returns nil if that element is of another vocabulary.
func parse(d *xml.Decoder) (*element, error) {
	var open []*element // nil: of another vocabulary, as all that is in it
	for count := 0; ; {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return nil, errors.New("no XML element")
		}
		if err != nil {
			return nil, fmt.Errorf("no XML: %w", err)
		}
		switch token := token.(type) {
		case xml.StartElement:
			if count++; count > maxElements || len(open) == maxDepth {
				return nil, fmt.Errorf("more than %d elements, or %d in each other", maxElements, maxDepth)
			}
			var e, parent *element
			if len(open) > 0 {
				parent = open[len(open)-1]
			}
			if ours(token.Name.Space) && (parent != nil || len(open) == 0) {
				e = &element{name: token.Name.Local, attrs: token.Attr}
				if parent != nil {
					parent.children = append(parent.children, e)
				}
			}
			open = append(open, e)
		case xml.CharData:
			if len(open) > 0 && open[len(open)-1] != nil {
				e := open[len(open)-1]
				e.text = append(e.text, token...)
			}
		case xml.EndElement:
			if len(open) == 1 {
				return open[0], nil
			}
			open = open[:len(open)-1]
		}
	}
}

// ours knows the protocol's namespaces: with any date, or a prefix that nobody declared.
func ours(space string) bool {
	return strings.HasPrefix(space, "http://schemas.hp.com/imaging/escl/") ||
		strings.HasPrefix(space, "http://www.pwg.org/") || !strings.Contains(space, ":")
}

// child is the first element with one of the names, the first name that occurs; nil if
// there is none. Like all of element's methods it may be called on nil.
func (e *element) child(names ...string) *element {
	for _, name := range names {
		if found := e.all(name); len(found) > 0 {
			return found[0]
		}
	}
	return nil
}

// all are the elements with one of the names that are not empty, in the document's order.
func (e *element) all(names ...string) []*element {
	if e == nil {
		return nil
	}
	var found []*element
	for _, c := range e.children {
		if slices.Contains(names, c.name) && (len(c.children) > 0 || len(c.attrs) > 0 || c.word() != "") {
			found = append(found, c)
		}
	}
	return found
}

// word is the element's own text.
func (e *element) word() string {
	if e == nil {
		return ""
	}
	return strings.TrimSpace(string(e.text))
}

// words are the texts of all elements with one of the names, each once.
func (e *element) words(names ...string) []string {
	var texts []string
	seen := map[string]bool{}
	for _, c := range e.all(names...) {
		if text := c.word(); text != "" && !seen[text] {
			seen[text] = true
			texts = append(texts, text)
		}
	}
	return texts
}

// attr is an attribute, whatever its prefix.
func (e *element) attr(name string) string {
	if e != nil {
		for _, a := range e.attrs {
			if a.Name.Local == name {
				return strings.TrimSpace(a.Value)
			}
		}
	}
	return ""
}

// number reads a whole number; fractions are rounded. ok is false if there is none.
func (r *reader) number(e *element, names ...string) (n int, ok bool) {
	c := e.child(names...)
	text := c.word()
	if text == "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(text, 64)
	if err != nil || strings.Trim(text, "+-0123456789.") != "" { // no "1e3", no "inf"
		r.fault(c.name, text, "not a number")
		return 0, false
	}
	if f = math.Round(f); math.Abs(f) > math.MaxInt32 {
		r.fault(c.name, text, "out of range")
		return 0, false
	}
	return int(f), true
}

// size is a number that is not negative; 0 if there is none.
func (r *reader) size(e *element, names ...string) int {
	n, _ := r.number(e, names...)
	if n < 0 {
		c := e.child(names...)
		r.fault(c.name, c.word(), "negative")
		return 0
	}
	return n
}

// flag reads a truth value in the spellings that are about; false if there is none.
func (r *reader) flag(name, text string) bool {
	switch strings.ToLower(text) {
	case "true", "t", "1", "yes", "on":
		return true
	case "", "false", "f", "0", "no", "off":
		return false
	}
	r.fault(name, text, "neither true nor false")
	return false
}

func (r *reader) fault(name, text, why string) {
	if r.err != nil {
		return
	}
	if len(text) > 40 {
		text = strings.ToValidUTF8(text[:40], "") + "…"
	}
	r.err = fmt.Errorf("%s: %s is %q: %s", r.root, name, text, why)
}
