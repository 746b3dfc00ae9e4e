"""Two collectors' spools and loaders over one engine, against a model, through faults and crashes in any order."""

import json
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from collector.batch_insert import TABLES, token
from collector.compaction import Compactor
from collector.loader import Loader
from collector.server import MEMORY
from collector.spool import HORIZON_DAYS, Spool
from tests.collector.remembered import HandClock, small
from tests.collector.rows import row, rows
from tests.collector.test_loader import NOON, FakeEngine, Killed, loader
from warehouse.engine import EngineError
from warehouse.install_data import TABLES as PLANES
from warehouse.plane_tables import Plane

DAY = 86400
BEACONS = 20
SPOOL_STEPS = ("seal", "loaded", "delete", "split", "quarantine")
MOMENTS = (None, *SPOOL_STEPS, *(f"{when} {table}" for when in ("before", "after") for table in TABLES.values()))


def _told(step: str) -> Any:
    def method(spool: Any, *arguments: Any) -> Any:
        result = getattr(Spool, step)(spool, *arguments)
        spool.after(step)
        return result

    return method


class ToldSpool(Spool):
    """A spool that tells `after` of each step of its loader, once that is on disk."""

    after: Callable[[str], None] = staticmethod(lambda step: None)
    seal, loaded, delete, split, quarantine = map(_told, SPOOL_STEPS)


