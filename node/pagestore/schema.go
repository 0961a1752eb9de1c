package pagestore

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
)

// applicationID marks the file as ours ("PLTN"; PRAGMA application_id).
const applicationID = 0x504c544e

// migrations bring the index from schema i to i+1; append only. PRAGMA
// user_version is the number of those that ran.
var migrations = []string{`
CREATE TABLE meta (
	key   TEXT PRIMARY KEY,
	value INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
INSERT INTO meta VALUES ('clean', 1), ('epoch', 1), ('revision', 0);

CREATE TABLE jobs (
	seq      INTEGER PRIMARY KEY AUTOINCREMENT,
	id       TEXT NOT NULL UNIQUE,
	scanner  TEXT NOT NULL,
	owner    TEXT NOT NULL,
	document TEXT NOT NULL,
	name     TEXT NOT NULL,
	state    TEXT NOT NULL,
	reasons  TEXT NOT NULL, -- JSON
	settings TEXT NOT NULL, -- JSON
	pages    INTEGER NOT NULL DEFAULT 0,
	created  INTEGER NOT NULL,
	started  INTEGER NOT NULL DEFAULT 0,
	ended    INTEGER NOT NULL DEFAULT 0,
	deadline INTEGER NOT NULL DEFAULT 0
) STRICT;
CREATE INDEX jobs_owner ON jobs (owner, seq);
CREATE INDEX jobs_scanner ON jobs (scanner, seq);
CREATE INDEX jobs_state ON jobs (state, seq);
CREATE INDEX jobs_document ON jobs (document);

CREATE TABLE pages (
	job        TEXT NOT NULL,
	n          INTEGER NOT NULL,
	id         TEXT NOT NULL,
	state      TEXT NOT NULL,
	side       TEXT NOT NULL,
	format     TEXT NOT NULL,
	mode       TEXT NOT NULL,
	depth      INTEGER NOT NULL,
	resolution INTEGER NOT NULL,
	width      INTEGER NOT NULL,
	height     INTEGER NOT NULL,
	bytes      INTEGER NOT NULL,
	digest     BLOB NOT NULL,
	started    INTEGER NOT NULL,
	committed  INTEGER NOT NULL,
	delivered  INTEGER NOT NULL DEFAULT 0, -- when it was last acknowledged
	unplaced   INTEGER NOT NULL DEFAULT 0, -- when its owner took it out of the last document
	discarded  INTEGER NOT NULL DEFAULT 0, -- 1: by deleting that document
	epoch      INTEGER NOT NULL,           -- in which its bytes were last known to be right
	PRIMARY KEY (job, n)
) STRICT, WITHOUT ROWID;

CREATE TABLE meter (
	seq    INTEGER PRIMARY KEY AUTOINCREMENT,
	node   TEXT NOT NULL,
	job    TEXT NOT NULL,
	n      INTEGER NOT NULL,
	page   TEXT NOT NULL,
	digest BLOB NOT NULL,
	bytes  INTEGER NOT NULL,
	at     INTEGER NOT NULL,
	chain  BLOB NOT NULL,
	UNIQUE (node, job, n)
) STRICT;

CREATE TABLE documents (
	id       TEXT PRIMARY KEY,
	owner    TEXT NOT NULL,
	name     TEXT NOT NULL,
	revision INTEGER NOT NULL,
	created  INTEGER NOT NULL,
	updated  INTEGER NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX documents_owner ON documents (owner, updated, id);
CREATE INDEX documents_updated ON documents (updated, id);

CREATE TABLE document_pages (
	document TEXT NOT NULL,
	pos      INTEGER NOT NULL,
	job      TEXT NOT NULL,
	n        INTEGER NOT NULL,
	rotate   INTEGER NOT NULL,
	PRIMARY KEY (document, pos)
) STRICT, WITHOUT ROWID;
CREATE UNIQUE INDEX document_pages_page ON document_pages (job, n, document);

CREATE TABLE submissions (
	owner   TEXT NOT NULL,
	scanner TEXT NOT NULL,
	key     TEXT NOT NULL,
	body    BLOB NOT NULL,
	job     TEXT NOT NULL,
	created INTEGER NOT NULL,
	PRIMARY KEY (owner, scanner, key)
) STRICT, WITHOUT ROWID;

CREATE TABLE records (
	key      TEXT PRIMARY KEY,
	value    BLOB NOT NULL,
	revision INTEGER NOT NULL,
	expires  INTEGER NOT NULL -- 0: never
) STRICT, WITHOUT ROWID;
CREATE INDEX records_expires ON records (expires) WHERE expires > 0;
`, `
ALTER TABLE jobs ADD COLUMN release_code TEXT NOT NULL DEFAULT ''; -- '': it need not wait for its owner

CREATE TABLE scanners (
	id       TEXT PRIMARY KEY,
	name     TEXT NOT NULL,    -- '': the device's own
	location TEXT NOT NULL,    -- '': the node's
	hold     INTEGER NOT NULL, -- 1: jobs wait until their owner stands at the scanner
	presence TEXT NOT NULL     -- secret of its sticker
) STRICT, WITHOUT ROWID;
`, `
ALTER TABLE scanners ADD COLUMN shared INTEGER; -- 1: computers nearby find it; NULL: nobody decided
`, `
ALTER TABLE jobs ADD COLUMN recipient TEXT NOT NULL DEFAULT ''; -- public key that a gateway gets the pages sealed for; '': none
`, `
ALTER TABLE jobs ADD COLUMN license TEXT NOT NULL DEFAULT ''; -- JSON; '': the job needs none

ALTER TABLE meter ADD COLUMN item TEXT NOT NULL DEFAULT '';
ALTER TABLE meter ADD COLUMN project TEXT NOT NULL DEFAULT '';
ALTER TABLE meter ADD COLUMN block TEXT NOT NULL DEFAULT '';
ALTER TABLE meter ADD COLUMN origin TEXT NOT NULL DEFAULT '';
ALTER TABLE meter ADD COLUMN client TEXT NOT NULL DEFAULT '';
INSERT INTO meta SELECT 'unreceipted', coalesce(max(seq), 0) FROM meter; -- last row whose chain is not of receipts

CREATE TABLE blocks (
	item    TEXT NOT NULL,
	id      TEXT NOT NULL,
	project TEXT NOT NULL,
	pages   INTEGER NOT NULL,
	over    INTEGER NOT NULL,
	used    INTEGER NOT NULL DEFAULT 0,
	until   INTEGER NOT NULL,
	PRIMARY KEY (item, id)
) STRICT, WITHOUT ROWID;
CREATE INDEX blocks_until ON blocks (item, until);
`}

