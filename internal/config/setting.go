package config

import (
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"reflect"
	"slices"
)

// Source says where a value comes from.
type Source string

// The sources.
const (
	FromDefault     Source = "default"
	FromFile        Source = "file"
	FromEnvironment Source = "environment" // a change of the file does nothing
)

// Setting is one key with the value that it has. The value of a secret key is "".
type Setting struct {
	KeyDoc
	Value  string
	Source Source
}

// Change is one key whose value is another than before. Secret values are "".
type Change struct {
	KeyDoc
	Before, After string
}

// Changes lists the keys in which two configurations differ, in the order of the file.
func Changes(before, after *Config) []Change {
	var list []Change
	for _, k := range keys() {
		c := Change{k.KeyDoc, k.text(before), k.text(after)}
		if c.Before == c.After {
			continue
		}
		if k.Secret {
			c.Before, c.After = "", ""
		}
		list = append(list, c)
	}
	return list
}

// text is the value of the key as in a file.
func (k key) text(c *Config) string {
	return text(reflect.ValueOf(c).Elem().FieldByIndex(k.index))
}

// File is platen.ini as it was read, or as it would be after changes.
type File struct {
	Config *Config // of this text and the environment

	path  string
	env   []string
	text  []byte
	disk  []byte            // what the file held when it was read
	raw   map[string]string // what this text sets, by key
	where map[string]string
}

// Read reads the file at path. One that is not there is empty. The error is Faults if
// the content is wrong.
func Read(path string, env []string) (*File, error) {
	text, err := read(path)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("reading the configuration: %w", err)
	}
	f := &File{path: path, env: env, text: text, disk: text}
	return f, f.parse()
}

func (f *File) parse() error {
	alone := &loader{keys: keys(), where: map[string]string{}, raw: map[string]string{}}
	alone.file(filepath.Base(f.path), f.text)
	f.raw = alone.raw
	l, err := load(filepath.Base(f.path), f.text, f.env)
	if err != nil {
		return err
	}
	f.Config, f.where = &l.config, l.where
	return nil
}

// Raw is what the file sets a key to; "" if it does not.
func (f *File) Raw(key string) string { return f.raw[key] }

// Settings lists all keys with their values.
func (f *File) Settings() []Setting {
	var list []Setting
	for _, k := range keys() {
		s := Setting{KeyDoc: k.KeyDoc, Value: k.text(f.Config), Source: f.source(k)}
		if k.Secret {
			s.Value = ""
		}
		list = append(list, s)
	}
	return list
}

func (f *File) source(k key) Source {
	switch f.where[k.Name()] {
	case "":
		return FromDefault
	case k.Env:
		return FromEnvironment
	}
	return FromFile
}

// keyNamed finds a key by its Name.
func keyNamed(name string) (key, bool) {
	list := keys()
	i := slices.IndexFunc(list, func(k key) bool { return k.Name() == name })
	if i < 0 {
		return key{}, false
	}
	return list[i], true
}
