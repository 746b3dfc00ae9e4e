"""The sentences about gaps in the data."""

from datetime import UTC, date, datetime

import pytest

from dashboard.gaps import Received, in_days, in_hours, silent_days, silent_hours

TODAY = date(2026, 11, 23)


def november(*numbers: int) -> list[date]:
    return [date(2026, 11, number) for number in numbers]


def hours(*numbers: int) -> list[datetime]:
    """Return hours of the 23rd. 24 and more are on the next day."""
    return [datetime(2026, 11, 23 + number // 24, number % 24, tzinfo=UTC) for number in numbers]


def test_silent_days_are_over_and_after_the_first_beacon() -> None:
    """A silent day is over and after the first beacon, whatever the range."""
    received = Received(date(2026, 11, 18), november(18, 21))
    assert silent_days(received, date(2026, 1, 1), date(2026, 12, 31), TODAY) == november(19, 20, 22)
    assert silent_days(received, date(2026, 11, 20), date(2026, 11, 21), TODAY) == november(20)
    assert silent_days(received, date(2026, 1, 1), date(2026, 1, 31), TODAY) == []
    assert silent_days(received, TODAY, TODAY, TODAY) == []
    assert silent_days(Received(None, []), date(2026, 11, 1), TODAY, TODAY) == []


def test_silent_hours_are_over_and_after_the_first_beacon() -> None:
    """A silent hour is over and after the first beacon."""
    first = datetime(2026, 11, 23, 2, 30, tzinfo=UTC)
    assert silent_hours(first, hours(2, 5), hours(*range(8))) == hours(3, 4, 6)
    assert silent_hours(None, [], hours(*range(8))) == []


@pytest.mark.parametrize(
    ("silent", "said"),
    [
        ([], ""),
        ([4], "No beacons of any module on 4 Nov 2026: a gap in the data, not a drop."),
        ([3, 4], "No beacons of any module on 3 – 4 Nov 2026: a gap in the data, not a drop."),
        ([3, 4, 8], "No beacons of any module on 3 – 4 Nov 2026 and on 8 Nov 2026: gaps in the data."),
        (
            [1, 3, 4, 8],
            "No beacons of any module on 1 Nov 2026, on 3 – 4 Nov 2026 and on 8 Nov 2026: gaps in the data.",
        ),
        (
            [1, 3, 5, 7, 8],
            "No beacons of any module on 5 days, most recently on 7 – 8 Nov 2026: gaps in the data, not drops.",
        ),
    ],
)
def test_days_are_named_while_they_are_few(silent: list[int], said: str) -> None:
    """Few silent days are listed. Of many, the sentence has the number and the last one."""
    assert in_days(november(*silent)) == said


@pytest.mark.parametrize(
    ("silent", "span"),
    [
        ([2, 3, 4], "from 02:00 to 05:00 UTC on 23 Nov 2026"),
        ([22, 23], "from 22:00 to 00:00 UTC on 23 Nov 2026"),
        ([22, 23, 24, 25], "from 23 Nov 2026, 22:00 UTC to 24 Nov 2026, 02:00 UTC"),
    ],
)
def test_hours_are_named_to_their_end(silent: list[int], span: str) -> None:
    """The hour from four to five ends at five."""
    assert in_hours(hours(*silent)) == f"No beacons of any module {span}: a gap in the data, not a drop."
