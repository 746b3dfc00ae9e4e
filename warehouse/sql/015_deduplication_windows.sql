-- A batch of unknown outcome may be sent again a week later, while other loaders go on. Each table that a sum depends on
-- remembers the tokens of the batches between: a million, and by time two weeks, counted from the newest insert. All
-- other tables hold what may be inserted twice without harm.

ALTER TABLE usage_beacons$local $on_cluster MODIFY SETTING $deduplication;
ALTER TABLE installs_per_day_by_dimension$local $on_cluster MODIFY SETTING $deduplication;
