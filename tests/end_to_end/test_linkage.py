"""An attacker has the database and the home, but not the root secret, and tries to join the planes."""

import gzip
import multiprocessing
import random
import re
import time
from collections import defaultdict
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from collector import planes
from collector.loader import CLEAR_SECONDS
from core.home import Home
from pharos.synthetic_fleet import Beacon, beacons
from tests.end_to_end.system import ENGINES, System, running
from warehouse.engine import Engine
from warehouse.queries import linkage
from warehouse.queries.linkage import Candidates, Planes, Row

INSTALLS = 5000
DAYS = 3
SINGLES = 40
BATCHES = 20
# Rows in parts that ClickHouse has not merged with older ones yet. How many of the last inserts that is depends on the
# moment, so the bound is all that came one by one; what came in batches before that must be merged.
NEWEST = SINGLES
PAIRS = 300


@dataclass
class Stolen:
    """The attacker's data, and the `truth`, which the attacker lacks: usage pseudonyms with their license pseudonyms.

    `newest` is the part of it that was posted last.
    """

    system: System
    planes: Planes
    attacks: dict[str, Candidates]
    truth: dict[int, int]
    newest: list[tuple[int, int]]
    home: Path
    backup: Path
    logs: list[str]
    told: str

    def exposed(self, attack: str) -> set[int]:
        """Return the installs with fewer than 5 candidates."""
        (found,) = [self.attacks[name] for name in self.attacks if name == attack] or [
            self.attacks[name] for name in self.attacks if attack in name
        ]
        return {install for install, candidates in found.items() if len(candidates) < 5}


@pytest.fixture(scope="module", params=ENGINES)
def stolen(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stolen]:
    """5,000 installs over three days: most imported, some posted in batches, some alone."""
    folder = tmp_path_factory.mktemp("linkage")
    today = datetime.now(UTC).date()
    sent = list(beacons(4, INSTALLS, DAYS, today - timedelta(days=1)))
    # In random order, as far as what is posted goes: its batches hold any kind of beacon, and of two days.
    posted = random.Random(1).sample([beacon for beacon in sent if _recent(beacon)], SINGLES + BATCHES * 50)
    ids = {beacon["beacon_id"] for beacon in posted}
    with running(folder / "home", request.param) as system:
        lines = b"\n".join(msgspec.json.encode(one) for one in sent if one["beacon_id"] not in ids)
        assert b"rejected=0" in system.run("import", "-", stdin=lines).stdout
        system.drain()
        for first in range(SINGLES, len(posted), 50):
            assert system.post(posted[first : first + 50])[1]["accepted"] == 50
            time.sleep(0.2)
        for beacon in posted[:SINGLES]:
            assert system.post(beacon)[1]["accepted"] == 1
            time.sleep(0.6)  # so that each is a batch of its own
        system.drain()
        backup = folder / "backup"
        assert system.run("backup", "--with-secret", str(backup)).returncode == 0
        time.sleep(CLEAR_SECONDS + 6)
        system.stop()
        told = system.run("privacy", "linkage").stdout.decode()
        secret = Home(system.home).root_secret(system.settings)
        keys = planes.Planes(secret)
        truth = {}
        for beacon in [*posted, *sent]:
            names = keys.pseudonyms(bytes.fromhex(beacon["install_id"].replace("-", "")), 0)
            truth[names["usage"]] = names["license"]
        newest = list(truth.items())[:PAIRS]
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(1, mp_context=context) as pool:
            found, logs = pool.submit(_read, system.environ, today, newest).result(300)
        attacks = dict(linkage.attacks(found))
        yield Stolen(system, found, attacks, truth, newest, system.home, backup, logs, told)


def _recent(beacon: Beacon) -> bool:
    return datetime.fromisoformat(beacon["sent_at"]) > datetime.now(UTC) - timedelta(days=6)


def _read(environ: dict[str, str], today: date, pairs: list[tuple[int, int]]) -> tuple[Planes, list[str]]:
    """Read the rows of both planes, and the engine's logs."""
    from core.settings import Settings

    settings = Settings.from_environ(environ)
    engine = Engine(settings, Home(settings.home))
    try:
        found = linkage.read(engine, today - timedelta(days=DAYS + 1))
        tables = engine.query("SELECT name FROM system.tables WHERE database = 'system' AND name LIKE '%\\_log'")
        ids = [str(id) for pair in pairs for id in pair]
        logs = [
            name
            for (name,) in tables
            if engine.query(
                f"SELECT count() FROM system.{name} WHERE arrayExists(id -> position(toString(tuple(*)), id) > 0, "
                f"{ids!r})",
                settings={"log_queries": 0, "log_queries_cut_to_length": 20},
            )[0][0]
        ]
        return found, logs
    finally:
        engine.close()


