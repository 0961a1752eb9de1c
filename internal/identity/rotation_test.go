package identity_test

import (
	"crypto/ed25519"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/platen-scan/platen/internal/identity"
)

func load(t *testing.T, dir string) *identity.Identity {
	t.Helper()
	id, err := identity.Load(dir)
	if err != nil {
		t.Fatalf("Load: %v", err)
	}
	return id
}

func prepare(t *testing.T, id *identity.Identity) identity.Rotation {
	t.Helper()
	r, err := id.Prepare()
	if err != nil {
		t.Fatalf("Prepare: %v", err)
	}
	return r
}

func TestChange(t *testing.T) {
	dir := t.TempDir()
	id := load(t, dir)
	nodeID, first := id.NodeID(), id.Pin()
	frozen := id.Frozen()
	for range 3 {
		old := id.Public()
		r := prepare(t, id)
		if again := prepare(t, id); !again.New.Equal(r.New) || again.String() != r.String() {
			t.Error("Prepare again answers another rotation")
		}
		if id.Next() != identity.PinOf(r.New) || !id.Public().Equal(old) {
			t.Errorf("Next = %s, want %s; the key must still be the old one", id.Next(), identity.PinOf(r.New))
		}
		parsed, err := identity.ParseRotation(r.String())
		if err != nil || !parsed.Old.Equal(old) || !parsed.New.Equal(r.New) || parsed.Node != nodeID {
			t.Errorf("ParseRotation = %+v, %v", parsed, err)
		}
		if err := id.Change(); err != nil {
			t.Fatal(err)
		}
		if !id.Public().Equal(r.New) || id.NodeID() != nodeID || id.Next() != "" {
			t.Errorf("after Change: pin %s, node %s, next %q", id.Pin(), id.NodeID(), id.Next())
		}
		if c, err := id.Certificate(); err != nil || !c.PrivateKey.(ed25519.PrivateKey).Public().(ed25519.PublicKey).Equal(r.New) {
			t.Errorf("the certificate is not of the new key (%v)", err)
		}
		again := load(t, dir)
		if again.Pin() != id.Pin() || again.NodeID() != nodeID || !slices.Equal(again.Chain(), id.Chain()) {
			t.Errorf("the next start has pin %s, node %s, want %s and %s", again.Pin(), again.NodeID(), id.Pin(), nodeID)
		}
		id = again
	}
	if frozen.Pin() != first || frozen.NodeID() != nodeID {
		t.Error("a frozen identity changed")
	}
	if got, err := identity.ParseChain(id.Public(), id.Chain()); err != nil || got != nodeID {
		t.Errorf("ParseChain = %s, %v, want %s", got, err, nodeID)
	}
	if err := id.Change(); !errors.Is(err, identity.ErrNoNext) {
		t.Errorf("Change without a next key = %v, want ErrNoNext", err)
	}
}

func TestDrop(t *testing.T) {
	dir := t.TempDir()
	id := load(t, dir)
	pin := id.Pin()
	dropped := prepare(t, id)
	for range 2 {
		if err := id.Drop(); err != nil {
			t.Fatal(err)
		}
	}
	if again := load(t, dir); again.Pin() != pin || again.Next() != "" {
		t.Errorf("after Drop: pin %s, next %q, want %s and none", again.Pin(), again.Next(), pin)
	}
	if r := prepare(t, id); r.New.Equal(dropped.New) {
		t.Error("a dropped key came back")
	}
}

