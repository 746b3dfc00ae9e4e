-- Rows of the usage plane are kept for some weeks, the aggregates for some years: `warehouse/retention.py` sets both periods.
-- So the aggregates stand for themselves. `counted` lets a row return to its table without being summed twice.

ALTER TABLE usage_beacons$local $on_cluster
    ADD COLUMN IF NOT EXISTS counted UInt8 COMMENT '1: the aggregates already hold its uses';
ALTER TABLE usage_beacons$local $on_cluster
    ADD COLUMN IF NOT EXISTS edition UInt32 COMMENT 'random number of the correction that the row is from, or came after';

ALTER TABLE installs_by_month$local $on_cluster
    ADD COLUMN IF NOT EXISTS edition UInt32 COMMENT 'as in usage_beacons',
    MODIFY ORDER BY (module, install, month, version, license_status, os, os_version, arch, virtualization, whmcs, php,
        database, web_server, country, edition);
ALTER TABLE features_by_month$local $on_cluster
    ADD COLUMN IF NOT EXISTS edition UInt32 COMMENT 'as in usage_beacons',
    MODIFY ORDER BY (module, feature, install, month, variant, edition);

ALTER TABLE installs_by_month_from_beacons $on_cluster MODIFY QUERY
SELECT
    module, install, toStartOfMonth(day) AS month, version, license_status, os, os_version, arch, virtualization, whmcs,
    php, database, web_server, country,
    bitShiftLeft(1::UInt32, toDayOfMonth(day) - 1)::UInt32 AS days, edition
FROM usage_beacons$local;

ALTER TABLE features_by_month_from_beacons $on_cluster MODIFY QUERY
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
