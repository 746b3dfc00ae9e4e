"""When installs are judged: at once, and those of an import when it is loaded."""

from collections.abc import Collection, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from collector.batch_insert import insert_batch
from collector.judging import HOLD_SECONDS, QUIET_SECONDS, Judging
from collector.loader import Loader
from collector.planes import Planes, encode
from collector.spool import Spool
from core.catalog import Catalog
from core.home import Home
from core.settings import Settings
from tests.collector.test_loader import FakeEngine
from tests.end_to_end.beacons import beacon
from warehouse.engine import Engine
from warehouse.licensing.judge import Judge
from warehouse.licensing.state_rows import Pair
from warehouse.migrate import migrate

NOW = datetime.now(UTC)
PLANES = Planes(b"root secret of the tests")
POSTED, IMPORTED, PIRATE = (f"{number:08x}-0000-4000-8000-000000000000" for number in range(3))


def row(install: str, address: str = "", status: str = "licensed", ago: float = 0) -> bytes:
    """Return a license row: of a posted report from an address, or of an imported one."""
    sent = (NOW - timedelta(days=ago)).isoformat()
    license = {"status": status, "source": "whmcs"}
    one = beacon(install_id=install, sent_at=sent, license=license)
    return encode(PLANES.split(one, address, NOW, keep_date=not address).license)


def pair(install: str) -> Pair:
    return "invoice_pro", PLANES.pseudonyms(bytes.fromhex(install.replace("-", "")), 0)["license"]


class FakeJudge:
    """Remembers whom it was asked to judge."""

    def __init__(self) -> None:
        self.judged: list[Pair] = []
        self.unreadable: set[Pair] = set()

    def take_changed(self) -> set[str]:
        return set()

    def judge(self, pairs: Collection[Pair], *more: Any, held: Collection[Pair] = (), write: bool = False) -> int:
        self.judged += [one for one in pairs if one not in held]
        return 0

    def taken(self) -> list[Pair]:
        """Return whom it judged since it was last asked."""
        judged, self.judged = self.judged, []
        return judged


class Held:
    """What waits to be judged, with a clock of the test's own."""

    def __init__(self, spool: Spool) -> None:
        self.now = 1000.0
        self.judge = FakeJudge()
        self.judging = Judging(
            spool, cast(Engine, FakeEngine()), cast(Judge, self.judge), lambda: self.now, lambda: self.now
        )

    def after(self, seconds: float, *rows: bytes) -> list[Pair]:
        """Return who is judged when rows are loaded so many seconds later."""
        self.now += seconds
        self.judging.note(rows)
        self.judging.step(())
        return self.judge.taken()


@pytest.fixture
def held(spool: Spool, monkeypatch: pytest.MonkeyPatch) -> Held:
    monkeypatch.setattr(Judging, "_pass", lambda self, leave: False)
    return Held(spool)


def test_an_import_is_judged_when_it_is_loaded(held: Held, spool: Spool) -> None:
    """Not in its middle. What is posted meanwhile is judged at once, and holding off is no failure."""
    assert held.after(0, row(IMPORTED)) == []
    for _ in range(20):
        assert held.after(QUIET_SECONDS - 1, row(IMPORTED)) == []
    assert held.judging.waiting == 1
    assert held.after(2, row(POSTED, "203.0.113.9")) == [pair(POSTED)]
    assert held.after(2, row(IMPORTED, "203.0.113.9")) == [], "also of an install that is imported and reports"
    assert held.after(QUIET_SECONDS) == [pair(IMPORTED)]
    assert held.judging.waiting == 0
    assert spool.judging_since() is None


def test_an_import_without_end_is_judged_every_hour(held: Held) -> None:
    """A steady stream of imports does not put judging off for ever."""
    judged = sum(bool(held.after(5, row(IMPORTED))) for _ in range(int(3.5 * HOLD_SECONDS / 5)))
    assert judged == 3


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    home = Home(tmp_path)
    engine = Engine(Settings(home=tmp_path), home)
    migrate(engine)
    yield engine
    engine.close()


def test_an_import_in_order_of_time_raises_no_flag_of_its_middle(engine: Engine, tmp_path: Path) -> None:
    """Customers whose license had expired for weeks and who are licensed since. Who still has none is flagged."""
    spool = Spool(tmp_path / "spool")
    loader = Loader(spool, engine, judge=Judge(engine, Settings(), Catalog))
    judging = loader._judging
    assert judging is not None
    waited = 0.0
    judging._steady = lambda: waited
    for ago in range(70, -1, -1):
        status = "expired" if ago >= 50 else "licensed"
        rows = [row(IMPORTED, "", status, ago), row(PIRATE, "", "unlicensed", ago)]
        insert_batch(engine, "license", f"day {ago}", rows)
        judging.note(rows)
        waited += 2.0
        judging.step(())
    assert engine.query("SELECT count() FROM license_flags") == [(0,)]
    waited += QUIET_SECONDS
    while judging.waiting or judging.passing:
        judging.step(())
        waited += 2.0
    assert engine.query("SELECT rule, event, install FROM license_flags") == [("unlicensed", "raised", pair(PIRATE)[1])]
    spool.close()