class Collector:
    """One collector's spool and loader, and what it must know of the beacons that it was sent."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._dead: list[Spool] = []
        self.clock = HandClock()
        self.seen: dict[int, int] = {}  # beacon: day of its receipt
        self.start()

    def start(self) -> None:
        """Begin with what is on disk."""
        self.spool = ToldSpool(self._path, self.clock)
        self.loader: Loader | None = None

    def crash(self) -> None:
        """End without a word: nothing is closed, and nothing in memory goes on."""
        self._dead.append(self.spool)
        self.start()

    def close(self) -> None:
        for spool in (*self._dead, self.spool):
            spool.close()

    def pending(self, engine: FakeEngine, plane: Plane) -> Iterator[int]:
        """The beacons of which a row waits for this plane: not in a batch that the plane has."""
        batches = self.spool.db.execute(f"SELECT first, last, {plane} FROM batches").fetchall()
        has = [(first, last) for first, last, id in batches if id is None or token(id) in engine.tables[TABLES[plane]]]
        for seq, line in self.spool.db.execute(f"SELECT seq, {plane} FROM beacons"):
            if line and not any(first <= seq <= last for first, last in has):
                yield json.loads(line)["beacon"]

    def set_aside(self, plane: Plane) -> list[tuple[int, int]]:
        """Id and beacon of each row of this plane that is in quarantine."""
        found = self.spool.db.execute("SELECT id, row FROM quarantine WHERE plane = ?", (plane,))
        return [(id, json.loads(line)["beacon"]) for id, line in found]


which = st.integers(0, 1)
poisons = st.sets(st.integers(0, BEACONS), min_size=1, max_size=4)


class SpoolsAndLoaders(RuleBasedStateMachine):
    """Rules are what may happen, invariants what must hold between any two of them."""

    def __init__(self) -> None:
        super().__init__()
        self._small = small(recent=3, portion=6, slice=2)
        self._small.__enter__()
        self._folder = tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None)
        self.collectors = [Collector(Path(self._folder.name) / f"spool{n}.sqlite") for n in range(2)]
        self.engine = FakeEngine()
        self.now = NOON
        self.accepted: Counter[int] = Counter()  # how often each was new to a collector
        self.dropped: dict[Plane, Counter[int]] = {plane: Counter() for plane in PLANES}
        self.bad: dict[str, set[int]] = {}

    @initialize(usage=poisons, license=poisons)
    def poison(self, usage: set[int], license: set[int]) -> None:
        """Some rows cannot be read, until that is mended."""
        self.bad = {TABLES["usage"]: usage, TABLES["license"]: license}
        self.engine.poison = lambda table, each: each["beacon"] in self.bad[table]

    @rule(at=which, numbers=st.lists(st.integers(0, BEACONS), min_size=1, max_size=8))
    def post(self, at: int, numbers: list[int]) -> None:
        """Beacons come, new ones and such that came before, also through the other collector."""
        collector = self.collectors[at]
        fresh = collector.spool.store(rows(*numbers), self.now)
        for number, new in zip(numbers, fresh, strict=True):
            assert new is (number not in collector.seen)
            if new:
                collector.seen[number] = collector.spool.days.today()
                self.accepted[number] += 1

    @rule(at=which, most=st.integers(1, 12), moment=st.sampled_from(MOMENTS), dies=st.booleans())
    def load(self, at: int, most: int, moment: str | None, dies: bool) -> None:
        """The loader takes a batch; at `moment` it dies, or the engine fails and nobody knows what it did."""
        collector = self.collectors[at]
        error = Killed if dies or moment in SPOOL_STEPS else EngineError

        def fail(reached: str) -> None:
            if reached == moment:
                raise error

        self.engine.before = lambda table: fail(f"before {table}")
        self.engine.after = lambda table: fail(f"after {table}")
        collector.spool.after = fail
        try:
            collector.loader = collector.loader or loader(collector.spool, self.engine)
            if batch := collector.spool.seal(most):
                collector.loader.load(batch)
        except EngineError:
            pass
        except Killed:
            collector.crash()
        finally:
            self.engine.before = self.engine.after = collector.spool.after = lambda _: None

    @rule(at=which)
    def crash(self, at: int) -> None:
        """A collector ends and begins again."""
        self.collectors[at].crash()

    @rule(at=which, plane=st.sampled_from(list(PLANES)), what=st.sampled_from(["retry", "mend and retry", "drop"]))
    def settle(self, at: int, plane: Plane, what: str) -> None:
        """Somebody puts the oldest row in quarantine back, mended or not, or drops it for good."""
        collector = self.collectors[at]
        for id, number in collector.set_aside(plane)[:1]:
            if what == "drop":
                assert collector.spool.drop_quarantined(id)
                self.dropped[plane][number] += 1
                continue
            if what == "mend and retry":
                self.bad[TABLES[plane]].discard(number)
            assert collector.spool.retry_quarantined(id)

    @rule(days=st.integers(-40, 40))
    def set_the_clock(self, days: int) -> None:
        """Somebody sets the clock on the wall; no id is forgotten for that, and none is kept."""
        self.now = max(self.now + days * DAY, 0.0)

    @rule(at=which, what=st.sampled_from(["file", "clear", "fold"]))
    def compact(self, at: int, what: str) -> None:
        """Ids go from the table into files, or from files into others."""
        getattr(Compactor(self.collectors[at].spool), what)()

    @rule(at=which, days=st.integers(0, HORIZON_DAYS + 2))
    def forget(self, at: int, days: int) -> None:
        """Time goes by, and a collector forgets what it saw before the horizon."""
        self.now += days * DAY
        for each in self.collectors:
            each.clock.days(days)
        collector = self.collectors[at]
        Compactor(collector.spool).forget()
        oldest = collector.spool.days.today() - HORIZON_DAYS
        collector.seen = {number: day for number, day in collector.seen.items() if day >= oldest}

    @invariant()
    def each_spool_knows_what_it_saw(self) -> None:
        """And nothing else, wherever its ids are."""
        for collector in self.collectors:
            known = {row(number).seen for number in collector.seen}
            assert collector.spool.known([row(number).seen for number in range(BEACONS + 1)]) == known

    def held(self, plane: Plane) -> tuple[Counter[int], Counter[int]]:
        """How often each beacon is in a plane of the engine, and how often it waits or lies aside for it."""
        waiting = Counter(n for collector in self.collectors for n in collector.pending(self.engine, plane))
        waiting.update(n for collector in self.collectors for _, n in collector.set_aside(plane))
        return self.engine.held(plane), waiting

    @invariant()
    def each_row_of_the_license_plane_is_somewhere_once(self) -> None:
        """In the engine, in a spool on its way there, in quarantine, or dropped.

        As often as it was accepted, but that a state says once what came twice in a batch.
        """
        held, waiting = self.held("license")
        somewhere = held + waiting + self.dropped["license"]
        assert set(somewhere) == set(self.accepted)
        assert somewhere <= self.accepted

    @invariant()
    def the_usage_plane_has_each_beacon_once_at_most(self) -> None:
        """Uses are summed: what came by another way, or after the horizon, is left out; and nothing is lost."""
        held, waiting = self.held("usage")
        assert all(times == 1 for times in held.values())
        assert set(held + waiting + self.dropped["usage"]) == set(self.accepted)

    @invariant()
    def the_spool_knows_how_much_it_holds(self) -> None:
        """Its figures are those of a count."""
        for collector in self.collectors:
            counted = collector.spool.db.execute("SELECT count(*) FROM beacons").fetchone()[0]
            assert collector.spool.stats().beacons == counted

    def teardown(self) -> None:
        """When all is well again everything gets through: each answered beacon is in each plane, once."""
        self.bad = {table: set() for table in TABLES.values()}
        for at, collector in enumerate(self.collectors):
            for each in collector.spool.quarantined():
                collector.spool.retry_quarantined(each.id)
            while collector.spool.stats().beacons:
                self.load(at, most=7, moment=None, dies=False)
            assert collector.spool.stats().sealed == collector.spool.stats().quarantined == 0
            collector.close()
        self._folder.cleanup()
        self._small.__exit__(None, None, None)
        loaded = self.accepted - self.dropped["license"]
        assert set(self.engine.held("license")) == set(loaded)
        counted = sum(each["beacons"] for hours in self.engine.hours.values() for each in hours)
        assert counted == loaded.total()  # by hour each counts as often as it came
        held = self.engine.held("usage")
        assert all(times == 1 for times in held.values())
        assert set(self.accepted) - set(self.dropped["usage"]) <= set(held) <= set(self.accepted)


TestSpoolsAndLoaders = SpoolsAndLoaders.TestCase
TestSpoolsAndLoaders.settings = settings(max_examples=80, stateful_step_count=50)
