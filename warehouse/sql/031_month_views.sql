-- From here on, beacons go to the tables by month. `warehouse/month_tables.py` has moved what the tables by day held.

DROP TABLE IF EXISTS installs_per_day_by_dimension_from_beacons $on_cluster SYNC;
DROP TABLE IF EXISTS installs_per_day_by_license_source_from_sightings $on_cluster SYNC;

CREATE MATERIALIZED VIEW IF NOT EXISTS installs_by_month_from_beacons $on_cluster
TO installs_by_month$local AS
SELECT
    module, install, toStartOfMonth(day) AS month, version, license_status, os, os_version, arch, virtualization, whmcs,
    php, database, web_server, country,
    bitShiftLeft(1::UInt32, toDayOfMonth(day) - 1)::UInt32 AS days
FROM usage_beacons$local;

CREATE MATERIALIZED VIEW IF NOT EXISTS features_by_month_from_beacons $on_cluster
TO features_by_month$local AS
SELECT
    module, pair.1 AS feature, install, toStartOfMonth(day) AS month,
    toUInt32(cityHash64(version, license_status, os, os_version, arch, virtualization, whmcs, php, database, web_server,
        country)) AS variant,
    bitShiftLeft(1::UInt32, toDayOfMonth(day) - 1)::UInt32 AS reported,
    if(pair.2 > 0, reported, 0)::UInt32 AS used,
    if(pair.2 > 0, map(toDayOfMonth(day), pair.2), map())::Map(UInt8, UInt64) AS uses
FROM usage_beacons$local
ARRAY JOIN features::Array(Tuple(String, UInt64)) AS pair;

CREATE MATERIALIZED VIEW IF NOT EXISTS installs_from_beacons $on_cluster
TO installs$local AS
SELECT module, install, day AS first_day, day AS last_day, received AS first_received, received AS last_received
FROM usage_beacons$local;

CREATE MATERIALIZED VIEW IF NOT EXISTS license_sources_by_month_from_sightings $on_cluster
TO license_sources_by_month$local AS
SELECT
    module, install, toStartOfMonth(toDate(time)) AS month, version, status AS license_status, source AS license_source,
    country,
    bitShiftLeft(1::UInt32, toDayOfMonth(time) - 1)::UInt32 AS days
FROM license_sightings$local;

DROP TABLE IF EXISTS installs_per_day_by_dimension $on_cluster SYNC;
DROP TABLE IF EXISTS installs_per_day_by_dimension$local $on_cluster SYNC;
DROP TABLE IF EXISTS installs_per_day_by_license_source $on_cluster SYNC;
DROP TABLE IF EXISTS installs_per_day_by_license_source$local $on_cluster SYNC;
DROP TABLE IF EXISTS filled_months $on_cluster SYNC;
DROP TABLE IF EXISTS filled_months$local $on_cluster SYNC;
