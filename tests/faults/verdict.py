"""The verdict: compares the accepted beacons with the rows that ClickHouse has in every table.

The tables contain keyed ids only. The tests know the root secret and compute each beacon's ids in both planes.
"""

import base64
import time
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple

from collector.planes import Planes, Split
from core.home import Home
from core.settings import Settings
from tests.end_to_end.system import System, wait_for
from tests.processes import apart
from warehouse.engine import Engine
from warehouse.licensing.state_codec import Seal
from warehouse.licensing.states import DAY

Key = tuple[Any, ...]
# So late may a beacon be in the figures: a replica that was started again has to fetch first what it missed.
FRESH_SECONDS = 10.0


class Answered(NamedTuple):
    """An accepted beacon, as the planes must store it."""

    day: str
    module: str
    usage_install: int
    usage_beacon: int
    uses: int
    license_install: int
    license_key: int
    source_install: int
    status: str
    source: str

    @classmethod
    def of(cls, split: Split) -> "Answered":
        """Split the beacon as the collector does."""
        usage, license = split.usage, split.license
        return cls(
            usage["day"], usage["module"], usage["install"], usage["beacon"], sum(usage["features"].values()),
            license["install"], license["key"], license["source_install"], license["status"], license["source"],
        )  # fmt: skip


@dataclass(frozen=True)
class Table:
    """What a table must contain for the accepted beacons: a number for each key, and the query for the stored
    numbers."""

    counted: Callable[[Answered], tuple[Key, int]]
    is_sum: bool
    sql: str
    sealed: bool = False  # the rows are sealed states: what they say is compared


DAY_OF_BIT = "toString(month + arrayJoin(bitPositionsToArray(days)))"
# Rows are counted as they lie there, without FINAL: a row that is there twice was summed twice, too.
TABLES = {
    "usage_beacons": Table(
        lambda one: ((one.day, one.module, one.usage_install, one.usage_beacon), 1), True,
        "SELECT toString(day), module::String, install, beacon, count() FROM usage_beacons GROUP BY ALL",
    ),
    "license_states": Table(
        lambda one: ((one.day, one.module, one.license_install, one.status, one.source), 1), False,
        "SELECT module::String, install, sealed FROM license_states", sealed=True,
    ),
    "license_keys": Table(
        lambda one: ((one.module, one.license_install, one.license_key), int(one.license_key != 0)), False,
        "SELECT DISTINCT module::String, install, key, 1 FROM license_keys",
    ),
    "installs_by_month": Table(
        lambda one: ((one.day, one.module, one.usage_install), 1), False,
        f"SELECT DISTINCT {DAY_OF_BIT}, module::String, install, 1 FROM installs_by_month",
    ),
    "features_by_month": Table(
        lambda one: ((one.day, one.module, one.usage_install), one.uses), True,
        "SELECT toString(month + use.1 - 1), module::String, install, sum(use.2) "
        "FROM features_by_month ARRAY JOIN uses::Array(Tuple(UInt8, UInt64)) AS use GROUP BY ALL",
    ),
    "installs": Table(
        lambda one: ((one.module, one.usage_install), 1), False,
        "SELECT DISTINCT module::String, install, 1 FROM installs",
    ),
    "license_sources_by_month": Table(
        lambda one: ((one.day, one.module, one.source_install, one.source), 1), False,
        f"SELECT DISTINCT {DAY_OF_BIT}, module::String, install, license_source::String, 1 "
        "FROM license_sources_by_month",
    ),
}  # fmt: skip


@dataclass(frozen=True)
class Difference:
    """The difference of a table: the number of keys with too little, and with too much."""

    lost: int
    doubled: int


def expected(table: Table, ledger: Iterable[Answered]) -> dict[Key, int]:
    """Return the expected number of each key."""
    found: Counter[Key] = Counter()
    for one in ledger:
        key, number = table.counted(one)
        found[key] = found[key] + number if table.is_sum else number
    return found


def compare(expected: dict[Key, int], held: Iterable[tuple[Any, ...]]) -> Difference:
    """Count the keys with too little or too much. `held` are rows of a key and its number."""
    found = {row[:-1]: row[-1] for row in held}
    lost = sum(found.get(key, 0) < number for key, number in expected.items())
    doubled = sum(key not in expected or number > expected[key] for key, number in found.items())
    return Difference(lost, doubled)


