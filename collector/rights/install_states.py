"""The state of an install: its owner's decisions about its data. Every worker reads it before it stores a beacon.

The spool's file stores the states under a keyed hash of the install_id, which is in neither plane. Each decision has a
version. A beacon that was split under an older state of its install is not stored but split again.
"""

import threading
import time
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path

from collector.spool import Basis, Spool

# The filter takes 8 MiB in each worker. With a million states, 1.5% of all other installs cause a read of the file.
FILTER_BITS = 1 << 26
REFRESH_SECONDS = 1.0
PORTION = 500


@dataclass(frozen=True)
class InstallState:
    """The decisions about an install.

    `epoch` counts erasures; each retires the install's pseudonyms. `erased` is the time of the last erasure (epoch
    seconds).
    """

    epoch: int = 0
    erased: float = float("-inf")
    objected: bool = False
    restricted: bool = False


NONE = InstallState()


class InstallStates:
    """The states of all installs, for any number of threads.

    Memory holds one bit for each install that may have a state. The state itself is read by key.
    """

    def __init__(self, path: Path) -> None:
        self._spool = Spool(path)
        self._lock = threading.Lock()
        self._filter = bytearray(FILTER_BITS // 8)
        self._version = -1
        self._refreshed = float("-inf")
        self.refresh()

    def of(self, installs: Collection[int]) -> tuple[dict[int, InstallState], Basis]:
        """Return the states of the installs that have one, and the basis for storing their beacons."""
        if time.monotonic() - self._refreshed > REFRESH_SECONDS:
            self.refresh()
        # Before the states are read, so that the basis is outdated if one of them changes meanwhile.
        basis = Basis(self._version, tuple(installs))
        found: dict[int, InstallState] = {}
        if wanted := [who for who in installs if self._filter[who % FILTER_BITS >> 3] >> (who & 7) & 1]:
            with self._lock:
                for first in range(0, len(wanted), PORTION):
                    found |= self._read(wanted[first : first + PORTION])
        return found, basis

    def _read(self, installs: list[int]) -> dict[int, InstallState]:
        rows = self._spool.db.execute(
            "SELECT who, epoch, erased, objected, restricted FROM install_states "  # noqa: S608
            f"WHERE who IN ({','.join('?' * len(installs))})",
            installs,
        )
        return {who: InstallState(epoch, erased, bool(o), bool(r)) for who, epoch, erased, o, r in rows}

    def refresh(self) -> None:
        """Add the installs with a new state to the filter."""
        with self._lock:
            self._refreshed = time.monotonic()
            version = self._spool.version()
            if version == self._version:
                return
            changed = self._spool.db.execute("SELECT who FROM install_states WHERE version > ?", (self._version,))
            for (who,) in changed:
                self._filter[who % FILTER_BITS >> 3] |= 1 << (who & 7)
            self._version = version

    def close(self) -> None:
        """Close the connection."""
        self._spool.close()
