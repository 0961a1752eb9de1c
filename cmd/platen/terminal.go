package main

import (
	"bufio"
	"context"
	"fmt"
	"os"
	"strings"
	"time"

	"golang.org/x/term"

	"github.com/platen-scan/platen/proto/scan"
)

const barWidth = 30

// progress draws a bar on a terminal while a page of known height is scanned.
func (r *scanRun) progress(p scan.Page) {
	if r.quiet || !isTerminal(os.Stderr) {
		return
	}
	if p.Height == 0 {
		fmt.Fprintf(r.stderr, "\rpage %d  %d rows ", p.N, p.Lines)
		return
	}
	full := barWidth * min(p.Lines, p.Height) / p.Height
	fmt.Fprintf(r.stderr, "\rpage %d  [%s%s] ", p.N, strings.Repeat("#", full), strings.Repeat(".", barWidth-full))
}

// say prints a line of progress, over the bar if there is one.
func (r *scanRun) say(format string, args ...any) {
	if r.quiet {
		return
	}
	if isTerminal(os.Stderr) {
		fmt.Fprint(r.stderr, "\r\x1b[K")
	}
	fmt.Fprintf(r.stderr, format+"\n", args...)
}

func isTerminal(f *os.File) bool { return term.IsTerminal(int(f.Fd())) }

// readLine reads one line unless ctx ends first.
func readLine(ctx context.Context, f *os.File) (string, error) {
	type answer struct {
		line string
		err  error
	}
	got := make(chan answer, 1)
	go func() { // ends with the process if nobody types
		line, err := bufio.NewReader(f).ReadString('\n')
		got <- answer{line, err}
	}()
	select {
	case a := <-got:
		return a.line, a.err
	case <-ctx.Done():
		return "", ctx.Err()
	}
}

func sleep(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
