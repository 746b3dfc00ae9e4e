-- What is known of a module on an install, sealed: the license reports of 13 months. The rows of an install are parts of
-- it, which whoever has the key merges (`warehouse/licensing/states.py`). The loader adds a row for each install of a
-- batch, and once a day writes one row for each install in place of those that it has read. `written` is the server's
-- time: whatever a loader's clock says, a pass deletes nothing that came while it read.

CREATE TABLE IF NOT EXISTS license_states$local $on_cluster (
    module LowCardinality(String),
    install UInt64 COMMENT 'the pseudonym of the sightings',
    written DateTime('UTC') DEFAULT toStartOfHour(now()) COMMENT 'hour of the insert',
    sealed String COMMENT 'base64 of nonce and ciphertext' CODEC(ZSTD(1))
)
ENGINE = ${replicated}ReplacingMergeTree
PRIMARY KEY (module, install)
ORDER BY (module, install, sealed)
TTL written + INTERVAL 13 MONTH
-- A row has 3 KiB. With ClickHouse's usual 8192 rows a look-up of 100 installs far apart would read the whole table.
SETTINGS index_granularity = 32, $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE license_sightings$local $on_cluster
    ADD COLUMN IF NOT EXISTS in_state UInt8 COMMENT '1: the loader seals and deletes it';
