package ledger

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/proto/api"
)

// crashFile is a world of TestCrashes between two runs.
type crashFile struct {
	Nodes   []crashFileNode
	Records map[string][]byte
}

type crashFileNode struct {
	Rows []api.Receipt
	Job  string
	N    int
	Mark int64
}

func (w *crashWorld) keys(i int) string { return filepath.Join(*crashState, fmt.Sprint("node", i)) }

// save writes the world to -crash.state. Keys are written by the identities themselves.
func (w *crashWorld) save() {
	if *crashState == "" {
		return
	}
	file := crashFile{Records: map[string][]byte{}}
	for _, n := range w.nodes {
		file.Nodes = append(file.Nodes, crashFileNode{n.rows, n.job, n.n, n.mark})
	}
	err := w.records.List(w.t.Context(), "", func(key string, value []byte) error {
		file.Records[key] = value
		return nil
	})
	text, jsonErr := json.Marshal(file)
	path := filepath.Join(*crashState, "world.json")
	err = errors.Join(err, jsonErr, os.WriteFile(path+".next", text, 0o600), os.Rename(path+".next", path))
	if err != nil {
		w.t.Fatal(err)
	}
}

// load goes on with the world of -crash.state, and answers how many pages it has.
func (w *crashWorld) load() (committed int) {
	if *crashState == "" {
		return 0
	}
	var file crashFile
	text, err := os.ReadFile(filepath.Join(*crashState, "world.json"))
	if err == nil {
		err = json.Unmarshal(text, &file)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		w.t.Fatal(err)
	}
	for len(file.Nodes) < 5 {
		file.Nodes = append(file.Nodes, crashFileNode{})
	}
	for i, saved := range file.Nodes {
		id, err := identity.Load(w.keys(i))
		if err != nil {
			w.t.Fatal(err)
		}
		n := &crashNode{meterOf: &meterOf{id: id}, mark: saved.Mark}
		for _, row := range saved.Rows {
			n.add(row)
		}
		n.job, n.n = saved.Job, saved.N
		w.nodes = append(w.nodes, n)
		committed += len(saved.Rows)
	}
	for key, value := range file.Records {
		if _, err := w.records.Create(w.t.Context(), key, value, time.Time{}); err != nil {
			w.t.Fatal(err)
		}
	}
	// Not the same again from where it was left.
	w.rand = seeded(*crashSeed + uint64(committed))
	w.records.rand = w.rand
	return committed
}
