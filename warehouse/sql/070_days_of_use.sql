-- The days on which an install used any feature: questions about all features together need no table of features.
-- `warehouse/month_tables.py` takes those of earlier months from there.
ALTER TABLE installs_by_month$local $on_cluster
    ADD COLUMN IF NOT EXISTS used SimpleAggregateFunction(groupBitOr, UInt32)
        COMMENT 'those of the days on which it used a feature';

ALTER TABLE installs_by_month_from_beacons $on_cluster MODIFY QUERY
SELECT
    module, install, toStartOfMonth(day) AS month, version, license_status, os, os_version, arch, virtualization, whmcs,
    php, database, web_server, country,
    bitShiftLeft(1::UInt32, toDayOfMonth(day) - 1)::UInt32 AS days, edition,
    if(arrayExists(count -> count > 0, mapValues(features)), days, 0)::UInt32 AS used
FROM usage_beacons$local;
