package state

import (
	"context"
	"crypto/ed25519"
	"errors"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/proto/scan"
)

func newNode(t *testing.T, name string) Node {
	t.Helper()
	key, _, err := ed25519.GenerateKey(nil)
	if err != nil {
		t.Fatal(err)
	}
	id, err := scan.NodeID(key)
	if err != nil {
		t.Fatal(err)
	}
	return Node{ID: id, Key: key, Name: name, Token: "t", Joined: scan.At(time.Now())}
}

func TestNodes(t *testing.T) {
	ctx := t.Context()
	nodes := openState(t, t.TempDir(), nil).Nodes()
	a, err := nodes.Create(ctx, newNode(t, "a"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := nodes.Create(ctx, a); !errors.Is(err, access.ErrConflict) {
		t.Errorf("second Create = %v, want ErrConflict", err)
	}
	clash := newNode(t, "clash")
	clash.ID = scan.Prefix(a.ID) + clash.ID[len(scan.Prefix(a.ID)):]
	if _, err := nodes.Create(ctx, clash); !errors.Is(err, access.ErrConflict) {
		t.Errorf("Create with a routing prefix in use = %v, want ErrConflict", err)
	}
	got, err := nodes.Get(ctx, scan.Prefix(a.ID))
	if err != nil || !reflect.DeepEqual(got, a) {
		t.Errorf("Get = %+v, %v, want %+v", got, err, a)
	}

	old := a
	a.Name = "renamed"
	if a, err = nodes.Update(ctx, a); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes.Update(ctx, old); !errors.Is(err, access.ErrConflict) {
		t.Errorf("Update of an old revision = %v, want ErrConflict", err)
	}
	b, err := nodes.Create(ctx, newNode(t, "b"))
	if err != nil {
		t.Fatal(err)
	}
	want := []Node{a, b}
	slices.SortFunc(want, func(x, y Node) int { return compare(x.ID, y.ID) })
	if list, err := nodes.List(ctx); err != nil || !reflect.DeepEqual(list, want) {
		t.Errorf("List = %+v, %v, want %+v", list, err, want)
	}
}

func compare(a, b string) int {
	switch {
	case a < b:
		return -1
	case a > b:
		return 1
	}
	return 0
}

func TestNodesWatch(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	nodes := openState(t, t.TempDir(), nil).Nodes()
	before, err := nodes.Create(ctx, newNode(t, "before"))
	if err != nil {
		t.Fatal(err)
	}
	seen := make(chan Node, 8)
	done := make(chan error, 1)
	type deleted struct {
		prefix   string
		revision uint64
	}
	gone := make(chan deleted, 8)
	go func() {
		done <- nodes.Watch(ctx, func(n Node) { seen <- n }, func(prefix string, revision uint64) { gone <- deleted{prefix, revision} })
	}()
	next := func() Node {
		select {
		case n := <-seen:
			return n
		case <-time.After(10 * time.Second):
			t.Fatal("Watch reported nothing")
			return Node{}
		}
	}
	if got := next(); !reflect.DeepEqual(got, before) {
		t.Errorf("first = %+v, want what was there before, %+v", got, before)
	}
	after, err := nodes.Create(ctx, newNode(t, "after"))
	if err != nil {
		t.Fatal(err)
	}
	if got := next(); !reflect.DeepEqual(got, after) {
		t.Errorf("next = %+v, want the new node, %+v", got, after)
	}
	if err := nodes.Delete(ctx, before); err != nil {
		t.Fatal(err)
	}
	select {
	case got := <-gone:
		if got.prefix != scan.Prefix(before.ID) || got.revision <= before.Revision {
			t.Errorf("gone: %+v, want %s with a revision above %d", got, scan.Prefix(before.ID), before.Revision)
		}
	case <-time.After(10 * time.Second):
		t.Fatal("Watch did not report the deletion")
	}
	cancel()
	if err := <-done; err != nil {
		t.Errorf("Watch ended with %v, want nil", err)
	}
}

func TestNodesDelete(t *testing.T) {
	ctx := t.Context()
	nodes := openState(t, t.TempDir(), nil).Nodes()
	n, err := nodes.Create(ctx, newNode(t, "n"))
	if err != nil {
		t.Fatal(err)
	}
	old := n
	n.Revoked = scan.At(time.Now())
	if n, err = nodes.Update(ctx, n); err != nil {
		t.Fatal(err)
	}
	if err := nodes.Delete(ctx, old); !errors.Is(err, access.ErrConflict) {
		t.Errorf("Delete of an old revision = %v, want ErrConflict: a node must not leave in the moment that it is revoked", err)
	}
	if err := nodes.Delete(ctx, n); err != nil {
		t.Fatal(err)
	}
	if _, err := nodes.Get(ctx, scan.Prefix(n.ID)); !errors.Is(err, access.ErrNoRecord) {
		t.Errorf("Get after Delete = %v, want ErrNoRecord", err)
	}
	if again, err := nodes.Create(ctx, newNodeLike(n)); err != nil || again.Revision <= n.Revision {
		t.Errorf("Create after Delete = %+v, %v, want a newer revision", again, err)
	}
}

func newNodeLike(n Node) Node { return Node{ID: n.ID, Key: n.Key, Name: n.Name, Joined: n.Joined} }

func TestScanners(t *testing.T) {
	ctx, dir := t.Context(), t.TempDir()
	s := openState(t, dir, nil)
	node := newNode(t, "n")
	want := []scan.Scanner{{ID: scan.DerivedID(node.ID, scan.KindScanner, "x"), Node: node.ID, Name: "Flatbed", Driver: "virtual"}}
	if err := s.Scanners().Put(ctx, node.ID, want); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	s = openState(t, dir, nil)
	all, err := s.Scanners().All(ctx)
	if err != nil || !reflect.DeepEqual(all, map[string][]scan.Scanner{node.ID: want}) {
		t.Errorf("All after a restart = %+v, %v, want the scanners that were put", all, err)
	}
	if err := s.Scanners().Delete(ctx, node.ID); err != nil {
		t.Fatal(err)
	}
	if all, err := s.Scanners().All(ctx); err != nil || len(all) != 0 {
		t.Errorf("All after Delete = %+v, %v, want nothing", all, err)
	}
}
