"""Incidents of the vendor, purely."""

from datetime import UTC, datetime, timedelta

from core.settings import Settings
from warehouse.licensing.facts import Incident
from warehouse.licensing.incidents import Turn, ended, find, turns, within

NOW = datetime(2026, 11, 28, tzinfo=UTC)


def day(ago: int) -> datetime:
    return NOW - timedelta(days=ago)


def turned(number: int, begin: datetime, back_after: timedelta | None) -> list[Turn]:
    """Return installs that turn on two days in a row."""
    days = (begin + timedelta(days=n % 2) for n in range(number))
    return [Turn(at, n, at + back_after if back_after else None) for n, at in enumerate(days)]


def incidents(number: int, installs: int, back_after: timedelta | None = None) -> list[Incident]:
    return find({"invoice_pro": turned(number, day(5), back_after)}, {"invoice_pro": installs}, Settings())


def test_more_than_a_tenth_within_two_days_is_one_incident() -> None:
    """A tenth is none, and a few installs of a small module are none."""
    (incident,) = incidents(11, 100)
    assert (incident.affected, incident.installs, incident.until) == (11, 100, None)
    assert incident.since == day(5)
    assert incidents(10, 100) == []
    assert incidents(9, 10) == []
    spread = [Turn(NOW - timedelta(days=n), n) for n in range(40)]
    assert find({"invoice_pro": spread}, {"invoice_pro": 100}, Settings()) == []


def test_it_is_over_when_half_have_returned() -> None:
    """At the end of that day, or after two weeks."""
    (incident,) = incidents(20, 100, timedelta(days=2))
    assert incident.until == day(1) - timedelta(seconds=1)
    assert within(day(2) + timedelta(hours=23), "invoice_pro", [incident]) == incident
    assert within(day(1), "invoice_pro", [incident]) is None
    (open_one,) = incidents(20, 100)
    assert ended(open_one, NOW, Settings()).until is None
    assert ended(open_one, NOW + timedelta(days=30), Settings()).until == open_one.since + timedelta(days=14)


def test_an_install_turns_on_the_first_day_without_a_license() -> None:
    """And is back on the next licensed one. An install that was never licensed has not turned."""
    assert turns(1, [day(9), day(8)], [day(7), day(6)]) == [Turn(day(7), 1)]
    assert turns(1, [day(9), day(5), day(3)], [day(7), day(6), day(4)]) == [
        Turn(day(7), 1, day(5)),
        Turn(day(4), 1, day(3)),
    ]
    assert turns(1, [day(5)], [day(7), day(6)]) == []
    assert turns(1, [], [day(7)]) == []


def test_a_day_with_both_turns_a_licensed_install_and_returns_another() -> None:
    """Their order within the day is not known."""
    assert turns(1, [day(9), day(8), day(7)], [day(8)]) == [Turn(day(8), 1, day(7))]
    assert turns(1, [day(8), day(7)], [day(9), day(8)]) == []
    assert turns(1, [day(9), day(7)], [day(8), day(7)]) == [Turn(day(8), 1, day(7))]
    assert turns(1, [day(9)], [day(9)]) == [Turn(day(9), 1)]
