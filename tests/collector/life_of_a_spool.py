"""Runs through the life of a home step by step, and reports each completed step.

Run as a process with two arguments: the path of the home, and the file for the reports.
"""

import json
import os
import sqlite3
import sys
from pathlib import Path
from typing import Any

from collector.compaction import Compactor
from collector.spool import HORIZON_DAYS, PLANES, Group, Spool
from core.credentials import Credentials
from core.home import Home
from core.settings import Settings
from tests.collector.remembered import HandClock, remembered, segments, small
from tests.collector.rows import rows

NOON = 1_795_348_800.0
PAGES = 12  # in the log before it is moved into the file: a thousand would take a long life


def contents(spool: Spool) -> Any:
    """Return everything that a spool holds, and all ids that it remembers."""
    return [
        [id.hex() for id in remembered(spool)],
        *(
            [[cell.hex() if isinstance(cell, bytes) else cell for cell in row] for row in spool.db.execute(select)]
            for select in (
                "SELECT id, seq, usage, license FROM beacons ORDER BY seq",
                "SELECT first, last, usage, license FROM batches ORDER BY first",
                "SELECT plane, row FROM quarantine ORDER BY id",
            )
        ),
    ]


def opened(path: Path, clock: HandClock) -> Spool:
    """Open the spool with frequent checkpoints."""
    spool = Spool(path, clock)
    spool.db.execute(f"PRAGMA wal_autocheckpoint = {PAGES}")
    return spool


def live(path: Path, tell: int) -> None:
    """Run all steps, with one worker and one loader."""
    promised: dict[str, Any] = {}
    clock = HandClock()

    def done(what: str, spool: Spool | None = None, **more: str) -> None:
        promised.update(done=what, **more)
        if spool is not None:
            promised["spool"] = contents(spool)
        os.write(tell, json.dumps(promised).encode())

    home = Home(path)
    done("secret", secret=home.root_secret(Settings()).decode())
    credentials = Credentials(home.credentials)
    done("first key", key=credentials.add_key())
    worker = opened(home.spool, clock)
    done("opened", worker)
    worker.store(rows(1), NOON)
    done("first 202", worker)
    credentials.add_key()
    loader = opened(home.spool, clock)
    for first in range(10, 130, 40):
        worker.store_groups([Group(rows(*range(first, first + 9))), Group(rows(*range(first + 9, first + 20)))], NOON)
        done("two requests in one commit", worker)
        batch = loader.seal(15)
        assert batch is not None
        done("sealed", loader)
        worker.store_groups([Group(rows(first, first + 30)), Group(rows(first + 31))], NOON)
        done("a duplicate among them", worker)
        for plane in PLANES:
            batch = loader.loaded(batch, plane)
            done(f"{plane} loaded", loader)
        loader.delete(batch)
        done("deleted", loader)
    loader.checkpoint()
    done("checkpoint", loader)
    batch = loader.seal(4)
    assert batch is not None
    done("sealed a few", loader)
    loader.split(batch)
    done("split", loader)
    loader.close()
    worker.close()
    done("closed")
    worker = opened(home.spool, clock)
    batch = worker.seal(1)
    assert batch is not None
    worker.split(batch)
    done("split again", worker)
    batch = worker.seal(1)
    assert batch is not None
    worker.quarantine(batch, "usage", "unreadable")
    done("quarantined", worker)
    worker.retry_quarantined(worker.quarantined()[0].id)
    done("retried", worker)
    with small(recent=4, portion=40, slice=12):
        compactor = Compactor(worker)
        for first in (200, 220, 240):
            compactor.file()
            done("filed", worker)
            while compactor.fold():
                done("folded", worker)
            clock.days(1)
            worker.store(rows(*range(first, first + 8)), NOON)
            done("stored after filing", worker)
        worker.store_groups([Group(rows(1, 10, 201)), Group(rows(300))], NOON)
        done("duplicates of what was filed", worker)
        for _ in range(2):
            clock.days(HORIZON_DAYS / 2)
            compactor.forget()
            done("forgotten, of what was filed", worker)
        while segments(worker):
            clock.days(1)
            compactor.forget()
            done("forgotten, a day", worker)
    worker.close()


if __name__ == "__main__":
    try:
        live(Path(sys.argv[1]), os.open(sys.argv[2], os.O_CREAT | os.O_WRONLY | os.O_APPEND))
    except sqlite3.Error as error:
        sys.exit(str(error))
