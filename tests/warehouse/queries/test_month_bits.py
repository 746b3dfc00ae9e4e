"""The SQL of the days of a month, beside the same in Python."""

import random
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest

from core.home import Home
from tests.end_to_end.system import ENGINES
from tests.warehouse.test_engine import done_in
from warehouse.engine import Engine
from warehouse.queries import month_bits

ORIGIN = date(2026, 7, 6)  # a Monday
MONTHS = [date(2026, number, 1) for number in (6, 7, 8, 11)]


def words() -> list[tuple[date, int]]:
    """Months, each with the bits of some of its days: none, one, all, and random ones."""
    source = random.Random(5)
    found = []
    for month in MONTHS:
        length = ((month + timedelta(days=31)).replace(day=1) - month).days
        some = [
            0,
            (1 << length) - 1,
            *(1 << day for day in range(length)),
            *(source.getrandbits(length) for _ in range(50)),
        ]
        found += [(month, each) for each in some]
    return found


def counted(engine: Engine, _home: Home) -> dict[str, Any]:
    engine.create_database()
    rows = ", ".join(f"('{month}'::Date, {days}::UInt32)" for month, days in words())
    given = f"(SELECT one.1 AS month, one.2 AS days FROM (SELECT arrayJoin([{rows}]) AS one))"
    weeks = month_bits.buckets("week", ORIGIN, "days")
    by_day, paired = month_bits.counted_by_day("found"), month_bits.paired("days")
    return {
        "weeks": engine.query(f"SELECT month, days, {weeks} FROM {given}"),
        "by day": engine.query(
            f"SELECT month, {by_day} FROM (SELECT month, {paired} AS found FROM {given}) GROUP BY month"
        ),
    }


@pytest.mark.parametrize("kind", ENGINES)
def test_weeks_and_counts_of_days(kind: str, tmp_path: Path) -> None:
    """A week has a bit if it has one of the days. Each day has the number of rows with its bit."""
    found = done_in(kind, tmp_path, counted)
    assert len(found["weeks"]) == len(words())
    for month, days, weeks in found["weeks"]:
        each = [month + timedelta(days=day) for day in range(31) if days >> day & 1]
        assert weeks == sum({1 << (day - ORIGIN).days // 7 for day in each if day >= ORIGIN}), (month, days)
    assert {month for month, _ in found["by day"]} == set(MONTHS)
    for month, counts in found["by day"]:
        assert list(counts) == [sum(days >> day & 1 for one, days in words() if one == month) for day in range(32)]
