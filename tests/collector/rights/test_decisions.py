"""Owner decisions: the newest one applies on every collector, whatever the clocks say."""

import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from collector.rights.decisions import Decision, Decisions
from collector.rights.install_states import NONE, InstallState, InstallStates
from collector.rights.request_store import RequestStore
from collector.spool import Basis, Group, Spool
from tests.collector.rows import rows

HOUR, DAY, WEEK = 3600.0, 86400.0, 7 * 86400.0
NOON = 1_795_348_800.0
STEPS = (HOUR, -HOUR, DAY, -DAY, WEEK, -WEEK)


@pytest.fixture
def other(tmp_path: Path) -> Iterator[Spool]:
    """The spool of a second collector."""
    opened = Spool(tmp_path / "other.sqlite")
    yield opened
    opened.close()


def decide(spool: Spool, who: int, action: str, now: float) -> None:
    with spool.transaction():
        Decisions(spool).decide(who, action, now)


class Shared:
    """Stands in for ClickHouse: the highest revision of each install, and every erasure."""

    def __init__(self) -> None:
        self.held: dict[int, Decision] = {}

    def carry_out(self, spool: Spool, who: int) -> None:
        """Share the decision about an install, as carrying out its request does."""
        known = [self.held[who]] if who in self.held else []
        for ours in Decisions(spool).overrule([who], known):
            assert who not in self.held or ours.revision > self.held[who].revision
            self.held[who] = ours
            Decisions(spool).mark_shared([ours])

    def tell(self, spool: Spool, now: float) -> None:
        Decisions(spool).learn(self.held.values(), now)


@pytest.mark.parametrize("step", STEPS)
def test_a_decision_outlives_a_step_of_the_clock(spool: Spool, tmp_path: Path, step: float) -> None:
    """An objection after a lift applies although the clock stepped back, also after a restart."""
    shared = Shared()
    for action, now in (("object", NOON), ("lift", NOON + 1), ("object", NOON + step + 2)):
        decide(spool, 1, action, now)
        shared.carry_out(spool, 1)
        shared.tell(spool, now + 1)
    reopened = Spool(tmp_path / "spool.sqlite")
    shared.tell(reopened, NOON + step + 10)
    assert Decisions(reopened).state(1).objected
    reopened.close()


@pytest.mark.parametrize("step", STEPS)
def test_a_decision_is_newer_than_that_of_another_collector(spool: Spool, other: Spool, step: float) -> None:
    """A decision replaces an earlier one of another collector, although that collector's clock differs."""
    shared = Shared()
    decide(spool, 1, "object", NOON)
    shared.carry_out(spool, 1)
    decide(other, 1, "restrict", NOON + step)
    decide(other, 1, "lift", NOON + step)
    shared.carry_out(other, 1)
    for each in (spool, other):
        shared.tell(each, NOON)
        assert Decisions(each).state(1) == NONE
    decide(spool, 1, "object", NOON + 1)
    shared.carry_out(spool, 1)
    shared.tell(other, NOON + step)
    assert Decisions(other).state(1).objected


def test_an_erasure_is_undone_by_no_decision_of_another_collector(spool: Spool, other: Spool) -> None:
    """One collector erases, and another that does not know it stores an objection: both apply."""
    shared = Shared()
    decide(spool, 1, "erase", NOON)
    shared.carry_out(spool, 1)
    decide(other, 1, "object", NOON + HOUR)
    shared.carry_out(other, 1)
    for each in (spool, other):
        shared.tell(each, NOON + HOUR)
        assert Decisions(each).state(1) == InstallState(1, NOON, True, False)


def test_what_waits_to_be_carried_out_gives_way_to_no_older_decision(spool: Spool) -> None:
    """A pending decision stays in force, although another collector's clock is ahead."""
    decide(spool, 1, "object", NOON)
    Decisions(spool).learn([Decision(1, NONE, int((NOON + WEEK) * 1e6))], NOON)
    assert Decisions(spool).state(1).objected


def test_an_erasure_does_not_lie_in_the_future(spool: Spool) -> None:
    """After an erasure under a clock that was a week ahead, beacons are stored once the clock is correct."""
    decide(spool, 1, "erase", NOON + WEEK)
    Decisions(spool).correct_erasures(NOON)
    assert Decisions(spool).state(1).erased == NOON
    Decisions(spool).learn([Decision(2, InstallState(1, NOON + WEEK), 5)], NOON)
    assert Decisions(spool).state(2).erased == NOON


