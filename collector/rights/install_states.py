"""Where an install stands: what its owner has decided about its data, known to every worker before it stores.

Kept in the spool's file under a keyed hash of the install_id that neither plane holds. `version` changes with every
decision; what was split under an older one is not stored but split again, so that no decision is slipped past.
"""

import threading
from dataclasses import dataclass
from pathlib import Path

from collector.spool import Spool


@dataclass(frozen=True)
class InstallState:
    """What was decided: `epoch` counts erasures, each of which retires the install's pseudonyms; `erased` is the time
    of the last (epoch seconds)."""

    epoch: int = 0
    erased: float = float("-inf")
    objected: bool = False
    restricted: bool = False


NONE = InstallState()


class InstallStates:
    """The standings of all installs that decided anything, as of `version`; for any number of threads."""

    def __init__(self, path: Path) -> None:
        self._spool = Spool(path)
        self._lock = threading.Lock()
        self._known: dict[int, InstallState] = {}
        self.version = -1
        self.refresh()

    def of(self, who: int) -> InstallState:
        """The standing of an install."""
        return self._known.get(who, NONE)

    def refresh(self) -> None:
        """Read again what was decided, if anything was."""
        with self._lock:
            if self._spool.version() != self.version:
                version, rows = self._spool.standings()
                self._known = {who: InstallState(epoch, erased, bool(o), bool(r)) for who, epoch, erased, o, r in rows}
                self.version = version

    def close(self) -> None:
        """Close the connection."""
        self._spool.close()
