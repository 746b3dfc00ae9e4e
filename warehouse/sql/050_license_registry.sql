-- The vendor's registry of license keys. A row for each change, so that the table is its history.

CREATE TABLE IF NOT EXISTS license_registry$local $on_cluster (
    key UInt64 COMMENT 'HMAC of key_hash, as in the sightings',
    module LowCardinality(String),
    changed DateTime64(6, 'UTC') COMMENT 'when the collector received it',
    state LowCardinality(String),
    max_installs UInt32 COMMENT '0: no limit',
    copies UInt32 COMMENT 'further installs for staging',
    source LowCardinality(String),
    valid_from Nullable(Date32),
    valid_until Nullable(Date32),
    sealed String COMMENT 'key_hash, encrypted under a key of the root secret: for the export'
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (key, module, changed)
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
