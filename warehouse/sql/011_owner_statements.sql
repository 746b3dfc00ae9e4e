-- What owners state about the module and the license of their install, beside what was sighted, which stays as it is.
-- A field that an owner did not name is ''; a module '' means all modules of the install.

CREATE TABLE IF NOT EXISTS owner_statements$local $on_cluster (
    install UInt64 COMMENT 'pseudonym of the license plane',
    module LowCardinality(String),
    stated DateTime('UTC'),
    version LowCardinality(String),
    status LowCardinality(String),
    source LowCardinality(String)
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (install, module, stated, version, status, source)
TTL stated + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;
