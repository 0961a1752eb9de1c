// Package archtest holds the house together: who may import whom, which package may
// know a third-party library, how files and packages are named and how long files
// get. Its test checks the whole module by parsing the files; nothing is built or
// run, so that it also works while a package does not compile.
//
// Tests and test harnesses may import what they like: they choose adapters as
// commands do.
package archtest

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"path"
	"slices"
	"strconv"
	"strings"
)

// Package is one folder of Go files, tests left out.
type Package struct {
	Dir     string // relative to the module, "." for its root
	Name    string
	Imports map[string]string // import path → a file that has it
	Inits   []string          // files with an init function
}

// File is one Go file, tests included.
type File struct {
	Path      string
	Lines     int
	Generated bool
}

// Tree is the Go part of a module.
type Tree struct {
	Module   string
	Packages map[string]*Package // by folder
	Files    []File
}

// Read parses all Go files under root. Folders that the go command passes over are
// passed over, and so is node_modules.
func Read(root fs.FS, module string) (*Tree, error) {
	t := &Tree{Module: module, Packages: map[string]*Package{}}
	err := fs.WalkDir(root, ".", func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		base := path.Base(name)
		if d.IsDir() {
			if name != "." && (strings.HasPrefix(base, ".") || strings.HasPrefix(base, "_") || base == "testdata" || base == "node_modules") {
				return fs.SkipDir
			}
			return nil
		}
		if path.Ext(name) != ".go" {
			return nil
		}
		return t.add(root, name)
	})
	if err != nil {
		return nil, fmt.Errorf("reading the module: %w", err)
	}
	return t, nil
}

func (t *Tree) add(root fs.FS, name string) error {
	text, err := fs.ReadFile(root, name)
	if err != nil {
		return err
	}
	file, err := parser.ParseFile(token.NewFileSet(), name, text, parser.SkipObjectResolution|parser.ParseComments)
	if file == nil {
		return err
	}
	// With a syntax error the imports are there all the same, and the compiler says the rest.
	t.Files = append(t.Files, File{Path: name, Lines: strings.Count(string(text), "\n"), Generated: ast.IsGenerated(file)})
	if strings.HasSuffix(name, "_test.go") || file.Name.Name == "_" {
		return nil
	}
	dir := path.Dir(name)
	p := t.Packages[dir]
	if p == nil {
		p = &Package{Dir: dir, Name: file.Name.Name, Imports: map[string]string{}}
		t.Packages[dir] = p
	}
	for _, spec := range file.Imports {
		imported, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			return fmt.Errorf("%s: import %s: %w", name, spec.Path.Value, err)
		}
		p.Imports[imported] = name
	}
	for _, d := range file.Decls {
		if f, ok := d.(*ast.FuncDecl); ok && f.Recv == nil && f.Name.Name == "init" {
			p.Inits = append(p.Inits, name)
		}
	}
	return nil
}

// Faults checks all rules and says, sorted, what breaks them.
func (t *Tree) Faults() []string {
	var faults []string
	for _, p := range t.Packages {
		faults = append(faults, t.importFaults(p)...)
		faults = append(faults, t.nameFaults(p)...)
		for _, file := range p.Inits {
			faults = append(faults, fmt.Sprintf("%s: func init: constructors are called, nothing starts by being imported", file))
		}
	}
	for _, f := range t.Files {
		if f.Lines > maxLines && !f.Generated {
			faults = append(faults, fmt.Sprintf("%s: %d lines, %d are the most", f.Path, f.Lines, maxLines))
		}
	}
	slices.Sort(faults)
	return faults
}

func (t *Tree) importFaults(p *Package) []string {
	if harness(p.Dir) {
		return nil
	}
	var faults []string
	for imported, file := range p.Imports {
		dir, ours := strings.CutPrefix(imported, t.Module+"/")
		if !ours {
			if who, restricted := importers(imported); restricted && !within(p.Dir, who) {
				faults = append(faults, fmt.Sprintf("%s: imports %s, which belongs to %s", file, imported, strings.Join(who, ", ")))
			}
			continue
		}
		if why := forbidden(p.Dir, dir); why != "" {
			faults = append(faults, fmt.Sprintf("%s: imports %s: %s", file, dir, why))
		}
	}
	return faults
}

func (t *Tree) nameFaults(p *Package) []string {
	var faults []string
	if slices.Contains(emptyNames, p.Name) {
		faults = append(faults, fmt.Sprintf("%s: package %s: the name says nothing", p.Dir, p.Name))
	}
	for imported, file := range p.Imports {
		if p.Name != "main" && t.nameOf(imported) == p.Name {
			faults = append(faults, fmt.Sprintf("%s: package %s imports %s, which has the same name", file, p.Name, imported))
		}
	}
	return faults
}

// nameOf is the name of an imported package: as it says for ours, by custom for others.
func (t *Tree) nameOf(imported string) string {
	if dir, ours := strings.CutPrefix(imported, t.Module+"/"); ours && t.Packages[dir] != nil {
		return t.Packages[dir].Name
	}
	base := path.Base(imported)
	if len(base) > 1 && base[0] == 'v' && strings.Trim(base[1:], "0123456789") == "" {
		base = path.Base(path.Dir(imported))
	}
	base, _, _ = strings.Cut(base, ".v") // gopkg.in
	return base
}
