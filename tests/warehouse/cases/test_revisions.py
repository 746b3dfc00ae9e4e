"""The state of cases: two people at once, what the loser learns, and what is forgotten."""

import os
import threading
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.home import Home
from core.settings import Settings
from tests.end_to_end.system import clickhouse_url
from tests.warehouse.test_engine import done_in
from warehouse import install_data, retention
from warehouse.cases.revisions import Change, Conflict, Evidence, history, latest, write
from warehouse.cases.subjects import Subject, subject_of
from warehouse.engine import Engine, EngineError
from warehouse.migrate import migrate

RACES = 200
NOW = datetime(2026, 11, 2, 9, 30, tzinfo=UTC)
SUBJECT = Subject("invoice_pro", 7, 0)


def test_a_case_has_a_name() -> None:
    """A subject is spelled as one word, and nothing else is read as one."""
    for subject in (SUBJECT, Subject("m", 0, (1 << 64) - 1)):
        assert subject_of(str(subject)) == subject
    for text in ("", "m.install.0000000000000000", "m.other.0000000000000001", "M.install.0000000000000001", "m.key.1"):
        assert subject_of(text) is None


def race(engines: list[Engine]) -> dict[str, Any]:
    """Let two people decide about the same revision, many times."""
    told: Counter[str] = Counter()
    named: set[str] = set()
    barrier = threading.Barrier(2)

    def decide(engine: Engine, who: str, subject: Subject) -> None:
        change = Change(subject, 0, who, "dismissed" if who == "ada" else "contacted", note=f"by {who}")
        barrier.wait()
        try:
            assert write(engine, change, NOW).who == who
            told["won"] += 1
        except Conflict as lost:
            told["lost"] += 1
            named.add("other" if lost.theirs.who != who and lost.theirs.note == f"by {lost.theirs.who}" else "own")

    for number in range(1, RACES + 1):
        subject = Subject("invoice_pro", number, 0)
        threads = [
            threading.Thread(target=decide, args=(engine, who, subject))
            for engine, who in zip(engines, ("ada", "bob"), strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    stored = engines[0].query("SELECT count(), uniqExact(install), max(revision) FROM license_cases")
    return {"told": dict(told), "named": named, "stored": stored}


EXPECTED = {
    "told": {"won": RACES, "lost": RACES},
    "named": {"other"},
    "stored": [(RACES, RACES, 1)],
}


def on_one_engine(engine: Engine, home: Home) -> dict[str, Any]:
    migrate(engine)
    return race([engine, engine])


def test_of_two_people_one_wins_on_the_embedded_engine(tmp_path: Path) -> None:
    """In each of 200 races one revision is stored, and the loser gets the winner's."""
    assert done_in("embedded", tmp_path, on_one_engine) == EXPECTED


@pytest.mark.server
def test_of_two_people_one_wins_on_a_server(tmp_path: Path) -> None:
    """The same with two processes' engines on one server, or on two replicas of a cluster."""
    urls = os.environ.get("CLICKHOUSE_URLS", "").split(",")
    first = clickhouse_url("server")
    cluster = os.environ.get("CLICKHOUSE_CLUSTER", "")
    second = urls[1] + "/" + first.rpartition("/")[2] if cluster else first
    engines = [
        Engine(Settings(home=tmp_path, clickhouse_url=url, clickhouse_cluster=cluster), Home(tmp_path / name))
        for name, url in (("a", first), ("b", second))
    ]
    migrate(engines[0])
    try:
        assert race(engines) == EXPECTED
    finally:
        for engine in engines:
            engine.close()


def life(engine: Engine, home: Home) -> dict[str, Any]:
    """A case from its first revision to its end."""
    migrate(engine)
    told: dict[str, Any] = {}
    evidence = Evidence(("unlicensed",), 1, "recorded")
    key = Subject("invoice_pro", 0, 99)
    first = write(engine, Change(SUBJECT, 0, "ada", "watching", "ada", "first", evidence=evidence), NOW)
    second = write(engine, Change(SUBJECT, 1, "token 1a2b", "resolved"), NOW + timedelta(hours=1))
    write(engine, Change(key, 0, "bob", "open"), NOW)
    told["kept"] = history(engine, SUBJECT) == [first, second]
    told["latest"] = {str(subject): found.state for subject, found in latest(engine, [SUBJECT, key]).items()}
    try:
        write(engine, Change(SUBJECT, 1, "bob", "open"), NOW)
    except Conflict as conflict:
        told["late"] = conflict.theirs == second
    # What was last decided about 13 months ago goes, closed or not.
    old = datetime.now(UTC) - timedelta(days=500)
    for number, state in ((1001, "dismissed"), (1002, "contacted"), (1003, "dismissed"), (1004, "open")):
        write(engine, Change(Subject("m", number, 0), 0, "ada", state, note="gone"), old)
    for number in (1003, 1004):
        write(engine, Change(Subject("m", number, 0), 1, "ada", "watching"), datetime.now(UTC) - timedelta(days=380))
    retention.apply(engine)
    while install_data.deleting(engine):
        pass
    told["forgotten"] = [bool(history(engine, Subject("m", number, 0))) for number in range(1001, 1005)]
    # A case of the same install begins anew, although the token of its first revision is still known.
    again = write(engine, Change(Subject("m", 1001, 0), 0, "bob", "open"), NOW)
    told["again"] = history(engine, again.subject) == [again]
    try:
        write(engine, Change(Subject("m", 1001, 0), 0, "ada", "dismissed"), NOW)
    except Conflict as conflict:
        told["again late"] = conflict.theirs == again
    install_data.erase(engine, {"license": {7}})
    told["erased"] = history(engine, SUBJECT)
    told["others"] = len(history(engine, key))
    try:
        write(engine, Change(SUBJECT, 2, "ada", "open"), NOW)
    except EngineError as error:
        told["nothing to change"] = str(error)
    return told


def test_the_life_of_a_case(tmp_path: Path) -> None:
    """A late writer is told of the newest revision. Cases are forgotten 13 months after the last decision, whatever
    their state, and erased with the install."""
    assert done_in("embedded", tmp_path, life) == {
        "kept": True,
        "latest": {str(SUBJECT): "resolved", "invoice_pro.key.0000000000000063": "open"},
        "late": True,
        "forgotten": [False, False, True, True],
        "again": True,
        "again late": True,
        "erased": [],
        "others": 1,
        "nothing to change": "the case was forgotten",
    }
