"""Plays a labelled fleet through spool, loader and ClickHouse, and compares its flags with the labels."""

import threading
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from collector.license_rows import LicenseRows, encode
from collector.loader import Loader
from collector.planes import Planes
from collector.spool import Spool
from core.catalog import Catalog, Entry
from core.settings import Settings
from tests.licensing.labelled import Fleet, Install
from warehouse.engine import Engine
from warehouse.licensing.judge import Judge
from warehouse.migrate import migrate

SECRET = b"root secret of the labelled fleet"


@dataclass
class Measured:
    """What was flagged: by install (its id and module) the rules."""

    fleet: Fleet
    rules: dict[str, set[str]] = field(default_factory=dict)

    def flagged(self, installs: Sequence[Install]) -> int:
        return sum(bool(self.rules.get(install.id)) for install in installs)

    @property
    def recall(self) -> float:
        guilty = [install for install in self.fleet.installs if install.guilty]
        return self.flagged(guilty) / len(guilty)

    @property
    def precision(self) -> float:
        guilty = self.flagged([install for install in self.fleet.installs if install.guilty])
        return guilty / max(self.flagged(self.fleet.installs), 1)

    def by_rule(self) -> dict[str, tuple[int, int]]:
        """Return for each rule how many installs it flags, and how many of them are guilty."""
        guilty = {install.id for install in self.fleet.installs if install.guilty}
        every = Counter(rule for rules in self.rules.values() for rule in rules)
        right = Counter(rule for id, rules in self.rules.items() if id in guilty for rule in rules)
        return {rule: (number, right[rule]) for rule, number in every.items()}


def play(fleet: Fleet, engine: Engine, folder: Path, note: Callable[[str], None] = lambda text: None) -> Measured:
    """Load the fleet and the registry, and judge all of it. The beacons arrive in their order of time."""
    migrate(engine)
    spool = Spool(folder / "spool.sqlite")
    entries = {("source", name): Entry("source", name, "", "") for name in fleet.sources}
    judge = Judge(engine, Settings(), lambda: Catalog("open", entries), clock=fleet.now.timestamp)  # type: ignore[arg-type]
    loader = Loader(spool, engine, judge=judge)
    rows_of, planes = LicenseRows(SECRET), Planes(SECRET)
    for moment, rows in fleet.registry:
        spool.store_licenses([encode(rows_of.row(row, moment)) for row in rows])
    beacons = sorted(
        ((beacon["sent_at"], address, beacon) for install in fleet.installs for address, beacon in install.beacons),
        key=lambda one: one[0],
    )
    note(f"{len(fleet.installs)} installs, {len(beacons)} beacons")
    for first in range(0, len(beacons), 5000):
        part = beacons[first : first + 5000]
        spool.store(
            [planes.split(beacon, address, fleet.now, keep_date=True).row() for _, address, beacon in part],
            fleet.now.timestamp(),
        )
        loader.step()
    finish(loader)
    spool.close()
    names = {
        planes.pseudonyms(bytes.fromhex(install.id.replace("-", "")), 0)["license"]: install.id
        for install in fleet.installs
    }
    measured = Measured(fleet)
    for install, rule in engine.query(
        "SELECT install, rule FROM license_flags GROUP BY module, install, rule "
        "HAVING argMax(event, revision) NOT IN ('cleared')"
    ):
        measured.rules.setdefault(names[install], set()).add(rule)
    return measured


def finish(loader: Loader) -> None:
    """Run the loader until all is loaded and judged."""
    judging = loader._judging
    assert judging is not None
    pause = threading.Event()
    while loader.step() or judging.waiting or judging.passing:
        pause.wait(0.05)
