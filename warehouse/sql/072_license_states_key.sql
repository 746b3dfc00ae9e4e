-- Which key seals the license reports of this database. A loader with another root secret does not load into it: what it
-- counts would have pseudonyms of its own, and nobody could read the reports of both (`warehouse/licensing/states_key.py`).
CREATE TABLE IF NOT EXISTS license_states_key$local $on_cluster (
    one UInt8 DEFAULT 1,
    fingerprint String COMMENT 'a keyed hash that reveals nothing of the key'
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY one
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
