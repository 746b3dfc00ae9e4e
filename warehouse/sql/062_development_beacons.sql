-- What was posted with development keys in the last 24 hours: for the page Data, and in no figure. It holds no identifier and no address.

CREATE TABLE IF NOT EXISTS development_beacons$local $on_cluster (
    id UUID COMMENT 'random, of this row',
    received DateTime64(3, 'UTC'),
    key LowCardinality(String) COMMENT 'id of the development key',
    outcome LowCardinality(String) COMMENT 'accepted, undeclared or rejected',
    reason LowCardinality(String) COMMENT 'why it was rejected',
    field LowCardinality(String) COMMENT 'path of the rejected field, empty for the whole beacon or request',
    clock_skewed Bool COMMENT 'whether sent_at is too far from the time of receipt',
    stored String COMMENT 'what the usage plane would store, as JSON by column',
    license_only Array(LowCardinality(String)) COMMENT 'fields that only the license plane stores, without values',
    undeclared Map(String, UInt32) COMMENT 'how many values the catalog removed, by kind'
)
ENGINE = ${replicated}ReplacingMergeTree
ORDER BY (received, id)
TTL toDateTime(received) + INTERVAL 24 HOUR;
