package ocr

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/platen-scan/platen/proto/api"
)

// Config is what an Engine is made of.
type Config struct {
	Command string        // name or path of the program; "": tesseract
	Dir     string        // folder for the folders of processes, made when needed, emptied by New; "": the system's
	Limit   time.Duration // for one page; 0: two minutes
	Memory  uint64        // bytes that one process may take, on Linux; 0: 2 GiB
	AtOnce  int           // processes; 0: one for two processors
	Log     *slog.Logger  // nil: none
}

// Engine reads pages. Its methods are safe for concurrent use.
type Engine struct {
	cfg   Config
	slots chan struct{}

	mu    sync.Mutex // held while the program is asked
	asked time.Time
	state State
}

// State is what is installed.
type State struct {
	Path      string // "": nothing
	Version   string
	Languages []string // as in their names: eng, deu
	Turns     bool     // it can tell how a page stands
}

// Missing is a program or language that is not installed.
type Missing struct{ Hint string }

func (m *Missing) Error() string { return m.Hint }

// ErrFailed is a page that could not be read: it is damaged, too large, or took too long.
var ErrFailed = errors.New("the text could not be read")

const (
	// stateKept is how long an answer about what is installed counts, so that nobody has to
	// start the node again after installing a language.
	stateKept = time.Minute
	askLimit  = 10 * time.Second

	maxAnswer = 64 << 10 // of the program about itself
	orient    = "osd"    // what is listed with the languages and is none
)

// New makes an engine. What an earlier one left in its folder is removed.
func New(c Config) *Engine {
	if c.Command == "" {
		c.Command = "tesseract"
	}
	if c.Limit <= 0 {
		c.Limit = 2 * time.Minute
	}
	if c.Memory == 0 {
		c.Memory = 2 << 30
	}
	if c.AtOnce <= 0 {
		c.AtOnce = max(runtime.NumCPU()/2, 1)
	}
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if old, err := filepath.Glob(filepath.Join(c.Dir, folderPattern)); err == nil && c.Dir != "" {
		for _, dir := range old {
			os.RemoveAll(dir)
		}
	}
	return &Engine{cfg: c, slots: make(chan struct{}, c.AtOnce)}
}

// State asks the program, unless it did so a moment ago. It may take a second.
func (e *Engine) State(ctx context.Context) State {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.asked.IsZero() && time.Since(e.asked) < stateKept {
		return e.state
	}
	s, err := e.ask(ctx)
	if ctx.Err() != nil {
		return e.state
	}
	if err != nil {
		e.cfg.Log.Info("text recognition is not installed", "error", err)
	}
	e.asked, e.state = time.Now(), s
	return s
}

func (e *Engine) ask(ctx context.Context) (State, error) {
	path, err := exec.LookPath(e.cfg.Command)
	if err != nil {
		return State{}, err
	}
	if path, err = filepath.Abs(path); err != nil {
		return State{}, err
	}
	ctx, cancel := context.WithTimeout(ctx, askLimit)
	defer cancel()
	version, err := e.run(ctx, path, nil, maxAnswer, "--version")
	if err != nil {
		return State{}, err
	}
	list, err := e.run(ctx, path, nil, maxAnswer, "--list-langs")
	if err != nil {
		return State{}, err
	}
	s := State{Path: path}
	first, _, _ := strings.Cut(string(version), "\n")
	s.Version = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(first), "tesseract"))
	// A line of words comes first. Scripts lie in folders; they are no languages.
	for line := range strings.Lines(string(list)) {
		switch name := strings.TrimSpace(line); {
		case name == orient:
			s.Turns = true
		case languageName(name):
			s.Languages = append(s.Languages, name)
		}
	}
	slices.Sort(s.Languages)
	return s, nil
}

func languageName(s string) bool {
	if len(s) < 3 || len(s) > 20 {
		return false
	}
	return strings.IndexFunc(s, func(r rune) bool { return r != '_' && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') }) < 0
}

// Check says whether text in these languages, joined by +, can be read: nil or a *Missing.
func (e *Engine) Check(ctx context.Context, languages string) (State, error) {
	s := e.State(ctx)
	if s.Path == "" {
		return s, &Missing{Hint: "Install tesseract: the package tesseract-ocr of Debian and Ubuntu, with tesseract-ocr-eng for English."}
	}
	for language := range strings.SplitSeq(languages, "+") {
		if !languageName(language) || !slices.Contains(s.Languages, language) {
			return s, &Missing{Hint: fmt.Sprintf("Tesseract does not have the language %q: install the package tesseract-ocr-%s.",
				language, strings.ReplaceAll(strings.ToLower(language), "_", "-"))}
		}
	}
	return s, nil
}

// Page is a file that tesseract can read: JPEG, or PNG of 1 or 8 bits.
type Page struct {
	File       *os.File // read from its start
	Width      int      // pixels
	Height     int
	Resolution int // dots per inch; 0: not known
}

// Read reads the text on a page. It waits for its turn, and ends with ctx. Errors are
// *Missing, ErrFailed, or those of ctx.
func (e *Engine) Read(ctx context.Context, p Page, languages string) (api.PageText, error) {
	s, err := e.Check(ctx, languages)
	if err != nil {
		return api.PageText{}, err
	}
	select {
	case e.slots <- struct{}{}:
		defer func() { <-e.slots }()
	case <-ctx.Done():
		return api.PageText{}, ctx.Err()
	}
	if err := checkImage(p.File); err != nil {
		return api.PageText{}, err
	}
	layout := "3" // no look at how the page stands
	if s.Turns {
		layout = "1"
	}
	args := []string{"stdin", "stdout", "--psm", layout, "-l", languages, "-c", "tessedit_create_tsv=1"}
	if p.Resolution > 0 {
		args = append(args, "--dpi", fmt.Sprint(min(max(p.Resolution, 70), 2400)))
	}
	limited, cancel := context.WithTimeout(ctx, e.cfg.Limit)
	defer cancel()
	out, err := e.run(limited, s.Path, p.File, maxTable, args...)
	switch {
	case ctx.Err() != nil:
		return api.PageText{}, ctx.Err()
	case limited.Err() != nil:
		return api.PageText{}, fmt.Errorf("%w in %v", ErrFailed, e.cfg.Limit)
	case err != nil:
		return api.PageText{}, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	text, err := parse(out, p.Width, p.Height, languages)
	if err != nil {
		return api.PageText{}, fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return text, nil
}

// checkImage looks at the first bytes. What is no image would be taken for a list of
// files and addresses to read.
func checkImage(f *os.File) error {
	head := make([]byte, 8)
	if _, err := f.ReadAt(head, 0); err != nil && !errors.Is(err, io.EOF) {
		return err
	}
	if !bytes.HasPrefix(head, []byte("\xff\xd8\xff")) && !bytes.HasPrefix(head, []byte("\x89PNG\r\n\x1a\n")) {
		return fmt.Errorf("%w: it is neither JPEG nor PNG", ErrFailed)
	}
	_, err := f.Seek(0, io.SeekStart)
	return err
}
