// Command statements makes what the tests of the SDK verify: the word of nodes on where
// they are reached, signed as a node signs it.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
)

func main() { os.Exit(run(os.Stdout, os.Stderr)) }

func run(stdout, stderr io.Writer) int {
	made, err := vectors()
	if err == nil {
		err = json.NewEncoder(stdout).Encode(made)
	}
	if err != nil {
		fmt.Fprintln(stderr, "statements:", err)
		return 1
	}
	return 0
}

// vector is a statement, and what a browser needs to verify it.
type vector struct {
	Node  string   `json:"node"`
	Chain []string `json:"chain"`
	Token string   `json:"token"`
	Now   int64    `json:"now"` // Unix milliseconds
	OK    bool     `json:"ok"`  // as access.RoadStatementIn finds it
}

// vectors are those of one node as its key changes, at several times, and the same mixed
// up with those of another node.
func vectors() ([]vector, error) {
	a, err := identity.New()
	if err != nil {
		return nil, err
	}
	b, err := identity.New()
	if err != nil {
		return nil, err
	}
	signed := time.Date(2026, 11, 22, 10, 0, 0, 5e8, time.UTC)
	said := access.RoadStatement{
		WebTransport: []string{"https://192.168.1.5:18623/road", "https://[fd00::5]:18623/road"},
		Hashes:       []string{strings.Repeat("A", 42) + "I", strings.Repeat("_", 42) + "8"},
		Fingerprint:  strings.Repeat("b", 42) + "g",
	}
	var all []vector
	add := func(v vector, at time.Time) {
		_, err := access.RoadStatementIn(v.Token, v.Chain, v.Node, at)
		v.Now, v.OK = at.UnixMilli(), err == nil
		all = append(all, v)
	}
	var earlier []vector
	for range 4 {
		for _, at := range []time.Duration{-62 * time.Second, -58 * time.Second, 0, time.Hour, 61*time.Minute - time.Second, 61 * time.Minute} {
			add(vector{Node: a.NodeID(), Chain: a.Chain(), Token: said.Sign(a, signed)}, signed.Add(at))
		}
		v := vector{Node: a.NodeID(), Chain: a.Chain(), Token: said.Sign(a, signed)}
		earlier = append(earlier, v)
		for _, e := range earlier { // also with a chain that is too long or too short
			add(vector{Node: e.Node, Chain: v.Chain, Token: e.Token}, signed)
			add(vector{Node: v.Node, Chain: e.Chain, Token: v.Token}, signed)
		}
		add(vector{Node: b.NodeID(), Chain: v.Chain, Token: v.Token}, signed)
		add(vector{Node: v.Node, Chain: v.Chain, Token: said.Sign(b, signed)}, signed)
		add(vector{Node: v.Node, Chain: append(a.Chain(), b.Chain()...), Token: said.Sign(b, signed)}, signed)
		for _, id := range []*identity.Identity{a, b} {
			_, err := id.Prepare()
			if err := errors.Join(err, id.Change()); err != nil {
				return nil, err
			}
		}
	}
	add(vector{Node: a.NodeID(), Chain: a.Chain(), Token: access.TimeToken(a, a.NodeID(), signed)}, signed)
	add(vector{Node: a.NodeID(), Chain: a.Chain(), Token: access.RoadStatement{}.Sign(a, signed)}, signed)
	return all, nil
}
