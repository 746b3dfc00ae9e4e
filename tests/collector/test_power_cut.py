"""What was answered outlives a power cut: every prefix of the writes of a home's life leaves a home that goes on."""

import random
import shutil
import sqlite3
import sys
import tempfile
from collections.abc import Iterable, Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from collector.server import MEMORY
from collector.spool import Spool
from core.credentials import Credentials
from core.home import Home
from core.settings import Settings
from tests.collector import life_of_a_spool
from tests.collector.life_of_a_spool import contents
from tests.collector.power_cut import Call, Disk, marks, record
from tests.collector.rows import rows

SEEDS = 8
NEW = rows(1_000_000)


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> list[Call]:
    """The recorded life of a home; checked to be all that there was."""
    folder, told = tmp_path_factory.mktemp("life") / "disk", tmp_path_factory.mktemp("told") / "marks"
    folder.mkdir()
    life = [sys.executable, "-m", life_of_a_spool.__name__, str(folder / "home"), str(told)]
    recorded = record(life, folder, told)
    disk = Disk()
    for call in recorded:
        disk.do(call)
    found = {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    assert {path: held for path, held in disk.after_a_cut(True) if held is not None} == found
    return recorded


@pytest.fixture(scope="module")
def held() -> set[bytes]:
    """Digests of the states of the disk that were held to what was promised, each with the place of its promise."""
    return set()


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder in memory, where a sync costs nothing."""
    with tempfile.TemporaryDirectory(dir=MEMORY if MEMORY.is_dir() else None) as made:
        yield Path(made)


def put(folder: Path, state: Iterable[tuple[str, bytes | None]]) -> None:
    """Make the folder what the disk holds."""
    shutil.rmtree(folder)
    folder.mkdir()
    for path, held in state:
        if held is None:
            (folder / path).mkdir()
        else:
            (folder / path).write_bytes(held)


def goes_on(folder: Path, promised: dict[str, Any], coming: dict[str, Any]) -> None:
    """Hold a home to what was promised; what was under way is either done or not begun."""
    home = Home(folder / "home")
    secret = home.root_secret(Settings()).decode()
    assert len(secret) == 64
    assert secret == promised.get("secret", secret)
    if "key" in promised:
        assert Credentials(home.credentials).key(promised["key"]) is not None
    spool = Spool(home.spool)
    nothing: list[Any] = [[], [], [], []]
    with sqlite3.connect(home.spool) as db:
        assert db.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    db.close()
    assert contents(spool) in (promised.get("spool", nothing), coming.get("spool", nothing))
    assert spool.store(NEW, life_of_a_spool.NOON) == [True]
    spool.close()


@pytest.mark.parametrize("rest", ["nothing", "all", *range(SEEDS)])
def test_a_power_cut_at_any_moment(calls: list[Call], held: set[bytes], folder: Path, rest: Any) -> None:
    """After each single call, with what was not synced gone, there, or there in part: all that was told is there.

    The secret, the key, each beacon once, each batch with its ids, and of what was under way all or nothing. Where
    nothing waits to be synced, all that may be there is the same: each state is tried once.
    """
    told = [{}, *marks(calls), {}]
    told[-1] = told[-2]
    disk, at = Disk(), 0
    for number, call in enumerate(calls):
        if call.name == "mark":
            at += 1
            continue
        disk.do(call)
        unsynced = {"nothing": False, "all": True}.get(rest, random.Random(f"{rest} {number}"))
        state = tuple(disk.after_a_cut(unsynced))
        known = sha256(repr((at, state)).encode()).digest()
        if known in held:
            continue
        held.add(known)
        put(folder, state)
        try:
            goes_on(folder, told[at], told[at + 1])
        except Exception as error:
            raise AssertionError(
                f"cut after call {number}, {call.name} {call.path}; done: {told[at].get('done')}"
            ) from error
