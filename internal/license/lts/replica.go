package lts

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/identity"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

// copied are the beginnings of the keys of what a standby has of its main server. The pages
// of nodes go before the pool that they are of: a pool that is ahead of its nodes is
// brought to an end by whoever uses it, a node ahead of its pool waits for one.
var copied = []string{"license.item.", "license.project.", "license.seat.", pagesPrefix, "license.pool.", peerPrefix, "alerts."}

// handedOut are those which a standby changes while it stands in, and tells its main
// server. That one makes its pools itself of what nodes have.
var handedOut = []string{"license.seat.", pagesPrefix, peerPrefix, "alerts.event."}

const pagesPrefix = "license.pages."

const (
	replica         = "/node/license/replica"
	maxReplicaBody  = 4 << 20
	maxChanges      = 100       // in one request
	maxChangesBytes = 512 << 10 // of values; base64 and the values before make twice and more of it
	maxKey          = 300
)

// ReplicaConfig is what a main server shows its standby.
type ReplicaConfig struct {
	Records access.Records
	Book    *ledger.Book
	// Adopt takes in the pages that the standby has given to a node: tracking.Server.Adopt.
	Adopt   func(ctx context.Context, key string, record []byte) error
	Standby func() string // pin of the standby; "": there is none
	Seen    func()        // the standby has told what it handed out, and asks for a copy; nil: nobody wants to know
}

type mainSide struct{ ReplicaConfig }

// ReplicaRoutes are those for the standby, on access.RoadNode.
func ReplicaRoutes(c ReplicaConfig) []access.Route {
	m := &mainSide{c}
	return []access.Route{
		{Method: http.MethodGet, Path: v1 + replica, Policy: access.NodeOnly(), Handle: m.get},
		{Method: http.MethodPost, Path: v1 + replica, Policy: access.NodeOnly(), MaxBody: maxReplicaBody, Handle: m.post},
	}
}

func (m *mainSide) admit(r *http.Request) error {
	pin := identity.PinOf(access.CallerOf(r.Context()).Key)
	if want := m.Standby(); want == "" || pin != want {
		return problem.New(problem.PermissionDenied, "The key %s is not that of this server's standby ([tracking] Standby).", pin)
	}
	return nil
}

// get writes all records, then the ledger behind a place, then a line with nothing but
// the last place: without that one the copy is not whole.
func (m *mainSide) get(w http.ResponseWriter, r *http.Request) error {
	if err := m.admit(r); err != nil {
		return err
	}
	q, err := query(r, "after")
	if err != nil {
		return err
	}
	after := int64(0)
	if q["after"] != "" {
		if after, err = strconv.ParseInt(q["after"], 10, 64); err != nil || after < 0 {
			return problem.New(problem.BadRequest, "It is a place in the ledger.").At("after")
		}
	}
	w.Header().Set("Content-Type", "application/x-ndjson")
	if r.Method == http.MethodHead {
		return nil // the standby asks whether this server is there
	}
	if m.Seen != nil {
		m.Seen()
	}
	lines := json.NewEncoder(w)
	for _, prefix := range copied {
		err := m.Records.List(r.Context(), prefix, func(key string, value []byte) error {
			return lines.Encode(api.ReplicaLine{Key: key, Value: value})
		})
		if err != nil {
			return err
		}
	}
	last := after
	err = m.Book.Batches(r.Context(), after, func(next int64, batch api.ReceiptBatch) error {
		last = next
		return lines.Encode(api.ReplicaLine{Place: next, Batch: batch})
	})
	if err != nil {
		return err
	}
	return lines.Encode(api.ReplicaLine{Place: last})
}

// post takes what the standby handed out, record by record.
func (m *mainSide) post(w http.ResponseWriter, r *http.Request) error {
	if err := m.admit(r); err != nil {
		return err
	}
	var body api.ReplicaChanges
	if err := access.ReadPeerJSONUpTo(maxReplicaBody, r, &body); err != nil {
		return err
	}
	if len(body.Items) > maxChanges {
		return problem.New(problem.BadRequest, "It has more than %d records.", maxChanges).At("items")
	}
	for _, c := range body.Items {
		if !begins(c.Key, handedOut) || len(c.Key) > maxKey {
			return problem.New(problem.BadRequest, "A standby hands out no such record.").At("items")
		}
	}
	for _, c := range body.Items {
		if err := m.merge(r.Context(), c); err != nil {
			return err
		}
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// merge takes a record that is still as the standby had copied it, and of pages what is
// not known here.
func (m *mainSide) merge(ctx context.Context, c api.ReplicaChange) error {
	if strings.HasPrefix(c.Key, pagesPrefix) {
		return m.Adopt(ctx, c.Key, c.Value)
	}
	value, revision, err := m.Records.Get(ctx, c.Key)
	switch {
	case errors.Is(err, access.ErrNoRecord) && len(c.Before) == 0:
		_, err = m.Records.Create(ctx, c.Key, c.Value, time.Time{})
	case errors.Is(err, access.ErrNoRecord):
		return nil // it was taken away here
	case err != nil:
		return err
	case !bytes.Equal(value, c.Before):
		return nil // it was changed here, or the change came before
	default:
		_, err = m.Records.Update(ctx, c.Key, c.Value, time.Time{}, revision)
	}
	if errors.Is(err, access.ErrConflict) {
		return nil
	}
	return err
}

func begins(key string, prefixes []string) bool {
	for _, p := range prefixes {
		if strings.HasPrefix(key, p) && len(key) > len(p) {
			return true
		}
	}
	return false
}
