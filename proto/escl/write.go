package escl

import (
	"bytes"
	"encoding/xml"
	"strconv"
)

// The namespaces as they are written. Simple clients look for these prefixes.
const namespaces = ` xmlns:scan="http://schemas.hp.com/imaging/escl/2011/05/03" xmlns:pwg="http://www.pwg.org/schemas/2010/12/sm"`

// writer writes a document without a line break: some devices and clients stumble on them.
type writer struct{ b bytes.Buffer }

// document writes a whole document.
func document(root string, body func(w *writer)) []byte {
	var w writer
	w.b.WriteString(`<?xml version="1.0" encoding="UTF-8"?><` + root + namespaces + `>`)
	body(&w)
	w.b.WriteString("</" + root + ">")
	return w.b.Bytes()
}

// in writes an element with others in it. attrs are written as they are.
func (w *writer) in(name, attrs string, body func()) {
	w.b.WriteString("<" + name + attrs + ">")
	body()
	w.b.WriteString("</" + name + ">")
}

func (w *writer) text(name, text string) {
	w.in(name, "", func() {
		xml.EscapeText(&w.b, []byte(text)) // a bytes.Buffer takes everything
	})
}

// maybe writes a text that is not empty.
func (w *writer) maybe(name, text string) {
	if text != "" {
		w.text(name, text)
	}
}

func (w *writer) number(name string, n int) { w.text(name, strconv.Itoa(n)) }

func (w *writer) flag(name string, yes bool) { w.text(name, strconv.FormatBool(yes)) }

// list writes texts under one name in an element around them.
func list[T ~string](w *writer, around, name string, texts []T) {
	w.in(around, "", func() {
		for _, t := range texts {
			w.text(name, string(t))
		}
	})
}
