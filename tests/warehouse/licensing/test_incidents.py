"""Incidents of the vendor, purely."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta

from core.settings import Settings
from warehouse.licensing.facts import Incident
from warehouse.licensing.incidents import Turn, ended, find, since_incidents, turns, within

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
    """A tenth is none, and neither are a few installs, or one after the other."""
    (incident,) = incidents(11, 100)
    assert (incident.affected, incident.installs, incident.until) == (11, 100, None)
    assert incident.since == day(5)
    assert incidents(10, 100) == []
    assert incidents(9, 18) == []
    spread = [Turn(NOW - timedelta(days=n), n) for n in range(40)]
    assert find({"invoice_pro": spread}, {"invoice_pro": 100}, Settings()) == []


def slowly(number: int, installs: int, days: int, back: datetime | None = None) -> list[Incident]:
    """Return the incidents if so many installs turn, evenly over so many days up to now."""
    turned = [Turn(day(days - 1 - n * days // number), n, back) for n in range(number)]
    return find({"invoice_pro": turned}, {"invoice_pro": installs}, Settings())


def test_most_of_a_small_module_within_weeks_are_one_incident() -> None:
    """All of nine on one day; 45 over 15 days, as their local keys run out. Half of a module and two are none."""
    (incident,) = slowly(9, 9, 1)
    assert (incident.since, incident.until, incident.affected, incident.installs) == (NOW, None, 9, 9)
    (incident,) = slowly(45, 45, 15)
    assert (incident.since, incident.until, incident.affected) == (day(14), None, 45)
    (incident,) = slowly(23, 45, 15)
    assert incident.affected == 23
    assert slowly(22, 44, 15) == []
    assert slowly(2, 2, 1) == []
    assert slowly(3, 3, 1) != []
    assert slowly(45, 45, 90) == []


def test_a_slow_incident_hides_nobody_for_long() -> None:
    """It is over when half have returned, or two weeks after the last one has turned: then all count anew."""
    (incident,) = slowly(45, 45, 15)
    assert ended(incident, NOW + timedelta(days=13), Settings()).until is None
    over = ended(incident, NOW + timedelta(days=14), Settings())
    assert over.until == NOW + timedelta(days=14)
    assert since_incidents(day(9), "invoice_pro", [over]) == over.until
    (back,) = slowly(45, 45, 15, NOW)
    assert back.until == NOW + timedelta(days=1, seconds=-1)


def test_what_began_in_an_incident_counts_from_the_end_of_the_last_one() -> None:
    """One may begin while another is under way."""
    first, second = (Incident("invoice_pro", day(begin), day(end), 20, 40) for begin, end in ((20, 10), (15, 5)))
    assert since_incidents(day(18), "invoice_pro", [second, first]) == day(5)
    assert since_incidents(day(12), "invoice_pro", [first]) == day(10)
    assert since_incidents(day(3), "invoice_pro", [first, second]) == day(3)
    assert since_incidents(day(18), "invoice_pro", [first, replace(second, until=None)]) is None


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
