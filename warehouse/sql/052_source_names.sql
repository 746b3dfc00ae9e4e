-- Installs are counted by license source under a pseudonym of that table alone: the loader inserts both rows of a report
-- (`collector/source_counts.py`). The view counts what a loader or a backup of the version before inserts, under the
-- pseudonym of the license plane. The loader renames those counts when it loads the next report of their install.

ALTER TABLE license_sightings$local $on_cluster
    ADD COLUMN IF NOT EXISTS counted UInt8 COMMENT '1: its source is counted, not by the view';
ALTER TABLE license_sources_by_month$local $on_cluster
    ADD COLUMN IF NOT EXISTS own_name UInt8 COMMENT '1: install is a pseudonym of this table alone, 0: of the plane',
    MODIFY ORDER BY (module, install, month, version, license_status, license_source, country, own_name);

ALTER TABLE license_sources_by_month_from_sightings $on_cluster MODIFY QUERY
SELECT
    module, install, toStartOfMonth(toDate(time)) AS month, version, status AS license_status, source AS license_source,
    country,
    bitShiftLeft(1::UInt32, toDayOfMonth(time) - 1)::UInt32 AS days,
    0::UInt8 AS own_name
FROM license_sightings$local
WHERE counted = 0;
