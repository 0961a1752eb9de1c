package config

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/platen-scan/platen/internal/durable"
)

// With is the file after keys were changed; nothing is written. Comments, order and
// everything else stay as they are. values are by Name; "" puts the default back. A
// result that would have faults is refused with them.
func (f *File) With(values map[string]string) (*File, error) {
	var faults Faults
	lines := splitLines(f.text)
	for _, name := range slices.Sorted(maps.Keys(values)) {
		k, ok := keyNamed(name)
		value := strings.TrimSpace(values[name])
		switch {
		case !ok:
			faults = append(faults, Fault{name, "", "there is no such key"})
		case strings.ContainsFunc(value, unicode.IsControl) || strings.ToValidUTF8(value, "") != value:
			faults = append(faults, Fault{"the new value", name, "a value is one line of text"})
		default:
			lines = setLine(lines, k, value)
		}
	}
	if len(faults) > 0 {
		return nil, faults
	}
	changed := &File{path: f.path, env: f.env, disk: f.disk, text: joinLines(lines)}
	if err := changed.parse(); err != nil {
		return nil, err
	}
	return changed, changed.is(f, values)
}

// is checks that the change did what it should and nothing else: a file may be written
// so oddly that the lines do not mean what they seem to.
func (f *File) is(before *File, values map[string]string) error {
	for _, k := range keys() {
		want, changed := values[k.Name()]
		if !changed {
			want = before.raw[k.Name()]
		}
		if f.raw[k.Name()] != strings.TrimSpace(want) && (changed || !k.Legacy) {
			return fmt.Errorf("changing %s: %s is written so that it cannot be changed by a program; change it by hand", k.Name(), f.path)
		}
	}
	return nil
}

// fileLine is a line of the file with what it says.
type fileLine struct {
	text    string // without its end
	end     string // "\n", "\r\n"; "" at the end of the file
	section string // in which it stands
	key     string // that it sets; "" if none
	sample  string // key that it would set without the ; before it
}

func splitLines(text []byte) []fileLine {
	var lines []fileLine
	section := ""
	rest, hasMark := bytes.CutPrefix(text, []byte(byteOrderMark))
	for raw := range strings.Lines(string(rest)) {
		l := fileLine{text: strings.TrimRight(raw, "\r\n")}
		l.end = raw[len(l.text):]
		line := strings.TrimSpace(l.text)
		name, _, isKey := strings.Cut(line, "=")
		name = strings.TrimSpace(name)
		switch {
		case line == "":
		case line[0] == ';' || line[0] == '#':
			if isKey {
				l.sample = name[1:]
			}
		case line[0] == '[' && strings.HasSuffix(line, "]"):
			section = sectionName(strings.TrimSpace(line[1 : len(line)-1]))
		case isKey:
			l.key = name
		}
		l.section = section
		lines = append(lines, l)
	}
	if hasMark && len(lines) > 0 {
		lines[0].text = byteOrderMark + lines[0].text
	}
	return lines
}

func joinLines(lines []fileLine) []byte {
	var b bytes.Buffer
	for _, l := range lines {
		b.WriteString(l.text)
		b.WriteString(l.end)
	}
	return b.Bytes()
}

// setLine changes the line of a key, or the sample line, or adds one. A key that goes
// back to its default becomes a sample line.
func setLine(lines []fileLine, k key, value string) []fileLine {
	at := slices.IndexFunc(lines, func(l fileLine) bool {
		return l.key == k.Key && (l.section == k.Section || l.section == "" && k.Legacy)
	})
	switch {
	case at >= 0 && value == "":
		l := &lines[at]
		indent := l.text[:strings.Index(l.text, k.Key)]
		l.text, l.key, l.sample = indent+";"+k.Key+"="+k.Default, "", k.Key
		return lines
	case at >= 0:
		l := &lines[at]
		head, old, _ := strings.Cut(l.text, "=")
		blanks := old[:len(old)-len(strings.TrimLeft(old, " \t"))]
		l.text = head + "=" + blanks + quote(value)
		return lines
	case value == "":
		return lines
	}
	at = slices.IndexFunc(lines, func(l fileLine) bool { return l.sample == k.Key && l.section == k.Section })
	if at >= 0 {
		l := &lines[at]
		l.text, l.key, l.sample = k.Key+"="+quote(value), k.Key, ""
		return lines
	}
	return addLine(lines, k, value)
}

// addLine puts a key behind the last line of its section that is not blank.
func addLine(lines []fileLine, k key, value string) []fileLine {
	end := "\n"
	if len(lines) > 0 && strings.HasSuffix(lines[0].end, "\r\n") {
		end = "\r\n"
	}
	at := 0
	for i, l := range lines {
		if l.section == k.Section && strings.TrimSpace(l.text) != "" {
			at = i + 1
		}
	}
	var added []fileLine
	if at == 0 { // no such section
		at = len(lines)
		if at > 0 {
			added = append(added, fileLine{end: end})
		}
		added = append(added, fileLine{text: "[" + k.Section + "]", end: end, section: k.Section})
	}
	if at > 0 && lines[at-1].end == "" {
		lines[at-1].end = end
	}
	added = append(added, fileLine{text: k.Key + "=" + quote(value), end: end, section: k.Section, key: k.Key})
	return slices.Insert(lines, at, added...)
}

// quote keeps a value that begins with a quotation mark from losing it.
func quote(value string) string {
	if value != "" && strings.ContainsRune("\"'`", rune(value[0])) {
		return "`" + value + "`"
	}
	return value
}

// Write puts the file in the place of what was read, whole or not at all, with its
// mode; a new file is for nobody but us. It fails if somebody changed the file since.
func (f *File) Write() error {
	if err := f.write(); err != nil {
		return fmt.Errorf("writing %s: %w", f.path, err)
	}
	f.disk = f.text
	return nil
}

func (f *File) write() error {
	path, mode := f.path, os.FileMode(0o600)
	if real, err := filepath.EvalSymlinks(path); err == nil {
		path = real
	}
	if info, err := os.Stat(path); err == nil {
		mode = info.Mode().Perm()
		if now, err := read(path); err != nil {
			return err
		} else if !bytes.Equal(now, f.disk) {
			return fmt.Errorf("somebody else changed it at the same time")
		}
	}
	return durable.Replace(path, f.text, mode)
}
