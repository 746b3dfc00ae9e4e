"""The input of the spool: stores each beacon once, within the rate limits, under the current decisions of owners."""

import os
import sqlite3
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import msgspec

from collector.spool.database import Database
from collector.spool.days import Clock, Days, boot_clock
from collector.spool.duplicates import Duplicates

# Where a row goes: to a plane, or to `sealed`, which holds both planes' rows of a restricted install in encrypted form.
Plane = Literal["usage", "license", "sealed"]
PLANES: tuple[Plane, ...] = ("usage", "license", "sealed")


class Row(msgspec.Struct, frozen=True):
    """A beacon to store: its keyed duplicate id and its JSON line for each plane (b"" for no line)."""

    seen: bytes
    usage: bytes
    license: bytes
    sealed: bytes = b""


@dataclass(frozen=True)
class Basis:
    """The decisions under which beacons were split: the states of these installs at a version of the decisions."""

    version: int
    installs: tuple[int, ...]


@dataclass(frozen=True)
class Group:
    """The beacons of one request.

    `limits` are the limits that they count against: (name of the limited key or address, beacons per minute).
    `basis` has the decisions under which they were split; None if no decision can affect them.
    """

    rows: list[Row]
    limits: tuple[tuple[str, int], ...] = ()
    basis: Basis | None = None


# For each row, True for new or False for duplicate; or the seconds to wait; or None if the beacons must be split again.
Stored = list[bool] | int | None


class Beacons(Database):
    """Stores beacons. `clock` counts the days for which duplicate ids are kept."""

    def __init__(self, path: Path, clock: Clock = boot_clock, *, only_read: bool = False) -> None:
        super().__init__(path, only_read=only_read)
        self.days = Days(self, clock)
        self.duplicates = Duplicates(self)

    def store(self, rows: list[Row], now: float) -> list[bool]:
        """Store beacons on disk; returns True for each new one, False for a duplicate. Raises `Unavailable`."""
        (fresh,) = self.store_groups([Group(rows)], now)
        assert isinstance(fresh, list)  # noqa: S101 - a group without limit and version is never rejected
        return fresh

    def store_groups(self, groups: list[Group], now: float) -> list[Stored]:
        """Store the beacons of several requests on disk in one commit.

        Returns for each group the result of `store`; or the seconds to wait if it is over a limit; or None if the state
        of one of its installs has changed since `Group.basis` and the beacons must be split again.
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
                # Nearly always all rows are new. Then one statement, its own transaction, is enough. sqlite3 releases
                # the GIL around each statement, and then waits for it behind the request threads.
                if self._insert_if(rows, int(now), next(iter(versions), None)):
                    return [[True] * len(group.rows) for group in groups]
            except sqlite3.IntegrityError:
                pass  # one of them is a duplicate, and nothing was stored
        with self.transaction():
            return [
                (self._over_limit(group, now) or self._store_new(group.rows, int(now)))
                if group.basis is None or self._holds(group.basis)
                else None
                for group in groups
            ]

    def _insert_if(self, rows: list[Row], now: int, version: int | None) -> bool:
        """Insert all rows if the decisions are still at `version` and `duplicates` still has the current segments."""
        condition = "(SELECT generation FROM memory) = ?"
        expected = [self.duplicates.generation]
        if version is not None:
            condition += " AND (SELECT version FROM decisions) = ?"
            expected.append(version)
        return self._insert(rows, now, condition, expected) == len(rows)

    def _insert(self, rows: list[Row], now: int, condition: str = "true", expected: list[int] | None = None) -> int:
        """Insert all rows if a condition holds; returns the number of inserted rows."""
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
        """Return the duplicate ids that were stored before. Raises `Unavailable`."""
        marks = ",".join("?" * len(ids))
        # Read `seen` first: an id is filed in a segment before it leaves `seen`.
        recent = {id for (id,) in self.db.execute(f"SELECT id FROM seen WHERE id IN ({marks})", ids)}  # noqa: S608
        self.duplicates.refresh()
        return recent | self.duplicates.filed(ids)

    def version(self) -> int:
        """Return the number of decisions made by owners."""
        return int(self.db.execute("SELECT version FROM decisions").fetchone()[0])

    def _holds(self, basis: Basis) -> bool:
        """Whether the states of all installs of a basis are unchanged."""
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
        """Count things other than beacons against the limits of a group; returns 0 or the seconds to wait."""
        with self.transaction():
            return self._over_limit(group, time.time(), things)

    def _over_limit(self, group: Group, now: float, things: int = 0) -> int:
        """Count a group against its limits; returns 0, or the seconds until the next minute if it would exceed one."""
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
        """Delete the counts of past minutes."""
        with self.transaction():
            self.db.execute("DELETE FROM limits WHERE minute < ?", (int(now) // 60,))

    def _put_back(self, row: Row, received: int) -> None:
        """Insert a row that was stored before, with a new random id."""
        self._insert([Row(os.urandom(16), row.usage, row.license, row.sealed)], received)
