package lts

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/platen-scan/platen/internal/access"
	"github.com/platen-scan/platen/internal/license"
	"github.com/platen-scan/platen/internal/license/ledger"
	"github.com/platen-scan/platen/proto/api"
	"github.com/platen-scan/platen/proto/problem"
)

const (
	maxLine    = 4 << 20   // of a copy: a batch with the longest texts
	maxRecords = 512 << 20 // bytes of keys and values of a copy
)

func (s *Standby) api() (*api.Client, error) {
	if s.client == nil {
		c, err := s.cfg.Client(s.cfg.Main)
		if err != nil {
			return nil, err
		}
		s.client = c
	}
	return &api.Client{Server: "https://" + s.cfg.Main.Host + v1 + "/", Client: s.client}, nil
}

// reach asks whether the main server is there. What it asks for is this server's alone to
// have, so that a wrong pin at the main server shows.
func (s *Standby) reach(ctx context.Context) error {
	c, err := s.api()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, lookFor)
	defer cancel()
	res, err := c.GetReplica(ctx, nil, func(_ context.Context, r *http.Request) error {
		r.Method = http.MethodHead
		return nil
	})
	if err != nil {
		s.client.CloseIdleConnections()
		return err
	}
	res.Body.Close()
	if res.StatusCode == http.StatusForbidden {
		// It is there, and must not be stood in for.
		s.cfg.Log.Error("the main licence tracking server does not know this one as its standby: set [tracking] Standby there", "pin", s.Pin())
	} else if res.StatusCode/100 != 2 {
		return fmt.Errorf("the main server answered %s", res.Status)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.last = s.cfg.Now()
	return nil
}

// tell hands over what was done while the main server was away: what was handed out, then
// the pages that were counted.
func (s *Standby) tell(ctx context.Context) error {
	c, err := s.api()
	if err != nil {
		return err
	}
	var changes []api.ReplicaChange
	var keys []string
	bytes := 0
	send := func() error {
		if len(changes) > 0 {
			if err := api.Done(c.MergeReplica(ctx, api.ReplicaChanges{Items: changes})); err != nil {
				return fmt.Errorf("telling what was handed out: %w", err)
			}
		}
		for _, key := range keys {
			if err := s.cfg.Journal.settle(ctx, key); err != nil {
				return err
			}
		}
		changes, keys, bytes = nil, nil, 0
		return nil
	}
	err = s.cfg.Journal.changed(ctx, func(key string, before, value []byte) error {
		if size := len(before) + len(value); len(changes) == maxChanges || bytes+size > maxChangesBytes {
			if err := send(); err != nil {
				return err
			}
		}
		keys = append(keys, key)
		bytes += len(before) + len(value)
		if value != nil { // else it is no more, and the next copy says what the main server has
			changes = append(changes, api.ReplicaChange{Key: key, Before: before, Value: value})
		}
		return nil
	})
	if err == nil {
		err = send()
	}
	if err != nil {
		return err
	}
	err = s.report(ctx, c, s.state.Own)
	if errors.Is(err, problem.ReceiptGap.Error()) { // it has less than it had, as from a backup
		err = s.report(ctx, c, 0)
	}
	return err
}

// report sends what the ledger has behind a place.
func (s *Standby) report(ctx context.Context, c *api.Client, after int64) error {
	return s.cfg.Book.Batches(ctx, after, func(next int64, batch api.ReceiptBatch) error {
		_, err := api.Decode[api.ReceiptMark](c.ReportPages(ctx, batch))
		if errors.Is(err, problem.ReceiptInvalid.Error()) {
			s.cfg.Log.Error("the main licence tracking server does not take pages that were counted here", "node", batch.Node, "error", err)
			return nil
		}
		if err != nil {
			return fmt.Errorf("reporting pages: %w", err)
		}
		if after == s.state.Own && next-s.state.Own >= 10_000 { // so that a long way is not gone twice
			after = next
			s.state.Own = next
			return s.keep(ctx)
		}
		return nil
	})
}

// copy takes over what the main server has.
func (s *Standby) copy(ctx context.Context) error {
	c, err := s.api()
	if err != nil {
		return err
	}
	res, err := c.GetReplica(ctx, &api.GetReplicaParams{After: new(s.state.Main)})
	if err := api.Accept(res, err); err != nil {
		return fmt.Errorf("copying: %w", err)
	}
	defer res.Body.Close()
	records, place, err := s.read(ctx, res.Body)
	if err != nil {
		return fmt.Errorf("copying: %w", err)
	}
	if err := s.apply(ctx, records); err != nil {
		return err
	}
	s.state = standbyState{Main: place, Own: s.cfg.Book.Pages(), At: s.cfg.Now().UTC()}
	return s.keep(ctx)
}

// read takes the ledger's part of a copy at once, and answers the records.
func (s *Standby) read(ctx context.Context, from io.Reader) (records map[string][]byte, place int64, err error) {
	records = map[string][]byte{}
	size := 0
	lines := bufio.NewScanner(from)
	lines.Buffer(nil, maxLine)
	for lines.Scan() {
		var line api.ReplicaLine
		if err := json.Unmarshal(lines.Bytes(), &line); err != nil {
			return nil, 0, err
		}
		switch {
		case line.Key != "":
			if size += len(line.Key) + len(line.Value); size > maxRecords || len(line.Key) > maxKey || !begins(line.Key, copied) {
				return nil, 0, errors.New("the copy is too large, or has what is no standby's")
			}
			records[line.Key] = line.Value
		case len(line.Batch.Receipts) > 0:
			if err := s.count(ctx, line.Batch); err != nil {
				return nil, 0, err
			}
		default:
			return records, line.Place, nil
		}
	}
	if err := lines.Err(); err != nil {
		return nil, 0, err
	}
	return nil, 0, io.ErrUnexpectedEOF
}

// count takes a batch of the main server's ledger. One that does not fit is no reason not
// to have the others.
func (s *Standby) count(ctx context.Context, batch api.ReceiptBatch) error {
	pin, err := ledger.Signer(batch)
	if err == nil {
		_, err = s.cfg.Book.Report(ctx, license.Place{}, pin, batch)
	}
	if errors.Is(err, problem.ReceiptInvalid.Error()) || errors.Is(err, problem.ReceiptGap.Error()) {
		s.cfg.Log.Error("pages of the main licence tracking server do not follow from those that were counted here", "node", batch.Node, "error", err)
		return nil
	}
	return err
}

// apply makes the own records those of the copy. Pools go before the pages of nodes, see
// copied.
func (s *Standby) apply(ctx context.Context, records map[string][]byte) error {
	j := s.cfg.Journal.Records
	for _, prefix := range slices.Backward(copied) {
		var gone []string
		same := map[string]bool{}
		err := j.List(ctx, prefix, func(key string, value []byte) error {
			if there, ok := records[key]; !ok {
				gone = append(gone, key)
			} else if bytes.Equal(there, value) {
				same[key] = true
			}
			return nil
		})
		if err != nil {
			return err
		}
		for _, key := range gone {
			if err := j.Delete(ctx, key); err != nil {
				return err
			}
		}
		for key, value := range records {
			if strings.HasPrefix(key, prefix) && !same[key] {
				if err := access.Overwrite(ctx, j, key, value, time.Time{}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (s *Standby) keep(ctx context.Context) error {
	value, err := json.Marshal(s.state)
	if err != nil {
		return err
	}
	return access.Overwrite(ctx, s.cfg.Journal.Records, standbyKey, value, time.Time{})
}
