"""Counts installs by the source of their license, under a pseudonym that no other table has.

In the spool, a row of the license plane also has this pseudonym. The loader makes a sealed report and a count of it,
which share no id. Counting is idempotent.
"""

import hashlib
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import date
from typing import Any

import msgspec

from collector.planes import SOURCE_INSTALL
from warehouse.engine import Engine
from warehouse.install_data import LATE, SOURCES
from warehouse.statement_settings import UNLOGGED

# While a loader of the version before runs, it inserts further counts to rename.
ASK_SECONDS = 3600.0
_VALUES = "module, month, version, license_status, license_source, country, keyed"


class _Named(msgspec.Struct):
    install: int
    source_install: int = 0


def counts(rows: Iterable[bytes]) -> list[bytes]:
    """Return the counts of rows of the license plane.

    A row without the pseudonym is from a spool of the version before. It counts under that of the license plane, until
    `Renaming` renames it.
    """
    found = set()
    for line in rows:
        row = msgspec.json.decode(line)
        name = row.get(SOURCE_INSTALL, 0)
        if day := _day(row["time"]):
            count = {
                "module": row["module"],
                "install": name or row["install"],
                "month": day.replace(day=1).isoformat(),
                "version": row["version"],
                "license_status": row["status"],
                "license_source": row.get("source", ""),
                "country": row.get("country", ""),
                "days": 1 << day.day - 1,
                "own_name": int(name != 0),
                "keyed": _keyed(row),
            }
            found.add(msgspec.json.encode(count))
    return sorted(found)


def _keyed(row: dict[str, Any]) -> int:
    """Return 2 with a license key, 1 without, and `LATE` if it was delivered on another day than it states."""
    if row.get("ip") and row.get("received") == 0:
        return LATE
    return 2 if row.get("key") else 1


def _day(time: str) -> date | None:
    try:
        return date.fromisoformat(time[:10])
    except ValueError:  # no report can be made of it either
        return None


class Renaming:
    """Renames the counts from before this pseudonym, for one loader: only a report has both names of an install."""

    def __init__(self, engine: Engine, steady: Callable[[], float] = time.monotonic) -> None:
        self._engine, self._steady = engine, steady
        self._ask_at = float("-inf")

    def rename(self, rows: Sequence[bytes]) -> None:
        """Rename the earlier counts of the installs of rows of the license plane. Raises `EngineError`.

        Repeating it changes nothing. An install counts twice in spans with days of both names until ClickHouse has
        deleted the replaced rows, within seconds.
        """
        if self._steady() < self._ask_at:
            return
        engine = self._engine.of(SOURCES)
        if not engine.query(f"SELECT 1 FROM {SOURCES} WHERE own_name = 0 LIMIT 1"):  # noqa: S608
            self._ask_at = self._steady() + ASK_SECONDS
            return
        named = (msgspec.json.decode(row, type=_Named) for row in rows)
        names = {row.install: row.source_install for row in named if row.source_install}
        found = engine.query_each(
            f"SELECT DISTINCT install FROM {SOURCES} WHERE own_name = 0 AND install IN {{installs:Array(UInt64)}}",  # noqa: S608
            "installs",
            names,
        )
        if not found:
            return
        before = sorted(install for (install,) in found)
        replaced = f"own_name = 0 AND install IN ({', '.join(map(str, before))})"
        after = [names[install] for install in before]
        # The same names have the same token: a replica that lags behind lacks what an earlier attempt has inserted.
        token = hashlib.sha256(f"{before} {after}".encode()).hexdigest()
        engine.command(
            f"INSERT INTO {SOURCES} ({_VALUES}, install, days, own_name) "  # noqa: S608
            f"SELECT {_VALUES}, transform(install, {before}::Array(UInt64), {after}::Array(UInt64), 0::UInt64) "
            f"AS named, groupBitOr(days), 1 FROM {SOURCES} WHERE {replaced} GROUP BY {_VALUES}, named",
            {**UNLOGGED, "insert_deduplication_token": token},
        )
        engine.command(
            f"ALTER TABLE {engine.altered(SOURCES)} DELETE WHERE {replaced}",
            {**UNLOGGED, "mutations_sync": 0},
        )
