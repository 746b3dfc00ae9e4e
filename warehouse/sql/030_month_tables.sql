-- The aggregates: a row for an install and a month, with a bit for each day of the month (bit 0 is the first day).
-- `groupBitOr` is idempotent, so no count of installs depends on insert tokens.

ALTER TABLE usage_beacons$local $on_cluster
    ADD COLUMN IF NOT EXISTS received Date DEFAULT day COMMENT 'UTC day of receipt';

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
        database, web_server, country)) COMMENT 'as in features_by_month'
)
ENGINE = ${replicated}AggregatingMergeTree
PARTITION BY toYYYYMM(month)
PRIMARY KEY (module, install)
ORDER BY (module, install, month, version, license_status, os, os_version, arch, virtualization, whmcs, php, database,
    web_server, country)
TTL month + INTERVAL 14 MONTH
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
    uses SimpleAggregateFunction(sumMap, Map(UInt8, UInt64)) COMMENT 'uses by day of the month' CODEC(ZSTD(3))
)
ENGINE = ${replicated}AggregatingMergeTree
PARTITION BY toYYYYMM(month)
ORDER BY (module, feature, install, month, variant)
TTL month + INTERVAL 14 MONTH
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
TTL last_day + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

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

-- The months that `warehouse/month_tables.py` has filled from the tables by day.
CREATE TABLE IF NOT EXISTS filled_months$local $on_cluster (month Date)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY month;