@dataclass(frozen=True)
class Verdict:
    """The comparison of accepted with counted beacons."""

    answered: int
    tables: dict[str, Difference]
    uses: tuple[int, int]  # the sum that was answered for, and the one that the read API gives
    recount: str  # what `pharos recount` found
    wrong: list[str]  # answers that nobody should get

    @property
    def good(self) -> bool:
        """Return whether every accepted beacon counts once everywhere, and nothing else does."""
        return (
            set(self.tables.values()) == {Difference(0, 0)}
            and self.uses[0] == self.uses[1]
            and not self.recount
            and not self.wrong
        )

    def __str__(self) -> str:
        lines = [f"answered 202: {self.answered} beacons, {self.uses[0]} uses; the read API says {self.uses[1]} uses"]
        lines += [f"{name}: {d.lost} lost, {d.doubled} doubled" for name, d in self.tables.items()]
        lines += [self.recount or "the aggregates equal a recount of their rows"]
        lines += [f"{len(self.wrong)} wrong answers", *self.wrong[:10]]
        return "\n".join(lines)


def planes_of(system: System) -> Planes:
    """Return the split with the root secret of a system."""
    return Planes(Home(system.home).root_secret(system.settings))


def ledger(planes: Planes, beacons: Iterable[dict[str, Any]]) -> list[Answered]:
    """Return the accepted beacons as the planes must store them."""
    now = datetime.now(UTC)
    return [Answered.of(planes.split(one, "127.0.0.1", now)) for one in beacons]


def verdict(system: System, ledger: list[Answered], wrong: Sequence[str] = ()) -> Verdict:
    """Wait until all is loaded, query the read API, stop the system, and compare every table."""
    wait_for(lambda: system.answers(system.dashboard), "the dashboard", 120)
    system.drain()
    settings = system.settings
    uses = sum(one.uses for one in ledger)
    told = _told_uses(system)
    until = time.monotonic() + FRESH_SECONDS
    while told != uses and time.monotonic() < until:
        time.sleep(0.5)
        told = _told_uses(system)
    assert system.stop() == 0
    tables = apart(_compared, 600, settings, ledger)
    recount = system.run("recount")
    return Verdict(
        len(ledger),
        tables,
        (uses, told),
        "" if recount.returncode == 0 else (recount.stdout + recount.stderr).decode(),
        list(wrong),
    )


def _told_uses(system: System) -> int:
    (row,) = system.rows("feature_uses", grain="period", by="none")
    return int(row["value"] or 0)


def _compared(settings: Settings, ledger: list[Answered]) -> dict[str, Difference]:
    """Compare in a separate process: chDB must not be forked."""
    engine = Engine(settings, Home(settings.home))
    try:
        return differences(engine, ledger)
    finally:
        engine.close()


def differences(engine: Engine, ledger: list[Answered]) -> dict[str, Difference]:
    """Return the difference of each table, in a cluster of each replica."""
    found = {}
    for name, table in TABLES.items():
        must = expected(table, ledger)
        server = engine.of(name)
        for label, sql in _each_replica(server, name, table.sql):
            held = server.query(sql)
            found[label] = compare(must, _said(engine.seal, held) if table.sealed else held)
    return found


def _said(seal: Seal, rows: Iterable[tuple[str, int, str]]) -> set[tuple[Any, ...]]:
    """Return what the sealed states of installs say: on which day which status and source."""
    return {
        (datetime.fromtimestamp(day * DAY, UTC).date().isoformat(), module, install, report.status, report.source, 1)
        for module, install, sealed in rows
        for (report, _), days in seal.unseal(module, install, base64.b64decode(sealed)).seen.items()
        for day in days
    }


def _each_replica(engine: Engine, name: str, sql: str) -> list[tuple[str, str]]:
    """Return the query, in a cluster once for each replica, after the replica is in sync."""
    if not engine.cluster:
        return [(name, sql)]
    engine.command(f"SYSTEM SYNC REPLICA ON CLUSTER {engine.cluster} {engine.database}.{name}_local")
    chosen = "prefer_localhost_replica = 0, load_balancing = 'first_or_random', load_balancing_first_offset = "
    return [(f"{name}, replica {n + 1}", f"{sql} SETTINGS {chosen}{n}") for n in range(2)]
