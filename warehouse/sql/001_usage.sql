-- The usage plane: days, never times; no address, no license key or source, no install_id, no beacon_id.
-- Replacing: a beacon that came through two collectors ends as one row.

CREATE TABLE IF NOT EXISTS usage_beacons$local $on_cluster (
    day Date,
    install UInt64 COMMENT 'HMAC of install_id under the usage key',
    beacon UInt64 COMMENT 'keyed duplicate id, of this plane alone',
    batch UUID COMMENT 'sealed batch of this plane',
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
    features Map(LowCardinality(String), UInt32)
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (day, module, install, beacon)
TTL day + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

-- One row for an install, its day and what it reported there: any cross of dimensions is exact. Inserting a row twice
-- changes no count of installs; `uses` is a sum, and follows the tokens of the insert.
CREATE TABLE IF NOT EXISTS installs_per_day_by_dimension$local $on_cluster (
    day Date,
    module LowCardinality(String),
    install UInt64,
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
    reported SimpleAggregateFunction(groupUniqArrayArray, Array(String)) COMMENT 'features named, count 0 included',
    uses SimpleAggregateFunction(sumMap, Map(String, UInt64)) COMMENT 'uses of the features that were used'
)
ENGINE = ${replicated}AggregatingMergeTree
PARTITION BY toYYYYMM(day)
PRIMARY KEY (day, module, install)
ORDER BY (day, module, install, version, license_status, os, os_version, arch, virtualization, whmcs, php, database,
    web_server, country)
TTL day + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS installs_per_day_by_dimension_from_beacons $on_cluster
TO installs_per_day_by_dimension$local AS
SELECT
    day, module, install, version, license_status, os, os_version, arch, virtualization, whmcs, php, database,
    web_server, country,
    mapKeys(features)::Array(String) AS reported,
    mapFilter((feature, count) -> count > 0, features)::Map(String, UInt64) AS uses
FROM usage_beacons$local;
