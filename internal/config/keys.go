package config

import (
	"reflect"
	"strings"
)

// KeyDoc describes one key, for the documentation and the sample file.
type KeyDoc struct {
	Section string
	Key     string
	Env     string // the variable that overrides it
	Default string // "" where it is empty
	Unit    string // "" where any text goes
	Meaning string
	Legacy  bool // it may stand before the first section too
	Hot     bool // a change needs no restart
	Opens   bool // a change may let more people in
	Secret  bool // its value is never shown
}

// key is a KeyDoc with the place of its value in Config.
type key struct {
	KeyDoc
	index []int
}

// Keys lists all keys in the order of the file.
func Keys() []KeyDoc {
	var docs []KeyDoc
	for _, k := range keys() {
		docs = append(docs, k.KeyDoc)
	}
	return docs
}

func keys() []key {
	var list []key
	for section := range reflect.TypeFor[Config]().Fields() {
		name := section.Tag.Get("ini")
		for f := range section.Type.Fields() {
			k := key{index: append(append([]int{}, section.Index...), f.Index...)}
			k.Section, k.Key = name, f.Tag.Get("ini")
			k.Env = variable(name, k.Key)
			k.Default, k.Unit, k.Meaning = f.Tag.Get("default"), f.Tag.Get("unit"), f.Tag.Get("doc")
			tagged := func(tag string) bool { return f.Tag.Get(tag) != "" }
			k.Legacy, k.Hot, k.Opens, k.Secret = tagged("legacy"), tagged("hot"), tagged("opens"), tagged("secret")
			if f.Type.Kind() == reflect.Bool {
				k.Unit = "TRUE or FALSE"
			}
			list = append(list, k)
		}
	}
	return list
}

// Name is the key as people write it: "[node] External".
func (k KeyDoc) Name() string { return "[" + k.Section + "] " + k.Key }

const variablePrefix = "PLATEN_"

func variable(section, key string) string {
	return variablePrefix + strings.ToUpper(strings.ReplaceAll(section+"_"+key, "-", "_"))
}
