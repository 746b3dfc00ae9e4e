-- A row on each shard of a cluster, the one of `system.one` (`warehouse/queries/shard_sums.py`).

CREATE TABLE IF NOT EXISTS shards $on_cluster (dummy UInt8) ENGINE = $one_on_each_shard;
