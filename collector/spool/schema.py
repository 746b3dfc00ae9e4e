"""The tables of the spool's file."""

SCHEMA = """
CREATE TABLE IF NOT EXISTS beacons (
    seq INTEGER PRIMARY KEY AUTOINCREMENT, id BLOB NOT NULL, received INTEGER NOT NULL, usage BLOB NOT NULL,
    license BLOB NOT NULL, sealed BLOB NOT NULL DEFAULT x'');
CREATE TABLE IF NOT EXISTS seen (id BLOB PRIMARY KEY, day INTEGER NOT NULL) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS segments (
    name TEXT PRIMARY KEY, day INTEGER NOT NULL, ids INTEGER NOT NULL, filter TEXT NOT NULL, cleared INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS memory (
    one INTEGER PRIMARY KEY CHECK (one = 1), generation INTEGER NOT NULL, day INTEGER NOT NULL, seconds REAL NOT NULL,
    boot TEXT NOT NULL, uptime REAL NOT NULL);
INSERT OR IGNORE INTO memory
    SELECT 1, 0, now / 86400, now, '', 0 FROM (SELECT CAST(strftime('%s', 'now') AS INTEGER) AS now);
CREATE TABLE IF NOT EXISTS batches (
    first INTEGER PRIMARY KEY, last INTEGER NOT NULL, usage TEXT, license TEXT, sealed TEXT);
CREATE TABLE IF NOT EXISTS quarantine (
    id INTEGER PRIMARY KEY AUTOINCREMENT, plane TEXT NOT NULL, received INTEGER NOT NULL, row BLOB NOT NULL,
    error TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS licenses (seq INTEGER PRIMARY KEY AUTOINCREMENT, row BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS identity (one INTEGER PRIMARY KEY CHECK (one = 1), loader TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS limits (who TEXT PRIMARY KEY, minute INTEGER NOT NULL, beacons INTEGER NOT NULL);
CREATE TABLE IF NOT EXISTS loading (
    one INTEGER PRIMARY KEY CHECK (one = 1), loaded INTEGER NOT NULL DEFAULT 0, fresh_to REAL, since REAL, why TEXT,
    written REAL NOT NULL DEFAULT 0, unreadable INTEGER NOT NULL DEFAULT 0, judging_since REAL);
INSERT OR IGNORE INTO loading (one) VALUES (1);
CREATE TABLE IF NOT EXISTS rejections (
    day TEXT NOT NULL, reason TEXT NOT NULL, field TEXT NOT NULL, times INTEGER NOT NULL,
    PRIMARY KEY (day, reason, field)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS development (seq INTEGER PRIMARY KEY AUTOINCREMENT, row BLOB NOT NULL);
DROP TABLE IF EXISTS rates;
"""
# In one transaction, so that no beacon is stored with neither trigger or with both. The old trigger took the day from
# the beacon, so it depended on the wall clock.
TRIGGER = """
BEGIN IMMEDIATE;
DROP TRIGGER IF EXISTS remember;
CREATE TRIGGER IF NOT EXISTS remember_id AFTER INSERT ON beacons
    BEGIN INSERT INTO seen VALUES (NEW.id, (SELECT day FROM memory)); END;
COMMIT;
"""
# Columns that older spools do not have.
ADDED = (
    ("beacons", "sealed", "BLOB NOT NULL DEFAULT x''"),
    ("batches", "sealed", "TEXT"),
    ("loading", "written", "REAL NOT NULL DEFAULT 0"),
    ("loading", "unreadable", "INTEGER NOT NULL DEFAULT 0"),
    ("loading", "judging_since", "REAL"),
)
