-- How many beacons the license plane got in each hour, and how many of them had an address: counts without installs. The
-- loader counts what it loads. The view counts what a loader or a backup of the version before inserts.

CREATE TABLE IF NOT EXISTS license_beacons_per_hour$local $on_cluster (
    hour DateTime64(0, 'UTC') COMMENT 'of the time at which a beacon counts',
    beacons SimpleAggregateFunction(sum, UInt64),
    with_address SimpleAggregateFunction(sum, UInt64)
)
ENGINE = ${replicated}AggregatingMergeTree
ORDER BY hour
TTL toDateTime(hour) + INTERVAL 13 MONTH
SETTINGS $deduplication, fsync_after_insert = 1, fsync_part_directory = 1;

CREATE MATERIALIZED VIEW IF NOT EXISTS license_beacons_per_hour_from_sightings $on_cluster
TO license_beacons_per_hour$local AS
SELECT toStartOfHour(time) AS hour, count() AS beacons, countIf(ip != '' OR ip_claim != '') AS with_address
FROM license_sightings$local
WHERE in_state = 0
GROUP BY hour;

INSERT INTO license_beacons_per_hour
SELECT toStartOfHour(time) AS hour, count(), countIf(ip != '' OR ip_claim != '') FROM license_sightings
GROUP BY hour ORDER BY hour
SETTINGS insert_deduplication_token = 'what was there before';
