"""The judgment on samples: what grows is seen, what only fills at the start or dies young is not blamed."""

import os

import pytest

from tests.faults.flat import Course, Sample, courses, sample, table

HOUR = 3600


def run(*, rss: int = 100_000, leak: float = 0.0, fds: int = 20, at_start: int = 0, life: int = HOUR) -> list[Sample]:
    """An hour of one kind, a sample every ten seconds; `leak` in KiB a second of a process's life."""
    return [
        Sample(at, "worker", at // life, int(rss - at_start * (at < 600) + leak * (at % life)), fds, 9)
        for at in range(0, HOUR, 10)
    ]


def of(samples: list[Sample], measure: str = "rss") -> Course:
    (found,) = (one for one in courses(samples, HOUR) if one.measure == measure)
    return found


def test_a_steady_process_is_flat() -> None:
    """The same memory for an hour: no growth, one process."""
    assert of(run()) == Course("worker", "rss", 1, (100_000.0,) * 4, (100_000.0,) * 4, 0.0)
    assert all(one.flat for one in courses(run(), HOUR))


def test_a_leak_is_seen() -> None:
    """40 KiB a second are 140 MiB an hour."""
    leaking = of(run(leak=40))
    assert not leaking.flat
    assert leaking.per_hour == pytest.approx(40 * HOUR, rel=0.01)
    assert "GROWS" in table([leaking])


def test_lost_descriptors_are_seen() -> None:
    """Descriptors that only get more are told, though memory is flat."""
    samples = [Sample(s.at, s.kind, s.pid, s.rss, 20 + int(s.at // 60), s.threads) for s in run()]
    assert of(samples).flat
    assert not of(samples, "fds").flat


def test_what_fills_at_the_start_is_no_leak() -> None:
    """Caches that are full after ten minutes are not held against a process."""
    assert of(run(at_start=80_000)).flat


def test_young_processes_are_many() -> None:
    """A kind that is killed every two minutes is judged by all its processes."""
    course = of(run(life=120, leak=40))
    assert (course.processes, course.flat) == (30, True)


def test_an_old_process_that_leaks_is_seen_among_young_ones() -> None:
    """Its kind is killed every two minutes, but for one that grows: the kind's median would hide it."""
    old = [Sample(one.at, one.kind, 999, one.rss, one.fds, one.threads) for one in run(leak=40)]
    course = of([*run(life=120), *run(life=120), *old])
    assert course.quarters == (100_000.0,) * 4
    assert not course.flat


def test_a_kind_that_vanished_is_not_flat() -> None:
    """Nothing is said of a kind that was not seen in the last quarter."""
    gone = of([one for one in run() if one.at < 2000])
    assert not gone.flat
    assert "NOT SEEN" in table([gone])


def test_a_process_is_read_from_proc() -> None:
    """This process has memory, descriptors and a thread; one that is gone has nothing."""
    me = sample(1.0, "test", os.getpid())
    assert me is not None
    assert me.rss > 1000
    assert me.fds >= 3
    assert me.threads >= 1
    assert sample(1.0, "test", 2**22 + 1) is None
