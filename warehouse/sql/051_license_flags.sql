-- The flags, append-only: a row for each event of a flag. The newest revision is what holds now. No address, no key in
-- clear. A flag about a shared key has a row for each install that it accuses.

CREATE TABLE IF NOT EXISTS license_flags$local $on_cluster (
    module LowCardinality(String),
    install UInt64,
    rule LowCardinality(String),
    revision UInt32,
    event LowCardinality(String) COMMENT 'raised, changed, paused, resumed or cleared',
    at DateTime64(3, 'UTC'),
    since DateTime('UTC') COMMENT 'start of the present run',
    key UInt64 COMMENT 'the subject of a flag about a key, 0 for an install',
    severity LowCardinality(String),
    grade LowCardinality(String),
    reach UInt32 COMMENT 'installs that the flag is about',
    evidence String,
    pieces String COMMENT 'JSON: [{text, grade}]',
    why String
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (module, install, rule, revision)
TTL toDateTime(at) + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

-- Days on which many installs of a module turned from licensed at once: outages of the vendor. Counts only.
CREATE TABLE IF NOT EXISTS license_incidents$local $on_cluster (
    module LowCardinality(String),
    since DateTime('UTC'),
    until Nullable(DateTime('UTC')),
    affected UInt32,
    installs UInt32,
    written DateTime64(3, 'UTC')
)
ENGINE = ${replicated}ReplacingMergeTree(written)
ORDER BY (module, since)
TTL since + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Whether the collector received the beacon over a connection. It outlives the address, which is kept 30 days; an
-- imported beacon has no connection, and all that it says is a claim.
ALTER TABLE license_sightings$local $on_cluster ADD COLUMN IF NOT EXISTS received UInt8 DEFAULT ip != '';
