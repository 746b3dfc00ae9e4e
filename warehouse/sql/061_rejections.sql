-- How many beacons and requests a collector rejected, by day, reason and field: counts only. A loader tells the sums of a
-- day again as they grow, so the highest counts.

CREATE TABLE IF NOT EXISTS rejections$local $on_cluster (
    loader UUID,
    day Date,
    reason LowCardinality(String),
    field LowCardinality(String) COMMENT 'path of the field, empty for the whole beacon or request',
    times SimpleAggregateFunction(max, UInt64)
)
ENGINE = ${replicated}AggregatingMergeTree
ORDER BY (day, reason, field, loader)
TTL day + INTERVAL 13 MONTH
SETTINGS $deduplication_window = 10000;
