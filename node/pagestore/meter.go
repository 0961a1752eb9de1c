package pagestore

import (
	"crypto/sha256"
	"database/sql"
	"encoding/binary"
	"errors"

	"github.com/platen-scan/platen/proto/scan"
)

// meterPage counts a committed page, once and for ever: the row outlives page and
// job. Each row's chain is the SHA-256 of the chain before it and of the row, so
// that a row cannot be changed or taken away unseen.
func meterPage(t *tx, node string, p scan.Page, digest []byte) error {
	var chain []byte
	err := t.get("SELECT chain FROM meter ORDER BY seq DESC LIMIT 1", nil, &chain)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return err
	}
	_, err = t.exec("INSERT INTO meter (node, job, n, page, digest, bytes, at, chain) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
		node, p.Job, p.N, p.ID, digest, p.Bytes, ms(p.Committed), meterChain(chain, node, p, digest))
	return err
}

// meterChain hashes length-prefixed texts and big-endian numbers.
func meterChain(before []byte, node string, p scan.Page, digest []byte) []byte {
	h := sha256.New()
	b := make([]byte, 0, 256)
	for _, part := range [][]byte{before, []byte(node), []byte(p.Job), []byte(p.ID), digest} {
		b = binary.BigEndian.AppendUint32(b, uint32(len(part)))
		b = append(b, part...)
	}
	b = binary.BigEndian.AppendUint64(b, uint64(p.N))
	b = binary.BigEndian.AppendUint64(b, uint64(p.Bytes))
	b = binary.BigEndian.AppendUint64(b, uint64(ms(p.Committed)))
	h.Write(b)
	return h.Sum(nil)
}