def test_all_rows_of_both_planes_are_looked_at(stolen: Stolen) -> None:
    """The attacker has every install in both planes, and what neither plane tells is sealed."""
    assert {row["install"] for row in stolen.planes.usage} == set(stolen.truth)
    assert {row["install"] for row in stolen.planes.license} == set(stolen.truth.values())
    assert {column for row in stolen.planes.license for column in row} == {
        "module", "install", "written", "sealed", "size", "day", "_part",
    }  # fmt: skip


@pytest.mark.parametrize("attack", ["equal values", "a constant or a cut"])
def test_no_value_and_no_number_joins_the_planes(stolen: Stolen, attack: str) -> None:
    """No two columns share a value, also after xor, addition, subtraction or truncation of numbers."""
    assert stolen.exposed(attack) == set()


@pytest.mark.parametrize("attack", ["any two columns", "parts"])
def test_what_came_together_exposes_nobody_for_long(stolen: Stolen, attack: str) -> None:
    """Arrival in one batch exposes installs only until ClickHouse merges the newest parts, within seconds."""
    assert len(stolen.exposed(attack) - stolen.exposed("one row")) <= NEWEST


def test_no_column_groups_what_came_together(stolen: Stolen) -> None:
    """Except for parts, no column groups rows by batch."""
    usage, license = ([row | {"_part": ""} for row in rows] for rows in (stolen.planes.usage, stolen.planes.license))
    bare = Planes(usage, license)
    for found in linkage.grouped(bare):
        assert {install for install, each in found.items() if len(each) < 5} <= stolen.exposed("one row")


def test_the_order_of_rows_is_no_better_than_chance(stolen: Stolen) -> None:
    """The order of rows in the two planes matches no more often than by chance."""
    usage, license = _by_module(stolen.planes.usage), _by_module(stolen.planes.license)
    right = sum(
        stolen.truth[one] == other
        for module in usage
        for one, other in zip(usage[module], license[module], strict=True)
    )
    assert usage.keys() == license.keys()
    # By chance one install of each module is in its place.
    assert abs(right - len(usage)) < 5 * len(usage) ** 0.5


def _by_module(rows: list[Row]) -> dict[str, list[int]]:
    found: dict[str, dict[int, None]] = defaultdict(dict)
    for row in rows:
        found[row["module"]][row["install"]] = None
    return {module: list(installs) for module, installs in found.items()}


def test_no_log_of_the_engine_names_an_install(stolen: Stolen) -> None:
    """ClickHouse's logs of statements, parts and messages contain no pseudonym."""
    assert stolen.logs == []


@pytest.mark.parametrize("of", ["home", "backup"])
def test_no_file_holds_both_names_of_an_install(stolen: Stolen, of: str) -> None:
    """After loading, no file of spool, tables, logs or backup contains both pseudonyms of an install."""
    folder = stolen.home if of == "home" else stolen.backup
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert len(files) > 3
    for path in files:
        content = path.read_bytes()
        content = gzip.decompress(content) if content.startswith(b"\x1f\x8b") else content
        for pair in stolen.newest:
            assert not all(_holds(content, id) for id in pair), path


def _holds(content: bytes, id: int) -> bool:
    return any(form in content for form in (str(id).encode(), id.to_bytes(8, "little"), id.to_bytes(8)))


def test_what_remains_is_which_modules_an_install_has(stolen: Stolen) -> None:
    """A rare set of modules exposes an install, and its reports since the daily pass some more: few in all."""
    (candidates,) = [found for name, found in stolen.attacks.items() if "latest reports" in name]
    alone = {install: min(found) for install, found in candidates.items() if len(found) == 1}
    assert sum(stolen.truth[install] == other for install, other in alone.items()) >= 0.98 * len(alone)
    assert stolen.exposed("one row") <= stolen.exposed("modules of an install,")
    assert 0 < len(stolen.exposed("modules of an install,")) < 0.05 * INSTALLS


def test_the_command_tells_the_same_figures(stolen: Stolen) -> None:
    """`pharos privacy linkage` reports the same figures as the attacks."""
    assert stolen.told.startswith(f"installs={len(stolen.truth)} days=7 k=5\n")
    told = dict(re.findall(r"^(.+?) +exposed=(\d+) ", stolen.told, re.MULTILINE))
    for name in stolen.attacks:
        if name != "parts not merged yet" and "any two" not in name:
            assert int(told[name]) == len(stolen.exposed(name))
