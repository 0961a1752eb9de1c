package config

import (
	"bytes"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"strings"

	"gopkg.in/ini.v1"
)

// maxFile is the largest configuration that is read, in bytes.
const maxFile = 1 << 20

// byteOrderMark is what some editors put before UTF-8.
const byteOrderMark = "\xef\xbb\xbf"

// Fault is one thing that is wrong with the configuration.
type Fault struct {
	Where  string // "platen.ini:12" or the name of a variable
	Key    string // "[node] HTTPPort"; "" where there is none
	Reason string
}

func (f Fault) String() string {
	if f.Key == "" {
		return f.Where + ": " + f.Reason
	}
	return f.Where + ": " + f.Key + ": " + f.Reason
}

// Faults are all faults of a configuration, as an error.
type Faults []Fault

func (f Faults) Error() string {
	lines := make([]string, len(f))
	for i, fault := range f {
		lines[i] = fault.String()
	}
	return strings.Join(lines, "\n")
}

// Load reads the file and then the variables of env, which are as from os.Environ.
// Without a path there is no file. The error is Faults if the content is wrong.
func Load(path string, env []string) (*Config, error) {
	var text []byte
	if path != "" {
		var err error
		if text, err = read(path); err != nil {
			return nil, fmt.Errorf("reading the configuration: %w", err)
		}
	}
	return parse(filepath.Base(path), text, env)
}

func read(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxFile+1))
	if err == nil && len(text) > maxFile {
		err = fmt.Errorf("%s has more than %d bytes", path, maxFile)
	}
	return text, err
}

// loader collects values and faults.
type loader struct {
	config Config
	keys   []key
	faults Faults
	where  map[string]string // key → where it was set
	raw    map[string]string // key → what it was set to
}

func parse(name string, text []byte, env []string) (*Config, error) {
	l, err := load(name, text, env)
	if err != nil {
		return nil, err
	}
	return &l.config, nil
}

func load(name string, text []byte, env []string) (*loader, error) {
	l := &loader{keys: keys(), where: map[string]string{}, raw: map[string]string{}}
	for _, k := range l.keys {
		if k.Default != "" {
			l.set(k, k.Default, "default")
		}
	}
	clear(l.where)
	l.file(name, text)
	l.environment(env)
	l.together()
	if len(l.faults) > 0 {
		return nil, l.faults
	}
	return l, nil
}

func (l *loader) fault(where, key, format string, args ...any) {
	l.faults = append(l.faults, Fault{where, key, fmt.Sprintf(format, args...)})
}

func (l *loader) set(k key, text, where string) bool {
	field := reflect.ValueOf(&l.config).Elem().FieldByIndex(k.index)
	text = strings.TrimSpace(text)
	if err := set(field, text, k.Unit); err != nil {
		l.fault(where, k.Name(), "%v", err)
		return false
	}
	l.where[k.Name()], l.raw[k.Name()] = where, text
	return true
}

// file reads the lines through ini.v1, which does not tell where a key stands; the
// outline does.
func (l *loader) file(name string, text []byte) {
	lines, broken := outline(text)
	for _, n := range broken {
		l.fault(fmt.Sprintf("%s:%d", name, n), "", "a line is Key=Value, [section] or ; comment")
	}
	f, err := ini.LoadSources(ini.LoadOptions{
		IgnoreInlineComment:     true, // a value may hold ; and #
		IgnoreContinuation:      true, // a path may end with a backslash
		SkipUnrecognizableLines: true, // they are faults already
		KeyValueDelimiters:      "=",
	}, bytes.NewReader(text))
	if err != nil {
		l.fault(name, "", "%v", err)
		return
	}
	for _, section := range f.Sections() {
		for _, entry := range section.Keys() {
			at := lines[lineKey{sectionName(section.Name()), entry.Name()}]
			where := name
			if len(at) > 0 {
				where = fmt.Sprintf("%s:%d", name, at[len(at)-1])
			}
			l.entry(section.Name(), entry.Name(), entry.Value(), where, len(at) > 1)
		}
	}
}

func sectionName(s string) string {
	if s == ini.DefaultSection {
		return ""
	}
	return s
}

func (l *loader) entry(section, name, value, where string, twice bool) {
	section = sectionName(section)
	label := "[" + section + "] " + name
	if section == "" {
		label = name
	}
	found := false
	for _, k := range l.keys {
		if k.Key != name || k.Section != section && !(section == "" && k.Legacy) {
			continue
		}
		found = true
		if before, ok := l.where[k.Name()]; ok {
			l.fault(where, label, "it is set at %s already", before)
			return
		}
		if !l.set(k, value, where) {
			return // once, where the key is of two sections
		}
	}
	if !found {
		l.fault(where, label, "there is no such key%s", l.suggest(section, name))
	} else if twice {
		l.fault(where, label, "it is set twice")
	}
}

// lineKey is a key as it stands in a file; section "" is before the first section.
type lineKey struct{ section, name string }

// outline finds the lines of each key, and the lines that are nothing.
func outline(text []byte) (lines map[lineKey][]int, broken []int) {
	lines = map[lineKey][]int{}
	section, n := "", 0
	for raw := range bytes.Lines(bytes.TrimPrefix(text, []byte(byteOrderMark))) {
		n++
		line := strings.TrimSpace(string(raw))
		switch {
		case line == "" || line[0] == ';' || line[0] == '#':
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = sectionName(strings.TrimSpace(line[1 : len(line)-1]))
		default:
			name, _, ok := strings.Cut(line, "=")
			if name = strings.TrimSpace(name); !ok || name == "" {
				broken = append(broken, n)
				continue
			}
			k := lineKey{section, name}
			lines[k] = append(lines[k], n)
		}
	}
	return lines, broken
}

// environment applies variables. One that begins like a section's and is no key's is
// a fault; other variables are not ours.
func (l *loader) environment(env []string) {
	byName := map[string]key{}
	sections := map[string]bool{}
	for _, k := range l.keys {
		byName[k.Env] = k
		sections[variable(k.Section, "")] = true
	}
	for _, line := range env {
		name, value, _ := strings.Cut(line, "=")
		if k, ok := byName[name]; ok {
			l.set(k, value, name)
			continue
		}
		for prefix := range sections {
			if strings.HasPrefix(name, prefix) {
				l.fault(name, "", "there is no such key%s", closest(name, variables(l.keys)))
			}
		}
	}
}

func variables(keys []key) []string {
	var names []string
	for _, k := range keys {
		names = append(names, k.Env)
	}
	return names
}

// at is where the first of the keys that was set is set.
func (l *loader) at(names ...string) string {
	for _, n := range names {
		if where, ok := l.where[n]; ok {
			return where
		}
	}
	return "default"
}