// migrate brings the index to the newest schema. The file as it was is kept beside
// it before the first change.
func (x *index) migrate(ctx context.Context, storage *os.Root, steps []string) error {
	v := view{ctx, x.prepareWriter}
	var version, application int
	if err := v.get("PRAGMA user_version", nil, &version); err != nil {
		return err
	}
	if err := v.get("PRAGMA application_id", nil, &application); err != nil {
		return err
	}
	switch {
	case version > len(steps):
		return fmt.Errorf("the data folder was written by a newer Platen (schema %d, this one knows %d): update Platen, or choose another data folder", version, len(steps))
	case version > 0 && application != applicationID:
		return fmt.Errorf("%s is not Platen's: choose another data folder", indexFile)
	case version == len(steps):
		return nil
	case version > 0:
		if err := x.keepCopy(ctx, storage, version); err != nil {
			return fmt.Errorf("copying the index before its migration: %w", err)
		}
	}
	for ; version < len(steps); version++ {
		err := x.script(ctx, fmt.Sprintf("BEGIN IMMEDIATE;%s;PRAGMA application_id = %d;PRAGMA user_version = %d;COMMIT",
			steps[version], applicationID, version+1))
		if err != nil {
			_ = x.script(ctx, "ROLLBACK")
			return fmt.Errorf("migrating the index to schema %d: %w", version+1, err)
		}
	}
	return nil
}

func (x *index) script(ctx context.Context, sql string) error {
	_, err := x.conn.ExecContext(ctx, sql)
	return err
}

// keepCopy writes the index as it is to platen.db.v<version>.
func (x *index) keepCopy(ctx context.Context, storage *os.Root, version int) error {
	name := fmt.Sprintf("%s.v%d", indexFile, version)
	if err := storage.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	f, err := storage.OpenFile(name, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o600) // SQLite fills an empty file
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := x.conn.ExecContext(ctx, "VACUUM INTO ?", f.Name()); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		return err
	}
	folder, err := storage.Open(".")
	if err != nil {
		return err
	}
	defer folder.Close()
	return folder.Sync()
}
