-- The installs that ever reported a license key, by key: which installs share one is found without reading all reports.

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

INSERT INTO license_keys
SELECT module, key, install, max(time) FROM license_sightings WHERE key != 0 GROUP BY module, key, install;
