-- What was erased leaves the disk within seconds: ClickHouse looks for parts that were replaced every three seconds, and
-- not after up to five minutes. A new part is on disk before its old one goes.

ALTER TABLE usage_beacons$local $on_cluster
MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE installs_per_day_by_dimension$local $on_cluster
MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE license_sightings$local $on_cluster
MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE installs_per_day_by_license_source$local $on_cluster
MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE sightings_by_install$local $on_cluster
MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE sealed_beacons$local $on_cluster
MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;

ALTER TABLE owner_statements$local $on_cluster
MODIFY SETTING old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;