def test_a_decision_concerns_the_beacons_of_its_install_alone(spool: Spool) -> None:
    """After a decision only the beacons of its own install must be split again."""
    old = Basis(spool.version(), (1,))
    decide(spool, 2, "object", NOON)
    assert spool.store_groups([Group(rows(1), basis=old)], NOON) == [[True]]
    decide(spool, 1, "object", NOON)
    new = Basis(spool.version(), (3,))
    groups = [Group(rows(2), basis=old), Group(rows(3), basis=new), Group(rows(4))]
    assert spool.store_groups(groups, NOON) == [None, [True], [True]]


def test_a_state_that_is_dropped_makes_old_splits_stale(spool: Spool) -> None:
    """Beacons split under a dropped state are split again. Otherwise they would count as another install."""
    decide(spool, 1, "erase", NOON)
    split = Basis(spool.version(), (1,))
    pseudonyms = {"usage": 77, "license": 78}
    Decisions(spool).drop([(1, spool.version(), pseudonyms, 0)])
    assert Decisions(spool).all() == []
    assert spool.store_groups([Group(rows(1), basis=split)], NOON) == [None]


def test_a_state_stays_that_beacons_came_under(spool: Spool) -> None:
    """The state of an install stays while the install sends beacons or decides again."""
    decide(spool, 1, "erase", NOON)
    version = spool.version()
    (row,) = rows(1)
    spool.store([type(row)(row.seen, b'{"install": 77, "beacon": 1}', row.license)], NOON)
    Decisions(spool).drop([(1, version, {"usage": 77, "license": 78}, 0)])
    assert Decisions(spool).state(1).epoch == 1
    decide(spool, 2, "erase", NOON)
    version = spool.version()
    decide(spool, 2, "object", NOON)
    Decisions(spool).drop([(2, version, {"usage": 79, "license": 80}, 1)])
    assert Decisions(spool).state(2) == InstallState(1, NOON, True, False)


def test_states_are_read_by_key_and_learned_by_what_changed(spool: Spool, tmp_path: Path) -> None:
    """A lookup returns the current state of the requested install and reads no other."""
    decide(spool, 5, "object", NOON)
    states = InstallStates(tmp_path / "spool.sqlite")
    assert states.of([5, 6]) == ({5: InstallState(objected=True)}, Basis(1, (5, 6)))
    decide(spool, 6, "restrict", NOON)
    states.refresh()
    assert states.of([5, 6])[0] == {5: InstallState(objected=True), 6: InstallState(restricted=True)}
    states.close()


def test_a_home_of_before_keeps_its_decisions(tmp_path: Path) -> None:
    """A home with the earlier tables keeps its states, retired pseudonyms and requests."""
    path = tmp_path / "old.sqlite"
    with sqlite3.connect(path) as db:
        db.executescript("""
            CREATE TABLE installs (who INTEGER PRIMARY KEY, epoch INTEGER NOT NULL, erased REAL NOT NULL,
                objected INTEGER NOT NULL, restricted INTEGER NOT NULL, changed REAL NOT NULL, told INTEGER NOT NULL);
            INSERT INTO installs VALUES (1, 0, -9e999, 1, 0, 1795348800.5, 1), (2, 1, 1795348800.0, 0, 1, 5.0, 0);
            CREATE TABLE retired (plane TEXT NOT NULL, install TEXT NOT NULL, PRIMARY KEY (plane, install))
                WITHOUT ROWID;
            INSERT INTO retired VALUES ('usage', '18446744073709551615'), ('license', '7');
            CREATE TABLE decisions (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
            INSERT INTO decisions VALUES (1, 2);
            CREATE TABLE requests (
                id INTEGER PRIMARY KEY AUTOINCREMENT, ticket BLOB UNIQUE NOT NULL, public INTEGER NOT NULL,
                action TEXT NOT NULL, received INTEGER NOT NULL, after INTEGER NOT NULL, work BLOB,
                step TEXT NOT NULL DEFAULT '', state TEXT NOT NULL, done INTEGER, result BLOB,
                told INTEGER NOT NULL DEFAULT 0);
            INSERT INTO requests (ticket, public, action, received, after, state, done)
                VALUES (x'00', 5, 'object', 1, 0, 'done', 2);
        """)
    db.close()
    for _ in range(2):
        spool = Spool(path)
        decisions = Decisions(spool)
        assert decisions.state(1) == InstallState(objected=True)
        assert decisions.state(2) == InstallState(1, NOON, restricted=True)
        assert decisions.unshared() == [2]
        kept = RequestStore(spool).kept()
        assert (kept.usage, kept.license) == ([18446744073709551615], [7])
        assert [(each.action, each.held) for each in RequestStore(spool).all()] == [("object", True)]
        spool.close()
    spool = Spool(path)
    decide(spool, 1, "lift", 5.0)
    assert max(each.revision for each in Decisions(spool).all()) == 1_795_348_800_500_001
    states = InstallStates(path)
    assert 2 in states.of([2])[0]
    states.close()
    spool.close()
