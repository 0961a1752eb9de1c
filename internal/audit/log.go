package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/platen-scan/platen/internal/identity"
)

const (
	headEvery   = 100             // records
	headAfter   = time.Minute     // from an unsigned record on
	segmentSize = 16 << 20        // bytes of a file before the next is begun
	leastFree   = int64(16 << 20) // bytes that the disk must have for new work
)

// Config is what a Log needs.
type Config struct {
	Dir    string             // its own folder; made if it is missing
	Signer *identity.Identity // signs heads; only its key and those that it had before are believed
	Log    *slog.Logger       // nil: discarded
	Now    func() time.Time   // nil: time.Now
	// Free is how many bytes the disk of a folder can take; nil: asks the system.
	Free func(dir string) (int64, error)
}

// Log is an audit log that is open for writing. It is safe for concurrent use.
type Log struct {
	Config
	segment int64 // bytes of a file before the next is begun
	write   func(*os.File, []byte) (int, error)
	sync    func(*os.File) error
	wake    chan struct{} // there are unsigned records

	writing sync.Mutex // one write at a time; held over file operations
	file    *os.File

	mu     sync.Mutex
	next   *batch
	at     place
	fault  error // the last write failed; nothing is written before repair
	closed bool
}

// place is how far the log is durable.
type place struct {
	n    int64
	hash string
	head Head   // the last that was signed
	name string // of the last file
	size int64  // of the last file
}

// batch is what goes to the disk together.
type batch struct {
	entries []Entry
	done    bool // under Log.writing
	err     error
}

// errClosed is for what comes after Close.
var errClosed = errors.New("the audit log is closed")

// Open reads the end of the chain and goes on with it. A line that a crash cut off is
// taken away, which a record audit.recovered says. Any other damage is an error: the
// log must not go on as if nothing had been.
func Open(c Config) (*Log, error) {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Free == nil {
		c.Free = free
	}
	l := &Log{Config: c, segment: segmentSize, write: (*os.File).Write, sync: (*os.File).Sync, wake: make(chan struct{}, 1), next: &batch{}}
	if err := l.open(); err != nil {
		return nil, fmt.Errorf("opening the audit log: %w", err)
	}
	return l, nil
}

func (l *Log) open() error {
	if err := os.MkdirAll(l.Dir, 0o700); err != nil {
		return err
	}
	cut, err := l.resume()
	if err != nil {
		return err
	}
	if cut > 0 {
		l.Log.Warn("the audit log ended in the middle of a record, which was taken away", "bytes", cut)
		err = l.commit([]Entry{{Action: "audit.recovered", Result: OK, Detail: fmt.Sprintf("%d bytes of an unfinished record were taken away", cut)}})
	}
	if err == nil && (l.at.head.N < l.at.n || l.at.head.Pin() != l.Signer.Pin()) {
		err = l.put(nil, l.at.n, l.at.hash, true)
	}
	if err != nil {
		l.file.Close()
	}
	return err
}

// Append writes one record. It returns once the record is durable, or cannot be.
// Records that come while another is written go to the disk together.
func (l *Log) Append(_ context.Context, e Entry) error {
	l.mu.Lock()
	b := l.next
	b.entries = append(b.entries, e)
	l.mu.Unlock()

	l.writing.Lock()
	defer l.writing.Unlock()
	if b.done {
		return b.err
	}
	l.mu.Lock()
	l.next = &batch{}
	l.mu.Unlock()
	b.done, b.err = true, l.commit(b.entries)
	return b.err
}