// A process that is killed between any two steps of a change finds a working key.
func TestChangeCutShort(t *testing.T) {
	files := func(t *testing.T, dir string) map[string][]byte {
		t.Helper()
		all := map[string][]byte{}
		entries, err := os.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if all[e.Name()], err = os.ReadFile(filepath.Join(dir, e.Name())); err != nil {
				t.Fatal(err)
			}
		}
		return all
	}
	const key, next, chain = "identity.key", "identity.next", "identity.chain"
	for _, rounds := range []int{0, 2} { // changes before this one
		dir := t.TempDir()
		id := load(t, dir)
		for range rounds {
			prepare(t, id)
			if err := id.Change(); err != nil {
				t.Fatal(err)
			}
		}
		before := files(t, dir)
		nodeID, oldPin := id.NodeID(), id.Pin()
		prepare(t, id)
		prepared := files(t, dir)
		newPin := id.Next()
		if err := id.Change(); err != nil {
			t.Fatal(err)
		}
		after := files(t, dir)
		with := func(base map[string][]byte, name string, content []byte) map[string][]byte {
			m := map[string][]byte{name: content}
			for k, v := range base {
				if _, ok := m[k]; !ok {
					m[k] = v
				}
			}
			return m
		}
		for name, row := range map[string]struct {
			files     map[string][]byte
			pin, next string
		}{
			"before":                      {before, oldPin, ""},
			"half a next file":            {with(before, next+".new-0123", prepared[next][:20]), oldPin, ""},
			"prepared":                    {prepared, oldPin, newPin},
			"half a chain":                {with(prepared, chain+".new-0123", after[chain][:20]), oldPin, newPin},
			"chain written, not renamed":  {with(prepared, chain, after[chain]), newPin, ""},
			"renamed, folder not flushed": {after, newPin, ""},
		} {
			dir := t.TempDir()
			for file, content := range row.files {
				if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
					t.Fatal(err)
				}
			}
			for range 2 { // the start after, and the one after that
				got := load(t, dir)
				if got.Pin() != row.pin || got.Next() != row.next || got.NodeID() != nodeID {
					t.Errorf("%d changes before, %s: pin %s, next %q, node %s; want %s, %q, %s",
						rounds, name, got.Pin(), got.Next(), got.NodeID(), row.pin, row.next, nodeID)
				}
			}
			got := load(t, dir)
			prepare(t, got)
			if err := got.Change(); err != nil {
				t.Errorf("%s: a change after that: %v", name, err)
			}
			if again := load(t, dir); again.NodeID() != nodeID {
				t.Errorf("%s: after another change the node is %s", name, again.NodeID())
			}
		}

		// Without the key that the chain names there is no identity to go on with.
		broken := with(before, chain, after[chain])
		dir = t.TempDir()
		for file, content := range broken {
			if err := os.WriteFile(filepath.Join(dir, file), content, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if _, err := identity.Load(dir); err == nil {
			t.Error("Load took a chain that leads to a key that is not there")
		}
	}
}

func TestForgedRotations(t *testing.T) {
	victim, thief := newIdentity(t), newIdentity(t)
	good, other := prepare(t, victim), prepare(t, thief)
	for name, change := range map[string]func(*identity.Rotation){
		"another new key":         func(r *identity.Rotation) { r.New = other.New },
		"another old key":         func(r *identity.Rotation) { r.Old = other.Old },
		"another node":            func(r *identity.Rotation) { r.Node = other.Node },
		"no node":                 func(r *identity.Rotation) { r.Node = "" },
		"not signed by the old":   func(r *identity.Rotation) { r.ByOld = other.ByOld },
		"not signed by the new":   func(r *identity.Rotation) { r.ByNew = other.ByNew },
		"signatures exchanged":    func(r *identity.Rotation) { r.ByOld, r.ByNew = r.ByNew, r.ByOld },
		"to itself":               func(r *identity.Rotation) { r.New, r.ByNew = r.Old, r.ByOld },
		"a key that is too short": func(r *identity.Rotation) { r.New = r.New[:31] },
	} {
		forged := good
		change(&forged)
		if _, err := identity.ParseRotation(forged.String()); !errors.Is(err, identity.ErrBadRotation) {
			t.Errorf("%s: ParseRotation = %v, want ErrBadRotation", name, err)
		}
	}
	// A chain that is not whole, or not of this key, says nothing.
	for range 2 {
		prepare(t, victim)
		if err := victim.Change(); err != nil {
			t.Fatal(err)
		}
	}
	chain := victim.Chain()
	for name, row := range map[string]struct {
		key   ed25519.PublicKey
		chain []string
	}{
		"of another key":    {thief.Public(), chain},
		"without its end":   {victim.Public(), chain[:1]},
		"turned round":      {victim.Public(), []string{chain[1], chain[0]}},
		"another's start":   {victim.Public(), []string{other.String(), chain[1]}},
		"with a loop":       {victim.Public(), append(slices.Clone(chain), chain...)},
		"nonsense":          {victim.Public(), []string{"nonsense"}},
		"far too long":      {victim.Public(), slices.Repeat(chain, 100)},
		"of no key at all":  {nil, nil},
		"empty, and no key": {ed25519.PublicKey{}, []string{}},
	} {
		if id, err := identity.ParseChain(row.key, row.chain); err == nil {
			t.Errorf("%s: ParseChain = %s, want an error", name, id)
		}
	}
	// The end of the chain alone makes the key another node: the new key cannot take
	// the ID of a chain that it does not show.
	if id, err := identity.ParseChain(victim.Public(), nil); err != nil || id == victim.NodeID() {
		t.Errorf("without its chain the key is node %s, %v", id, err)
	}
}

func FuzzParseRotation(f *testing.F) {
	id, err := identity.New()
	if err != nil {
		f.Fatal(err)
	}
	r, err := id.Prepare()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(r.String())
	f.Add("")
	f.Add("e30")
	f.Fuzz(func(t *testing.T, text string) {
		got, err := identity.ParseRotation(text)
		if err == nil && (!got.Old.Equal(r.Old) || !got.New.Equal(r.New)) {
			t.Errorf("a rotation that nobody signed was taken: %q", text)
		}
	})
}
