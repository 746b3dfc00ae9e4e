"""How beacons get into the spool: each once, within the limits, under the decisions of their moment."""

import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from collector.spool.database import Database
from collector.spool.days import Clock, Days, boot_clock
from collector.spool.duplicates import Duplicates

# Where a row of a beacon goes: a plane, or, of a restricted install, both planes' rows sealed into one.
Plane = Literal["usage", "license", "sealed"]
PLANES: tuple[Plane, ...] = ("usage", "license", "sealed")


@dataclass(frozen=True)
class Row:
    """A beacon on its way: its keyed duplicate id and its JSON line for each plane, b"" where it has none."""

    seen: bytes
    usage: bytes
    license: bytes
    sealed: bytes = b""


@dataclass(frozen=True)
class Basis:
    """What beacons were split under: the states of these installs, as of a version of the decisions."""

    version: int
    installs: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """The beacons of one request, the limits that they count against (who, beacons a minute), and what they were split
    under (None: no decision can concern them)."""

    rows: list[Row]
    limits: tuple[tuple[str, int], ...] = ()
    basis: Basis | None = None


# New or duplicate, for each row; or seconds to wait; or None: to be split again.
Stored = list[bool] | int | None


class Beacons(Database):
    """The way in. `clock` counts the days for which duplicate ids are kept."""

    def __init__(self, path: Path, clock: Clock = boot_clock, *, only_read: bool = False) -> None:
        super().__init__(path, only_read=only_read)
        self.days = Days(self, clock)
        self.duplicates = Duplicates(self)

    def store(self, rows: list[Row], now: float) -> list[bool]:
        """Put beacons on disk; True for each that is new, False for a duplicate. Raises `Unavailable`."""
        (fresh,) = self.store_groups([Group(rows)], now)
        assert isinstance(fresh, list)  # noqa: S101 - a group without limit and version is never refused
        return fresh

    def store_groups(self, groups: list[Group], now: float) -> list[Stored]:
        """Put the beacons of several requests on disk in one commit.

        For each group: as `store`; or the seconds to wait when it is over a limit; or None when the state of one of its
        installs has changed since `Group.basis`, and its beacons have to be split again.
        """
        self.days.advance()
        versions = {group.basis.version for group in groups if group.basis is not None}
        rows = [row for group in groups for row in group.rows]
        if (
            rows
            and len(versions) < 2
            and not any(group.limits for group in groups)
            and not self.duplicates.filed([row.seen for row in rows])
        ):
            try:
                # Nearly always all are new: then one statement is all, and is its own transaction. sqlite3 lets go of
                # the interpreter around each statement and has to queue for it again behind the requests' threads.
                if self._insert_if(rows, int(now), next(iter(versions), None)):
                    return [[True] * len(group.rows) for group in groups]
            except sqlite3.IntegrityError:
                pass  # a duplicate is among them, and nothing was stored
        with self.transaction():
            return [
                (self._over_limit(group, now) or self._store_new(group.rows, int(now)))
                if group.basis is None or self._holds(group.basis)
                else None
                for group in groups
            ]

    def _insert_if(self, rows: list[Row], now: int, version: int | None) -> bool:
        """Insert all rows if the decisions are those of `version` and no id was filed since `duplicates` looked."""
        condition = "(SELECT generation FROM memory) = ?"
        expected = [self.duplicates.generation]
        if version is not None:
            condition += " AND (SELECT version FROM decisions) = ?"
            expected.append(version)
        return self._insert(rows, now, condition, expected) == len(rows)

    def _insert(self, rows: list[Row], now: int, condition: str = "true", expected: list[int] | None = None) -> int:
        """Insert all rows on a condition; returns how many were inserted."""
        marks = ",".join(["(?,?,?,?,?)"] * len(rows))
        values: list[Any] = [v for row in rows for v in (row.seen, now, row.usage, row.license, row.sealed)]
        return self._locked(
            f"INSERT INTO beacons (id, received, usage, license, sealed) SELECT * FROM (VALUES {marks}) "  # noqa: S608
            f"WHERE {condition}",
            [*values, *(expected or [])],
        ).rowcount

    def _store_new(self, rows: list[Row], now: int) -> list[bool]:
        known = self.known([row.seen for row in rows])
        fresh: list[bool] = []
        for row in rows:
            fresh.append(row.seen not in known)
            known.add(row.seen)
        if new := [row for row, is_new in zip(rows, fresh, strict=True) if is_new]:
            self._insert(new, now)
        return fresh

    def known(self, ids: list[bytes]) -> set[bytes]:
        """Which of these duplicate ids were stored before. Raises `Unavailable`."""
        marks = ",".join("?" * len(ids))
        # In this order: an id is filed before it leaves `seen`.
        recent = {id for (id,) in self.db.execute(f"SELECT id FROM seen WHERE id IN ({marks})", ids)}  # noqa: S608
        self.duplicates.refresh()
        return recent | self.duplicates.filed(ids)

    def version(self) -> int:
        """How many decisions of owners there were."""
        return int(self.db.execute("SELECT version FROM decisions").fetchone()[0])

    def _holds(self, basis: Basis) -> bool:
        """Whether no install of a basis has got another state since."""
        version, forgotten = self.db.execute("SELECT version, forgotten FROM decisions").fetchone()
        if basis.version == version:
            return True
        marks = ",".join("?" * len(basis.installs))
        changed = self.db.execute(
            f"SELECT 1 FROM install_states WHERE who IN ({marks}) AND version > ? LIMIT 1",  # noqa: S608
            (*basis.installs, basis.version),
        )
        return basis.version >= forgotten and changed.fetchone() is None

    def count(self, group: Group, things: int) -> int:
        """Count things that are no beacons against the limits of a group; as `store_groups`, 0 or seconds to wait."""
        with self.transaction():
            return self._over_limit(group, time.time(), things)

    def _over_limit(self, group: Group, now: float, things: int = 0) -> int:
        """0, or the seconds until the next minute when this group would be over one of its limits."""
        minute = int(now // 60)
        used = {}
        for who, most in group.limits:
            row = self.db.execute("SELECT beacons FROM limits WHERE who = ? AND minute = ?", (who, minute)).fetchone()
            used[who] = len(group.rows) + things + (row[0] if row else 0)
            if used[who] > most:
                return 60 - int(now % 60)
        for who, beacons in used.items():
            self.db.execute("REPLACE INTO limits VALUES (?, ?, ?)", (who, minute, beacons))
        return 0

    def forget_limits(self, now: float) -> None:
        """Drop what was counted against limits in minutes that are over."""
        with self.transaction():
            self.db.execute("DELETE FROM limits WHERE minute < ?", (int(now) // 60,))

    def _put_back(self, row: Row, received: int) -> None:
        """Insert a row that was stored before, under an id of its own."""
        self._insert([Row(os.urandom(16), row.usage, row.license, row.sealed)], received)