// commit makes records of entries and writes them; writing is held.
func (l *Log) commit(entries []Entry) error {
	if err := l.repair(); err != nil {
		return err
	}
	now := l.Now()
	var text []byte
	n, hash := l.at.n, l.at.hash
	for _, e := range entries {
		n++
		line, next, err := encode(e.record(n, now), hash)
		if err != nil {
			return err
		}
		text, hash = append(append(text, line...), '\n'), next
	}
	if l.at.size+int64(len(text)) > l.segment {
		if err := l.rotate(); err != nil {
			return l.fail(err)
		}
	}
	if err := l.put(text, n, hash, n-l.at.head.N >= headEvery); err != nil {
		return err
	}
	if l.at.head.N < n {
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	return nil
}

// put writes lines after which the chain is at n and hash, with its head if signed is
// wanted; writing is held.
func (l *Log) put(text []byte, n int64, hash string, signed bool) error {
	at := l.at
	at.n, at.hash = n, hash
	if signed {
		at.head = sign(l.Signer, n, hash, l.Now())
		text = append(append(text, at.head.String()...), '\n')
	}
	if _, err := l.write(l.file, text); err != nil {
		return l.fail(err)
	}
	if err := l.sync(l.file); err != nil {
		return l.fail(err)
	}
	at.size += int64(len(text))
	l.mu.Lock()
	l.at = at
	l.mu.Unlock()
	return nil
}

// fail remembers that what the file holds beyond its durable size is not known.
func (l *Log) fail(err error) error {
	err = fmt.Errorf("writing the audit log: %w", err)
	l.mu.Lock()
	first := l.fault == nil
	l.fault = err
	l.mu.Unlock()
	if first {
		l.Log.Error("the audit log cannot be written: nothing is begun that it would have to keep", "error", err)
	}
	return err
}

// repair puts the file back to what is durable after a write failed, and tries
// whether writing works again; writing is held. After a failed fsync the system may have
// forgotten what it could not write, so the file is opened anew.
func (l *Log) repair() error {
	l.mu.Lock()
	fault, closed := l.fault, l.closed
	l.mu.Unlock()
	if closed {
		return errClosed
	}
	if fault == nil {
		return nil
	}
	file, err := os.OpenFile(filepath.Join(l.Dir, l.at.name), os.O_RDWR|os.O_APPEND, 0)
	if err != nil {
		return l.fail(err)
	}
	l.file.Close()
	l.file = file
	if info, err := file.Stat(); err != nil {
		return l.fail(err)
	} else if info.Size() < l.at.size {
		return l.fail(fmt.Errorf("%s became shorter: somebody else changed it", l.at.name))
	}
	if err := file.Truncate(l.at.size); err != nil {
		return l.fail(err)
	}
	if err := l.put(nil, l.at.n, l.at.hash, true); err != nil {
		return err
	}
	l.mu.Lock()
	l.fault = nil
	l.mu.Unlock()
	l.Log.Info("the audit log can be written again")
	return nil
}

// Ready reports whether the next record can be written: the last write worked and the
// disk has room. It tries anew after a write that failed.
func (l *Log) Ready() error {
	if bytes, err := l.Free(l.Dir); err != nil {
		return fmt.Errorf("asking for the room on the audit log's disk: %w", err)
	} else if bytes < leastFree {
		return fmt.Errorf("the audit log's disk has %d bytes left, %d are needed", bytes, leastFree)
	}
	l.mu.Lock()
	fault, closed := l.fault, l.closed
	l.mu.Unlock()
	if closed {
		return errClosed
	}
	if fault == nil || !l.writing.TryLock() {
		return fault
	}
	defer l.writing.Unlock()
	return l.repair()
}

// Head is the last signed head.
func (l *Log) Head() Head {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.at.head
}

// Records is how many records there are.
func (l *Log) Records() uint64 {
	l.mu.Lock()
	defer l.mu.Unlock()
	return uint64(l.at.n)
}

// Serve signs the head a minute after a record that is not under one. It ends with ctx.
func (l *Log) Serve(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-l.wake:
		}
		timer := time.NewTimer(headAfter)
		select {
		case <-ctx.Done():
			timer.Stop()
			return nil
		case <-timer.C:
		}
		if err := l.signHead(); err != nil && !errors.Is(err, errClosed) {
			l.Log.Error("signing the audit log failed", "error", err)
		}
	}
}

func (l *Log) signHead() error {
	l.writing.Lock()
	defer l.writing.Unlock()
	if err := l.repair(); err != nil || l.at.head.N == l.at.n {
		return err
	}
	return l.put(nil, l.at.n, l.at.hash, true)
}

// Close signs what is unsigned and closes the file. What comes after it fails.
func (l *Log) Close() error {
	err := l.signHead()
	if errors.Is(err, errClosed) {
		return nil
	}
	l.writing.Lock()
	defer l.writing.Unlock()
	l.mu.Lock()
	closed := l.closed
	l.closed = true
	l.mu.Unlock()
	if closed {
		return nil
	}
	return errors.Join(err, l.file.Close())
}
