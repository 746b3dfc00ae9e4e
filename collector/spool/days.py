"""Counts the days for which duplicate ids are kept, by the machine's uptime instead of the wall clock.

Setting the wall clock, wrong or right, neither shortens nor extends a day. Time that no process counts, as while the
machine is off, makes ids stay longer.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime

from collector.spool.database import Database

DAY = 86400
# The most uptime that is lost from the count when the machine goes down.
NOTE_SECONDS = 600.0

# Returns the id of the current boot, and the seconds since that boot, including time in suspension.
Clock = Callable[[], tuple[str, float]]


def boot_clock() -> tuple[str, float]:
    """Return the boot id and the kernel's boot clock, which cannot be set."""
    return _boot(), clock_gettime(CLOCK_BOOTTIME)


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Days:
    """The day counter of one spool. Each process that stores beacons advances it."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._noted = ""
        self._due = 0.0

    def advance(self) -> None:
        """Add the elapsed time, if a day may have ended or the last update is old. Raises `Unavailable`."""
        boot, uptime = self._clock()
        if boot == self._noted and uptime < self._due:
            return
        db = self._database.db
        with self._database.transaction():
            boot, uptime = self._clock()  # under the lock, so no other process can record a later time first
            seconds, of, noted = db.execute("SELECT seconds, boot, uptime FROM memory").fetchone()
            seconds += max(uptime - noted, 0.0) if boot == of else 0.0
            values = (int(seconds // DAY), seconds, boot, uptime)
            db.execute("UPDATE memory SET day = ?, seconds = ?, boot = ?, uptime = ?", values)
        self._noted, self._due = boot, uptime + min(NOTE_SECONDS, DAY - seconds % DAY)

    def today(self) -> int:
        """Return the number of the current day."""
        self.advance()
        return int(self._database.db.execute("SELECT day FROM memory").fetchone()[0])
