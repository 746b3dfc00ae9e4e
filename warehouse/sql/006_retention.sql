-- Rows go on the day on which they are too old, not with the last day of their month: on that day their part is written
-- anew without them. The old part leaves the disk ten seconds later, after the new one is on it.

ALTER TABLE usage_beacons$local $on_cluster
MODIFY SETTING ttl_only_drop_parts = 0, old_parts_lifetime = 10, min_rows_to_fsync_after_merge = 1;
ALTER TABLE installs_per_day_by_dimension$local $on_cluster
MODIFY SETTING ttl_only_drop_parts = 0, old_parts_lifetime = 10, min_rows_to_fsync_after_merge = 1;
ALTER TABLE license_sightings$local $on_cluster
MODIFY SETTING ttl_only_drop_parts = 0, old_parts_lifetime = 10, min_rows_to_fsync_after_merge = 1;
ALTER TABLE installs_per_day_by_license_source$local $on_cluster
MODIFY SETTING ttl_only_drop_parts = 0, old_parts_lifetime = 10, min_rows_to_fsync_after_merge = 1;
ALTER TABLE sealed_beacons$local $on_cluster
MODIFY SETTING ttl_only_drop_parts = 0, old_parts_lifetime = 10, min_rows_to_fsync_after_merge = 1;
ALTER TABLE sightings_by_install$local $on_cluster
MODIFY SETTING ttl_only_drop_parts = 0, old_parts_lifetime = 10, min_rows_to_fsync_after_merge = 1;
