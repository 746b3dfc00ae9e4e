-- How each loader is doing, told together with how far it is: what the page Health shows.

ALTER TABLE freshness_by_loader$local $on_cluster
    ADD COLUMN IF NOT EXISTS waiting UInt64 COMMENT 'beacons in the spool',
    ADD COLUMN IF NOT EXISTS oldest Nullable(DateTime64(3, 'UTC')) COMMENT 'when the oldest of them was received',
    ADD COLUMN IF NOT EXISTS sealed UInt64 COMMENT 'batches under way',
    ADD COLUMN IF NOT EXISTS quarantined UInt64 COMMENT 'rows that ClickHouse refused',
    ADD COLUMN IF NOT EXISTS free_bytes UInt64 COMMENT 'free disk space of its home',
    ADD COLUMN IF NOT EXISTS pharos String COMMENT 'version of Pharos',
    ADD COLUMN IF NOT EXISTS trouble String COMMENT 'why it cannot load',
    ADD COLUMN IF NOT EXISTS trouble_since Nullable(DateTime64(3, 'UTC'));
