-- Which keys the installs of a version send is counted without the sightings: 0 is a report from before this column.
ALTER TABLE license_sources_by_month$local $on_cluster
    ADD COLUMN IF NOT EXISTS keyed UInt8 COMMENT '1: reported without a license key, 2: with one, 0: not recorded',
    MODIFY ORDER BY (module, install, month, version, license_status, license_source, country, own_name, keyed);

ALTER TABLE license_sources_by_month_from_sightings $on_cluster MODIFY QUERY
SELECT
    module, install, toStartOfMonth(toDate(time)) AS month, version, status AS license_status, source AS license_source,
    country,
    bitShiftLeft(1::UInt32, toDayOfMonth(time) - 1)::UInt32 AS days,
    0::UInt8 AS own_name,
    if(key != 0, 2, 1)::UInt8 AS keyed
FROM license_sightings$local
WHERE counted = 0;

-- The loader inserts the keys of each batch, and its daily pass inserts those of all states anew. So `last_seen` is the
-- day of that insert, the same for all: the day of the last report would show which install of the usage plane has gone.
ALTER TABLE license_keys_from_sightings $on_cluster MODIFY QUERY
SELECT module, key, install, toStartOfDay(now('UTC'))::DateTime64(3, 'UTC') AS last_seen
FROM license_sightings$local
WHERE key != 0 AND in_state = 0
GROUP BY module, key, install;

ALTER TABLE license_keys$local $on_cluster UPDATE last_seen = toStartOfDay(last_seen) WHERE 1;

ALTER TABLE license_keys$local $on_cluster MODIFY TTL toDateTime(last_seen) + INTERVAL 30 DAY;

-- Incidents begin and end with a day.
INSERT INTO license_incidents
SELECT module, toStartOfDay(since), until, affected, installs, written
FROM license_incidents
WHERE since != toStartOfDay(since);

ALTER TABLE license_incidents$local $on_cluster DELETE WHERE since != toStartOfDay(since);
