-- What people did with the cases of the license plane, append-only: a row for each revision of a case. The newest
-- revision is what holds now. A case is about an install or a key of a module; the other one is 0.

CREATE TABLE IF NOT EXISTS license_cases$local $on_cluster (
    module LowCardinality(String),
    install UInt64,
    key UInt64,
    revision UInt32,
    at DateTime64(3, 'UTC'),
    who String COMMENT 'a login, or a token and its id',
    action LowCardinality(String) COMMENT 'changed or undone',
    state LowCardinality(String),
    assignee String,
    note String,
    rules Array(LowCardinality(String)) COMMENT 'the evidence of that time: the rules of its flags',
    reach UInt32 COMMENT 'how many installs it was about',
    grade LowCardinality(String) COMMENT 'its strongest grade',
    change String COMMENT 'the id of the action: a bulk action changes several cases'
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (module, install, key, revision)
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1,
    old_parts_lifetime = 1, cleanup_delay_period = 3, cleanup_delay_period_random_add = 0,
    max_cleanup_delay_period = 3, finished_mutations_to_keep = 1, min_rows_to_fsync_after_merge = 1;
