"""The synthetic stream: what it says of its own lines is true."""

import json
import random
from collections import Counter
from datetime import date

import pytest

from tests.fleet.stream import BROKEN, Stream, complete, encoded, stream
from tests.fleet.wire import is_beacon

END = date(2026, 11, 22)


@pytest.fixture(scope="module")
def sent() -> Stream:
    return stream(7, count=5_000, installs=300, end=END)


def test_a_stream_has_the_lines_it_says(sent: Stream) -> None:
    """Accepted, duplicates and invalid lines add up, and counting the lines finds the same."""
    valid = Counter(line for line in sent.lines if is_beacon(line))
    assert len(sent.lines) == 5_000
    assert (sent.invalid, sent.duplicates, len(sent.accepted)) == (250, 431, 4_319)
    assert len(sent.lines) - valid.total() == sent.invalid
    assert set(valid) == {encoded(beacon) for beacon in sent.accepted}
    assert Counter(valid.values()) == {1: 4_319 - 431, 2: 431}
    assert all(line and b"\n" not in line for line in sent.lines)


def test_a_stream_is_in_no_order(sent: Stream) -> None:
    """Lines come shuffled: neither by time, nor the invalid ones together, nor a retry behind its first."""
    times = [json.loads(line)["sent_at"] for line in sent.lines if is_beacon(line)]
    assert times != sorted(times)
    spoiled = [index for index, line in enumerate(sent.lines) if not is_beacon(line)]
    assert spoiled[-1] - spoiled[0] > 4_000


@pytest.mark.parametrize("seed", [1, 2])
@pytest.mark.parametrize("count", [1, 20, 399])
def test_a_stream_of_any_length_is_exactly_that_long(seed: int, count: int) -> None:
    """Exactly `count` lines come, also where a twentieth of them is no whole number, or none."""
    short = stream(seed, count, installs=3, days=2, end=END)
    assert len(short.lines) == count == len(short.accepted) + short.duplicates + short.invalid


def test_a_stream_holds_every_kind_of_invalid_line(sent: Stream) -> None:
    """There are more invalid lines than kinds, and the kinds take turns."""
    assert sent.invalid > len(BROKEN)


@pytest.mark.parametrize("kind", BROKEN)
def test_an_invalid_line_is_invalid_for_what_its_name_says(kind: str) -> None:
    """Without the damage the line is a beacon, with it it is none."""
    rng = random.Random(1)
    assert is_beacon(encoded(complete(rng, END)))
    assert not is_beacon(BROKEN[kind](complete(rng, END)))
