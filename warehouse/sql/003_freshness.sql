-- Up to when each loader has loaded all that its collector took: what `fresh_to` in an answer is made of.

CREATE TABLE IF NOT EXISTS freshness_by_loader$local $on_cluster (
    loader UUID,
    fresh_to DateTime64(3, 'UTC'),
    written DateTime64(3, 'UTC')
)
ENGINE = ${replicated}ReplacingMergeTree(written)
ORDER BY loader
TTL toDateTime(written) + INTERVAL 7 DAY;
