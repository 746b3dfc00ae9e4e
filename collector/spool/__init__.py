"""The spool: beacons that were answered for, on disk until ClickHouse has them.

One SQLite file (WAL, synchronous=FULL) that all workers write and one loader drains. The order of a beacon's life,
each line one transaction that is on disk before the next begins:

1. `store`    the beacon's rows and its duplicate id          → 202 may be sent
2. `seal`     a range of beacons becomes a batch with an id for each plane; what it holds is fixed from here on
3. `loaded`   the batch's rows of one plane are in ClickHouse (a crash before this line sends the same batch again,
              under the same token, and ClickHouse drops it)
4. `delete`   both planes have it: beacons and batch go; the duplicate id stays for `HORIZON_DAYS` (`duplicates.py`)

A power cut leaves each of them done or not begun. The order of writes, which SQLite keeps under these settings:

- The folder is synced once a new file and a new log (-wal) are in it, before the log's first transaction.
- A transaction's pages go to the end of the log, the last of them with the mark of the commit, and the log is synced
  before the call returns. Pages without that mark, or torn ones, are not read.
- Pages go from the log into the file only after the log is synced; the log is emptied, begun anew or removed only after
  the file is synced.
- The -shm file is never synced: it is made anew from the log.
"""

from collector.spool.batches import Batch, Batches
from collector.spool.beacons import PLANES, Basis, Group, Plane, Row, Stored
from collector.spool.database import Unavailable, check_space
from collector.spool.duplicates import HORIZON_DAYS
from collector.spool.progress import Loading, Progress, Stats
from collector.spool.quarantine import Quarantine, Quarantined

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
    "check_space",
)


class Spool(Quarantine, Batches, Progress):
    """One connection to the spool file; for one thread at a time."""
