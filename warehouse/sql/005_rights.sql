-- What owners decided about their data. `who` is a keyed hash of the install_id that neither plane holds.

CREATE TABLE IF NOT EXISTS standings$local $on_cluster (
    who UInt64,
    epoch UInt32 COMMENT 'erasures so far; each retires the pseudonyms of both planes',
    erased DateTime64(3, 'UTC') COMMENT 'the last of them; 0 for none',
    objected UInt8,
    restricted UInt8,
    changed DateTime64(6, 'UTC')
)
ENGINE = ${replicated}ReplacingMergeTree(changed)
ORDER BY who
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- The state of each request. Nothing of it says who asked.
CREATE TABLE IF NOT EXISTS rights_requests$local $on_cluster (
    id UInt64 COMMENT 'random',
    action LowCardinality(String),
    state LowCardinality(String),
    received DateTime('UTC'),
    done Nullable(DateTime('UTC')),
    written DateTime64(6, 'UTC')
)
ENGINE = ${replicated}ReplacingMergeTree(written)
ORDER BY id
TTL received + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- Beacons of restricted installs: both planes' rows, sealed under a key that takes the install_id to make.
CREATE TABLE IF NOT EXISTS sealed_beacons$local $on_cluster (
    who UInt64,
    day Date,
    batch UUID,
    sealed String,
    sealed_ip String TTL day + INTERVAL 30 DAY
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (who, day, sealed)
TTL day + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, old_parts_lifetime = 10,
    finished_mutations_to_keep = 1;

-- Pseudonyms of erased installs. They name no row and never will: an install that goes on has new ones.
CREATE TABLE IF NOT EXISTS retired_usage_installs$local $on_cluster (install UInt64)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY install
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS retired_license_installs$local $on_cluster (install UInt64)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY install
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- What was erased leaves the disk after ten seconds, and the statement that erased it with the next one.
ALTER TABLE usage_beacons$local $on_cluster MODIFY SETTING old_parts_lifetime = 10, finished_mutations_to_keep = 1;
ALTER TABLE installs_per_day_by_dimension$local $on_cluster
MODIFY SETTING old_parts_lifetime = 10, finished_mutations_to_keep = 1;
ALTER TABLE license_sightings$local $on_cluster MODIFY SETTING old_parts_lifetime = 10, finished_mutations_to_keep = 1;
ALTER TABLE installs_per_day_by_license_source$local $on_cluster
MODIFY SETTING old_parts_lifetime = 10, finished_mutations_to_keep = 1;
ALTER TABLE sightings_by_install$local $on_cluster
MODIFY SETTING old_parts_lifetime = 10, finished_mutations_to_keep = 1;
