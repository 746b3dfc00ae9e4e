"""The spool: stores acknowledged beacons on disk until they are in ClickHouse.

The spool is one SQLite file (WAL, synchronous=FULL). All workers write to it, and one loader drains it. Each step in
the life of a beacon is one transaction, which is on disk before the next begins:

1. `store`    stores the beacon's rows and its duplicate id   → 202 may be sent
2. `seal`     makes a range of beacons a batch with an id for each plane; the content of the batch is now fixed
3. `loaded`   records that the batch's rows of one plane are in ClickHouse (after a crash before this step, the loader
              sends the same batch with the same token again, and ClickHouse drops it)
4. `delete`   deletes the beacons and the batch, which both planes have; the duplicate id stays for `HORIZON_DAYS`
              (`duplicates.py`)

After a power cut each step is either complete or not begun. SQLite keeps this order of writes under these settings:

- It syncs the folder after it creates the file and the log (-wal), before the log's first transaction.
- It appends a transaction's pages to the log, the last one with a commit mark, and syncs the log before the call
  returns (in compaction, Pharos syncs it after the call). It does not read pages without that mark, or torn pages.
- It copies pages from the log into the file only after it syncs the log. It truncates, restarts or removes the log only
  after it syncs the file.
- It never syncs the -shm file, because it can rebuild it from the log.
"""

from collector.spool.batches import Batch, Batches
from collector.spool.beacons import PLANES, Basis, Group, Plane, Row, Stored
from collector.spool.database import Unavailable, check_clock, check_space
from collector.spool.development import Development
from collector.spool.duplicates import HORIZON_DAYS
from collector.spool.licenses import Licenses
from collector.spool.progress import Loading, Progress, Stats
from collector.spool.quarantine import Quarantine, Quarantined
from collector.spool.rejections import Rejections

__all__ = (
    "HORIZON_DAYS",
    "PLANES",
    "Basis",
    "Batch",
    "Group",
    "Loading",
    "Plane",
    "Quarantined",
    "Row",
    "Spool",
    "Stats",
    "Stored",
    "Unavailable",
    "check_clock",
    "check_space",
)


class Spool(Quarantine, Batches, Licenses, Development, Rejections, Progress):
    """One connection to the spool's file. Use it in one thread at a time."""
