-- The license plane: what a license dispute needs; no operating system, virtualization, platform or features.

CREATE TABLE IF NOT EXISTS license_sightings$local $on_cluster (
    time DateTime64(3, 'UTC'),
    install UInt64 COMMENT 'HMAC of install_id under the license key',
    beacon UInt64 COMMENT 'keyed duplicate id, of this plane alone',
    batch UUID COMMENT 'sealed batch of this plane',
    module LowCardinality(String),
    version LowCardinality(String),
    status LowCardinality(String),
    source LowCardinality(String),
    key UInt64 COMMENT 'HMAC of key_hash, 0 for none',
    ip String COMMENT 'address of the connection' TTL toDateTime(time) + INTERVAL 30 DAY,
    ip_claim String COMMENT 'address that the module named, where another' TTL toDateTime(time) + INTERVAL 30 DAY,
    country LowCardinality(String)
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(time)
ORDER BY (module, install, time, beacon)
TTL toDateTime(time) + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

-- What only the license plane can count: installs by the source of their license. Idempotent.
CREATE TABLE IF NOT EXISTS installs_per_day_by_license_source$local $on_cluster (
    day Date,
    module LowCardinality(String),
    install UInt64,
    version LowCardinality(String),
    license_status LowCardinality(String),
    license_source LowCardinality(String),
    country LowCardinality(String)
)
ENGINE = ${replicated}ReplacingMergeTree
PARTITION BY toYYYYMM(day)
ORDER BY (day, module, install, version, license_status, license_source, country)
TTL day + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1, ttl_only_drop_parts = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS installs_per_day_by_license_source_from_sightings $on_cluster
TO installs_per_day_by_license_source$local AS
SELECT toDate(time) AS day, module, install, version, status AS license_status, source AS license_source, country
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
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

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
