-- What a new database gets in place of the numbered files in `migrate.FRESH`: the same tables, in one statement each. A
-- test compares the two (`tests/warehouse/test_fresh.py`). All later files are applied after this one.

-- The usage plane: days, never times; no address, no license key or source, no install_id, no beacon_id.
-- Replacing: a beacon that came through two collectors ends as one row.
CREATE TABLE IF NOT EXISTS usage_beacons$local $on_cluster (
    day Date,
    install UInt64 COMMENT 'HMAC of install_id under the usage key',
    beacon UInt64 COMMENT 'keyed duplicate id, of this plane alone',
    module LowCardinality(String),
    version LowCardinality(String),
    license_status LowCardinality(String),
    os_family LowCardinality(String),
    os LowCardinality(String),
    os_version LowCardinality(String),
    arch LowCardinality(String),
    virtualization LowCardinality(String),
    detection LowCardinality(String),
    whmcs LowCardinality(String),
    php LowCardinality(String),
    database LowCardinality(String),
    web_server LowCardinality(String),
    sapi LowCardinality(String),
    country LowCardinality(String),
    features Map(LowCardinality(String), UInt32),
    mark UInt32 COMMENT 'keyed hash of beacon and batch, under a key that is not kept',
    received Date DEFAULT day COMMENT 'UTC day of receipt',
    counted UInt8 COMMENT '1: the aggregates already hold its uses',
    edition UInt32 COMMENT 'random number of the correction that the row is from, or came after'
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (day, module, install, beacon)
TTL received + INTERVAL 35 DAY
SETTINGS $deduplication, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1,
    ttl_only_drop_parts = 0;

-- The aggregates: a row for an install and a month, with a bit for each day of the month (bit 0 is the first day).
-- `groupBitOr` is idempotent, so no count of installs depends on insert tokens.
CREATE TABLE IF NOT EXISTS installs_by_month$local $on_cluster (
    module LowCardinality(String),
    install UInt64,
    month Date,
    version LowCardinality(String),
    license_status LowCardinality(String),
    os LowCardinality(String),
    os_version LowCardinality(String),
    arch LowCardinality(String),
    virtualization LowCardinality(String),
    whmcs LowCardinality(String),
    php LowCardinality(String),
    database LowCardinality(String),
    web_server LowCardinality(String),
    country LowCardinality(String),
    days SimpleAggregateFunction(groupBitOr, UInt32) COMMENT 'days on which the install reported these values',
    variant UInt32 ALIAS toUInt32(cityHash64(version, license_status, os, os_version, arch, virtualization, whmcs, php,
        database, web_server, country)) COMMENT 'as in features_by_month',
    edition UInt32 COMMENT 'as in usage_beacons'
)
ENGINE = ${replicated}AggregatingMergeTree
PARTITION BY toYYYYMM(month)
PRIMARY KEY (module, install)
ORDER BY (module, install, month, version, license_status, os, os_version, arch, virtualization, whmcs, php, database,
    web_server, country, edition)
TTL month + INTERVAL 26 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

-- A row for a feature, an install and a month, and for each set of values that the install reported in that month.
-- `uses` is a sum and follows the tokens of the insert. ZSTD takes a fifth of the space of LZ4 for it.
CREATE TABLE IF NOT EXISTS features_by_month$local $on_cluster (
    module LowCardinality(String),
    feature LowCardinality(String),
    install UInt64,
    month Date,
    variant UInt32 COMMENT 'hash of the values that the install reported with the feature',
    reported SimpleAggregateFunction(groupBitOr, UInt32) COMMENT 'days on which the feature was named, count 0 included',
    used SimpleAggregateFunction(groupBitOr, UInt32) COMMENT 'days on which it was used',
    uses SimpleAggregateFunction(sumMap, Map(UInt8, UInt64)) COMMENT 'uses by day of the month' CODEC(ZSTD(3)),
    edition UInt32 COMMENT 'as in usage_beacons'
)
ENGINE = ${replicated}AggregatingMergeTree
PARTITION BY toYYYYMM(month)
PRIMARY KEY (module, feature, install, month, variant)
ORDER BY (module, feature, install, month, variant, edition)
TTL month + INTERVAL 26 MONTH
SETTINGS $deduplication, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

-- Each module on an install: the first and the last day of its reports, by their own day and by that of their receipt.
CREATE TABLE IF NOT EXISTS installs$local $on_cluster (
    module LowCardinality(String),
    install UInt64,
    first_day SimpleAggregateFunction(min, Date),
    last_day SimpleAggregateFunction(max, Date),
    first_received SimpleAggregateFunction(min, Date),
    last_received SimpleAggregateFunction(max, Date)
)
ENGINE = ${replicated}AggregatingMergeTree
ORDER BY (module, install)
TTL last_day + INTERVAL 25 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS installs_by_month_from_beacons $on_cluster
TO installs_by_month$local AS
SELECT
    module, install, toStartOfMonth(day) AS month, version, license_status, os, os_version, arch, virtualization, whmcs,
    php, database, web_server, country,
    bitShiftLeft(1::UInt32, toDayOfMonth(day) - 1)::UInt32 AS days, edition
FROM usage_beacons$local;

CREATE MATERIALIZED VIEW IF NOT EXISTS features_by_month_from_beacons $on_cluster
TO features_by_month$local AS
SELECT
    module, pair.1 AS feature, install, toStartOfMonth(day) AS month,
    toUInt32(cityHash64(version, license_status, os, os_version, arch, virtualization, whmcs, php, database, web_server,
        country)) AS variant,
    bitShiftLeft(1::UInt32, toDayOfMonth(day) - 1)::UInt32 AS reported,
    if(pair.2 > 0, reported, 0)::UInt32 AS used,
    if(pair.2 > 0 AND counted = 0, map(toDayOfMonth(day), pair.2), map())::Map(UInt8, UInt64) AS uses,
    edition
FROM usage_beacons$local
ARRAY JOIN features::Array(Tuple(String, UInt64)) AS pair;

CREATE MATERIALIZED VIEW IF NOT EXISTS installs_from_beacons $on_cluster
TO installs$local AS
SELECT module, install, day AS first_day, day AS last_day, received AS first_received, received AS last_received
FROM usage_beacons$local;

-- The license plane: what a license dispute needs; no operating system, virtualization, platform or features.
-- `received` says whether the collector received the beacon over a connection. It outlives the address, which is kept
-- 30 days; an imported beacon has no connection, and all that it says is a claim.
CREATE TABLE IF NOT EXISTS license_sightings$local $on_cluster (
    time DateTime64(3, 'UTC'),
    install UInt64 COMMENT 'HMAC of install_id under the license key',
    beacon UInt64 COMMENT 'keyed duplicate id, of this plane alone',
    module LowCardinality(String),
    version LowCardinality(String),
    status LowCardinality(String),
    source LowCardinality(String),
    key UInt64 COMMENT 'HMAC of key_hash, 0 for none',
    ip String COMMENT 'address of the connection' TTL toDateTime(time) + INTERVAL 30 DAY,
    ip_claim String COMMENT 'address that the module named, where another' TTL toDateTime(time) + INTERVAL 30 DAY,
    country LowCardinality(String),
    received UInt8 DEFAULT ip != ''
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (module, install, time, beacon)
TTL toDateTime(time) + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1,
    ttl_only_drop_parts = 0;

-- What only the license plane can count: installs by the source of their license.
CREATE TABLE IF NOT EXISTS license_sources_by_month$local $on_cluster (
    module LowCardinality(String),
    install UInt64,
    month Date,
    version LowCardinality(String),
    license_status LowCardinality(String),
    license_source LowCardinality(String),
    country LowCardinality(String),
    days SimpleAggregateFunction(groupBitOr, UInt32) COMMENT 'days on which the install reported these values'
)
ENGINE = ${replicated}AggregatingMergeTree
PARTITION BY toYYYYMM(month)
PRIMARY KEY (module, install)
ORDER BY (module, install, month, version, license_status, license_source, country)
TTL month + INTERVAL 14 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS license_sources_by_month_from_sightings $on_cluster
TO license_sources_by_month$local AS
SELECT
    module, install, toStartOfMonth(toDate(time)) AS month, version, status AS license_status, source AS license_source,
    country,
    bitShiftLeft(1::UInt32, toDayOfMonth(time) - 1)::UInt32 AS days
FROM license_sightings$local;

-- Each install and module, by license status: when it was first and last seen so, and as what. Idempotent. No address:
-- those are read from the sightings, which forget them after 30 days.
CREATE TABLE IF NOT EXISTS sightings_by_install$local $on_cluster (
    module LowCardinality(String),
    install UInt64,
    status LowCardinality(String),
    first_seen SimpleAggregateFunction(min, DateTime64(3, 'UTC')),
    last_seen SimpleAggregateFunction(max, DateTime64(3, 'UTC')),
    latest AggregateFunction(argMax,
        Tuple(version String, source String, key UInt64, country String), Tuple(DateTime64(3, 'UTC'), UInt64))
)
ENGINE = ${replicated}AggregatingMergeTree
ORDER BY (module, install, status)
TTL toDateTime(last_seen) + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1,
    ttl_only_drop_parts = 0;

CREATE MATERIALIZED VIEW IF NOT EXISTS sightings_by_install_from_sightings $on_cluster
TO sightings_by_install$local AS
SELECT
    module, install, status,
    min(time) AS first_seen,
    max(time) AS last_seen,
    argMaxState((version::String, source::String, key, country::String)::Tuple(version String, source String, key UInt64,
        country String), (time, beacon)) AS latest
FROM license_sightings$local
GROUP BY module, install, status;

CREATE TABLE IF NOT EXISTS license_keys$local $on_cluster (
    module LowCardinality(String),
    key UInt64 COMMENT 'HMAC of key_hash',
    install UInt64,
    last_seen SimpleAggregateFunction(max, DateTime64(3, 'UTC'))
)
ENGINE = ${replicated}AggregatingMergeTree
ORDER BY (module, key, install)
TTL toDateTime(last_seen) + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS license_keys_from_sightings $on_cluster
TO license_keys$local AS
SELECT module, key, install, max(time) AS last_seen
FROM license_sightings$local
WHERE key != 0
GROUP BY module, key, install;

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

-- The flags, append-only: a row for each event of a flag. The newest revision is what holds now. No address, no key in
-- clear. A flag about a shared key has a row for each install that it accuses.
-- Days on which many installs of a module turned from licensed at once: outages of the vendor. Counts only.
-- Whether the collector received the beacon over a connection. It outlives the address, which is kept 30 days; an
-- imported beacon has no connection, and all that it says is a claim.
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

-- What people did with the cases of the license plane, append-only: a row for each revision of a case. The newest
-- revision is what holds now. A case is about an install or a key of a module; the other one is 0.
CREATE TABLE IF NOT EXISTS license_cases$local $on_cluster (
    module LowCardinality(String),
    install UInt64,
    key UInt64,
    revision UInt32,
    at DateTime64(3, 'UTC'),
    who String COMMENT 'a login, or a token and its id',
    action LowCardinality(String) COMMENT 'changed or undone',
    state LowCardinality(String),
    assignee String,
    note String,
    rules Array(LowCardinality(String)) COMMENT 'the evidence of that time: the rules of its flags',
    reach UInt32 COMMENT 'how many installs it was about',
    grade LowCardinality(String) COMMENT 'its strongest grade',
    change String COMMENT 'the id of the action: a bulk action changes several cases'
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (module, install, key, revision)
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

-- Up to when each loader has loaded all that its collector took: what `fresh_to` in an answer is made of. With it, how
-- the loader is doing: what the page Health shows.
CREATE TABLE IF NOT EXISTS freshness_by_loader$local $on_cluster (
    loader UUID,
    fresh_to DateTime64(3, 'UTC'),
    written DateTime64(3, 'UTC'),
    waiting UInt64 COMMENT 'beacons in the spool',
    oldest Nullable(DateTime64(3, 'UTC')) COMMENT 'when the oldest of them was received',
    sealed UInt64 COMMENT 'batches under way',
    quarantined UInt64 COMMENT 'rows that ClickHouse refused',
    free_bytes UInt64 COMMENT 'free disk space of its home',
    pharos String COMMENT 'version of Pharos',
    trouble String COMMENT 'why it cannot load',
    trouble_since Nullable(DateTime64(3, 'UTC'))
)
ENGINE = ${replicated}ReplacingMergeTree(written)
ORDER BY loader
TTL toDateTime(written) + INTERVAL 7 DAY;

-- What owners decided about their data, by install. `who` is a keyed hash of the install_id that neither plane holds.
-- Erasures add up, and the decision with the highest revision counts: no clock orders the rows.
CREATE TABLE IF NOT EXISTS install_states$local $on_cluster (
    who UInt64,
    epoch SimpleAggregateFunction(max, UInt32) COMMENT 'erasures so far; each retires the pseudonyms of both planes',
    erased SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'the last of them; 0 for none',
    decision SimpleAggregateFunction(max, Tuple(revision UInt64, objected UInt8, restricted UInt8)),
    inserted SimpleAggregateFunction(max, DateTime64(6, 'UTC')) DEFAULT now64(6) COMMENT 'by the clock of ClickHouse'
)
ENGINE = ${replicated}AggregatingMergeTree
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
    sealed String,
    sealed_ip String TTL day + INTERVAL 30 DAY
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (who, day, sealed)
TTL day + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1,
    ttl_only_drop_parts = 0;

-- The aggregates of restricted installs, by month and sealed like their beacons.
CREATE TABLE IF NOT EXISTS sealed_months$local $on_cluster (
    who UInt64,
    month Date,
    sealed String
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(month)
ORDER BY (who, month, sealed)
TTL month + INTERVAL 26 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

-- Pseudonyms of erased installs. They name no row and never will: an install that goes on has new ones.
CREATE TABLE IF NOT EXISTS retired_usage_installs$local $on_cluster (install UInt64)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY install
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE TABLE IF NOT EXISTS retired_license_installs$local $on_cluster (install UInt64)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY install
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- What owners state about the module and the license of their install, beside what was sighted, which stays as it is.
-- A field that an owner did not name is ''; a module '' means all modules of the install.
CREATE TABLE IF NOT EXISTS owner_statements$local $on_cluster (
    install UInt64 COMMENT 'pseudonym of the license plane',
    module LowCardinality(String),
    stated DateTime('UTC'),
    version LowCardinality(String),
    status LowCardinality(String),
    source LowCardinality(String)
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (install, module, stated, version, status, source)
TTL stated + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

-- A row on each shard of a cluster, the one of `system.one` (`warehouse/queries/shard_sums.py`).
CREATE TABLE IF NOT EXISTS shards $on_cluster (dummy UInt8) ENGINE = $one_on_each_shard;
