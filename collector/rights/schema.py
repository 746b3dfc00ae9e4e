"""Creates the tables of requests and decisions in the spool's file."""

import sqlite3

SCHEMA = """
CREATE TABLE IF NOT EXISTS install_states (
    who INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, erased REAL NOT NULL, objected INTEGER NOT NULL,
    restricted INTEGER NOT NULL, revision INTEGER NOT NULL, version INTEGER NOT NULL, shared INTEGER NOT NULL);
CREATE INDEX IF NOT EXISTS install_states_by_version ON install_states (version);
CREATE INDEX IF NOT EXISTS unshared_states ON install_states (who) WHERE shared = 0;
CREATE INDEX IF NOT EXISTS erased_installs ON install_states (erased) WHERE epoch > 0;
CREATE TABLE IF NOT EXISTS decisions (
    one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL, forgotten INTEGER NOT NULL DEFAULT 0,
    revision INTEGER NOT NULL DEFAULT 0);
INSERT OR IGNORE INTO decisions (one, version) VALUES (1, 0);
CREATE TABLE IF NOT EXISTS requests (
    id INTEGER PRIMARY KEY AUTOINCREMENT, ticket BLOB UNIQUE NOT NULL, public INTEGER NOT NULL, action TEXT NOT NULL,
    received INTEGER NOT NULL, after INTEGER NOT NULL, work BLOB, step TEXT NOT NULL DEFAULT '', state TEXT NOT NULL,
    done INTEGER, result BLOB, held INTEGER, shared INTEGER NOT NULL DEFAULT 0);
CREATE INDEX IF NOT EXISTS pending_requests ON requests (id) WHERE state = 'pending';
CREATE INDEX IF NOT EXISTS unshared_requests ON requests (id) WHERE shared = 0 AND held = 1;
CREATE TABLE IF NOT EXISTS retired_usage (install TEXT PRIMARY KEY) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS retired_license (install TEXT PRIMARY KEY) WITHOUT ROWID;
"""

# Converts the tables of earlier versions. Each step may be repeated.
_COLUMNS = """
ALTER TABLE decisions ADD COLUMN forgotten INTEGER NOT NULL DEFAULT 0;
ALTER TABLE decisions ADD COLUMN revision INTEGER NOT NULL DEFAULT 0;
ALTER TABLE requests RENAME COLUMN told TO shared;
ALTER TABLE requests ADD COLUMN held INTEGER;
UPDATE requests SET held = 1 WHERE state != 'pending';
"""
_ROWS = """
INSERT OR IGNORE INTO install_states
    SELECT who, epoch, erased, objected, restricted, CAST(changed * 1000000 AS INTEGER), 0, told FROM installs;
UPDATE decisions SET revision = (SELECT coalesce(max(revision), 0) FROM install_states), version = version + 1,
    forgotten = version + 1;
INSERT OR IGNORE INTO retired_usage SELECT install FROM retired WHERE plane = 'usage';
INSERT OR IGNORE INTO retired_license SELECT install FROM retired WHERE plane = 'license';
DROP TABLE retired;
DROP TABLE installs;
"""


def create(db: sqlite3.Connection) -> None:
    """Create the tables, and move the rows of an earlier version into them."""
    if not _is_old(db):
        db.executescript(SCHEMA)
        return
    db.execute("BEGIN IMMEDIATE")
    try:
        if _is_old(db):  # another process may have converted them meanwhile
            for script in (_COLUMNS, SCHEMA, _ROWS):
                for statement in script.split(";"):
                    db.execute(statement)
        db.execute("COMMIT")
    except BaseException:
        db.execute("ROLLBACK")
        raise


def _is_old(db: sqlite3.Connection) -> bool:
    return db.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'installs'").fetchone() is not None
