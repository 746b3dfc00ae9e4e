"""The judgment on samples detects growth, and ignores caches that fill at the start and short-lived processes."""

import os

import pytest

from tests.faults.flat import Course, Sample, courses, sample, table

HOUR = 3600


def run(*, rss: int = 100_000, leak: float = 0.0, fds: int = 20, at_start: int = 0, life: int = HOUR) -> list[Sample]:
    """Return an hour of samples of one kind, every ten seconds. `leak` is in KiB per second."""
    return [
        Sample(at, "worker", at // life, int(rss - at_start * (at < 600) + leak * (at % life)), fds, 9)
        for at in range(0, HOUR, 10)
    ]


def of(samples: list[Sample], measure: str = "rss") -> Course:
    (found,) = (one for one in courses(samples, HOUR) if one.measure == measure)
    return found


def test_a_steady_process_is_flat() -> None:
    """Constant memory for an hour is flat."""
    assert of(run()) == Course("worker", "rss", 1, (100_000.0,) * 4, (100_000.0,) * 4, 0.0)
    assert all(one.flat for one in courses(run(), HOUR))


def test_a_leak_is_seen() -> None:
    """A leak of 40 KiB per second is 140 MiB per hour."""
    leaking = of(run(leak=40))
    assert not leaking.flat
    assert leaking.per_hour == pytest.approx(40 * HOUR, rel=0.01)
    assert "GROWS" in table([leaking])


def test_lost_descriptors_are_seen() -> None:
    """Growing descriptors are detected although memory is flat."""
    samples = [Sample(s.at, s.kind, s.pid, s.rss, 20 + int(s.at // 60), s.threads) for s in run()]
    assert of(samples).flat
    assert not of(samples, "fds").flat


def test_what_fills_at_the_start_is_no_leak() -> None:
    """Caches that are full after ten minutes are no leak."""
    assert of(run(at_start=80_000)).flat


def test_young_processes_are_many() -> None:
    """A kind that is killed every two minutes is judged by all its processes."""
    course = of(run(life=120, leak=40))
    assert (course.processes, course.flat) == (30, True)


def test_an_old_process_that_leaks_is_seen_among_young_ones() -> None:
    """One old leaking process is detected among many short-lived ones, whose median would hide it."""
    old = [Sample(one.at, one.kind, 999, one.rss, one.fds, one.threads) for one in run(leak=40)]
    course = of([*run(life=120), *run(life=120), *old])
    assert course.quarters == (100_000.0,) * 4
    assert not course.flat


def test_a_kind_that_vanished_is_not_flat() -> None:
    """A kind that is missing in the last quarter is not flat."""
    gone = of([one for one in run() if one.at < 2000])
    assert not gone.flat
    assert "NOT SEEN" in table([gone])


def test_a_process_is_read_from_proc() -> None:
    """A sample of this process has memory, descriptors and threads. A missing process has no sample."""
    me = sample(1.0, "test", os.getpid())
    assert me is not None
    assert me.rss > 1000
    assert me.fds >= 3
    assert me.threads >= 1
    assert sample(1.0, "test", 2**22 + 1) is None
