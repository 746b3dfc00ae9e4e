-- A batch goes to both planes: a column that told which rows came together joined the two. In its place each row of the
-- usage plane has a mark of its own (`collector/batches.py`).

ALTER TABLE usage_beacons$local $on_cluster
    ADD COLUMN IF NOT EXISTS mark UInt32 COMMENT 'keyed hash of beacon and batch, under a key that is not kept';
ALTER TABLE usage_beacons$local $on_cluster
    DROP COLUMN IF EXISTS batch;
ALTER TABLE license_sightings$local $on_cluster
    DROP COLUMN IF EXISTS batch;
ALTER TABLE sealed_beacons$local $on_cluster
    DROP COLUMN IF EXISTS batch;
