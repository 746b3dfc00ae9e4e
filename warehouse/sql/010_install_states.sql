-- What owners decided about their data, by install. `who` is a keyed hash of the install_id that neither plane holds.
-- Erasures add up, and the decision with the highest revision counts: no clock orders the rows.

CREATE TABLE IF NOT EXISTS install_states$local $on_cluster (
    who UInt64,
    epoch SimpleAggregateFunction(max, UInt32) COMMENT 'erasures so far; each retires the pseudonyms of both planes',
    erased SimpleAggregateFunction(max, DateTime64(3, 'UTC')) COMMENT 'the last of them; 0 for none',
    decision SimpleAggregateFunction(max, Tuple(revision UInt64, objected UInt8, restricted UInt8)),
    inserted SimpleAggregateFunction(max, DateTime64(6, 'UTC')) DEFAULT now64(6) COMMENT 'by the clock of ClickHouse'
)
ENGINE = ${replicated}AggregatingMergeTree
ORDER BY who
SETTINGS $deduplication_window = 10000, fsync_after_insert = 1, fsync_part_directory = 1;

INSERT INTO install_states (who, epoch, erased, decision)
SELECT who, epoch, erased, (toUnixTimestamp64Micro(changed), objected, restricted) FROM standings;
