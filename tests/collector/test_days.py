"""The day counter of the duplicate memory: setting the clock neither shortens nor stops it."""

from pathlib import Path

import pytest

from collector.spool import Spool
from collector.spool.days import boot_clock
from tests.collector.remembered import DAY, HandClock, at_dawn
from tests.collector.rows import rows

NOON = 1_795_348_800.0
WEEK = 7 * DAY


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


def opened(tmp_path: Path, clock: HandClock) -> Spool:
    path = tmp_path / "spool.sqlite"
    return Spool(path, clock) if path.exists() else at_dawn(path, clock)


def days_of(spool: Spool) -> list[int]:
    return [day for (day,) in spool.db.execute("SELECT day FROM seen ORDER BY id")]


def test_a_day_is_24_hours_in_which_the_machine_is_on(tmp_path: Path, clock: HandClock) -> None:
    """The day number rises by one for each 24 hours of uptime, however often it is read."""
    spool = opened(tmp_path, clock)
    first = spool.days.today()
    for days, expected in ((1.0, 1), (0.25, 1), (3.0, 4), (0.75, 5), (40.0, 45)):
        clock.days(days)
        assert spool.days.today() == first + expected
        assert opened(tmp_path, clock).days.today() == first + expected


@pytest.mark.parametrize("wrong", [-WEEK, WEEK, -NOON, 10 * NOON])
def test_the_clock_on_the_wall_changes_nothing(tmp_path: Path, clock: HandClock, wrong: float) -> None:
    """A beacon received under a wrong wall clock gets the same day as the beacons around it."""
    spool = opened(tmp_path, clock)
    spool.store(rows(1), NOON)
    spool.store(rows(2), NOON + wrong)
    spool.store(rows(3), NOON)
    assert len(set(days_of(spool))) == 1


def test_a_beacon_gets_the_day_of_its_commit(tmp_path: Path, clock: HandClock) -> None:
    """A beacon gets the current day, whichever process stores it."""
    ours, theirs = opened(tmp_path, clock), opened(tmp_path, clock)
    ours.store(rows(1), NOON)
    theirs.store(rows(2), NOON)
    clock.days(1)
    theirs.store(rows(3), NOON)
    ours.store(rows(4), NOON)
    clock.days(20)
    ours.store(rows(5), NOON)
    first = days_of(ours)[0]
    assert days_of(ours) == [first, first, first + 1, first + 1, first + 21]


def test_processes_that_note_at_once_count_the_time_once(tmp_path: Path, clock: HandClock) -> None:
    """Several processes that record the same hour count it once."""
    spools = [opened(tmp_path, clock) for _ in range(5)]
    first = spools[0].days.today()
    for _ in range(48):
        clock.days(1 / 24)
        for spool in spools:
            spool.days.advance()
    assert {spool.days.today() for spool in spools} == {first + 2}


def test_the_time_that_the_machine_is_off_is_not_counted(tmp_path: Path, clock: HandClock) -> None:
    """Downtime is not counted. Ids stay longer then, and none is forgotten early."""
    spool = opened(tmp_path, clock)
    first = spool.days.today()
    clock.days(2.5)
    assert spool.days.today() == first + 2
    clock.reboot()
    again = opened(tmp_path, clock)
    assert again.days.today() == first + 2
    clock.days(1)
    assert again.days.today() == first + 3


def test_a_machine_that_is_rebooted_each_hour_gets_through_its_days(tmp_path: Path, clock: HandClock) -> None:
    """The counter is recorded every ten minutes, so that days pass in spite of frequent reboots."""
    spool = opened(tmp_path, clock)
    first = spool.days.today()
    for _ in range(30):
        spool = opened(tmp_path, clock)
        for _ in range(10):
            spool.days.advance()
            clock.days(0.1 / 24)
        clock.reboot()
    assert spool.days.today() >= first + 1


def test_the_clock_of_the_machine_goes_on() -> None:
    """Within one boot the boot id is constant and the seconds increase."""
    boot, seconds = boot_clock()
    assert boot_clock()[0] == boot != ""
    assert boot_clock()[1] >= seconds > 0
