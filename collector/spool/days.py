"""The days for which duplicate ids are kept: counted by how long the machine has been on, not by the clock on the wall.

A clock that is set wrong, or right, neither ends a day early nor keeps one for ever. Time that nobody counted, as while
the machine was off, only makes ids stay for longer.
"""

from collections.abc import Callable
from functools import cache
from pathlib import Path
from time import CLOCK_BOOTTIME, clock_gettime

from collector.spool.database import Database

DAY = 86400
# So much at most is not counted when the machine goes down.
NOTE_SECONDS = 600.0

# Under which boot the machine runs, and for how many seconds, those of a suspension included.
Clock = Callable[[], tuple[str, float]]


def boot_clock() -> tuple[str, float]:
    """The clock of the kernel, which nobody sets."""
    return _boot(), clock_gettime(CLOCK_BOOTTIME)


@cache
def _boot() -> str:
    return Path("/proc/sys/kernel/random/boot_id").read_text().strip()


class Days:
    """The count of days in one spool; each process that stores beacons carries it on."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._database, self._clock = database, clock
        self._noted = ""
        self._due = 0.0

    def advance(self) -> None:
        """Count the time that has gone by, if a day may have ended or the last note is old. Raises `Unavailable`."""
        boot, uptime = self._clock()
        if boot == self._noted and uptime < self._due:
            return
        db = self._database.db
        with self._database.transaction():
            boot, uptime = self._clock()  # no other process has noted a later time meanwhile
            seconds, of, noted = db.execute("SELECT seconds, boot, uptime FROM memory").fetchone()
            seconds += max(uptime - noted, 0.0) if boot == of else 0.0
            values = (int(seconds // DAY), seconds, boot, uptime)
            db.execute("UPDATE memory SET day = ?, seconds = ?, boot = ?, uptime = ?", values)
        self._noted, self._due = boot, uptime + min(NOTE_SECONDS, DAY - seconds % DAY)

    def today(self) -> int:
        """The number of the day."""
        self.advance()
        return int(self._database.db.execute("SELECT day FROM memory").fetchone()[0])
