package state

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"
)

// crashDir, where set, makes the test binary the process that is killed.
const crashDir = "PLATEN_STATE_CRASH_DIR"

func TestMain(m *testing.M) {
	if dir := os.Getenv(crashDir); dir != "" {
		fmt.Fprintln(os.Stderr, writeForEver(dir))
		os.Exit(1)
	}
	goleak.VerifyTestMain(m)
}

// writeForEver prints the key of each record once its write was acknowledged.
func writeForEver(dir string) error {
	ctx := context.Background()
	s, err := Open(ctx, Config{Dir: dir})
	if err != nil {
		return err
	}
	var mu sync.Mutex
	failed := make(chan error)
	for worker := range 4 {
		go func() {
			for i := 0; ; i++ {
				key := fmt.Sprintf("crash.%d.%d.%d", os.Getpid(), worker, i)
				rev, err := s.Records().Create(ctx, key, []byte(key), time.Time{})
				if err == nil && i%3 == 0 {
					_, err = s.Records().Update(ctx, key, []byte(key), time.Now().Add(time.Hour), rev)
				}
				if err != nil {
					failed <- err
					return
				}
				mu.Lock()
				fmt.Println(key)
				mu.Unlock()
			}
		}()
	}
	return <-failed
}

func TestKillLosesNothing(t *testing.T) {
	dir := t.TempDir()
	acknowledged := map[string]bool{}
	for round := range 3 {
		// The next process finds what a killed one left, over and over.
		killMidWrite(t, dir+fmt.Sprint(round%2), 200+100*round, func(key string) { acknowledged[fmt.Sprint(round%2)+key] = true })
	}
	if len(acknowledged) < 400 {
		t.Fatalf("only %d writes were acknowledged", len(acknowledged))
	}
	found := map[string]bool{}
	for store := range 2 {
		s := openState(t, dir+fmt.Sprint(store), nil)
		err := s.Records().List(t.Context(), "crash.", func(key string, value []byte) error {
			if string(value) != key {
				return fmt.Errorf("%s holds %q", key, value)
			}
			found[fmt.Sprint(store)+key] = true
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	for key := range acknowledged {
		if !found[key] {
			t.Errorf("%s was acknowledged and is lost", key)
		}
	}
}

// killMidWrite runs a writer on dir and kills it after some acknowledgements.
func killMidWrite(t *testing.T, dir string, after int, acked func(key string)) {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), self)
	cmd.Env = append(os.Environ(), crashDir+"="+dir)
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewReader(out)
	for n := 0; ; n++ {
		if n == after {
			cmd.Process.Kill()
		}
		line, err := lines.ReadString('\n')
		if errors.Is(err, io.EOF) {
			break // a line without its end was not printed whole
		}
		if err != nil {
			t.Fatal(err)
		}
		acked(line[:len(line)-1])
	}
	if err := cmd.Wait(); cmd.ProcessState.Success() {
		t.Fatalf("the writer ended by itself: %v", err)
	}
}
