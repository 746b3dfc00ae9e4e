"""Incidents of the vendor, purely."""

from datetime import UTC, datetime, timedelta

from core.settings import Settings
from warehouse.licensing.facts import Incident
from warehouse.licensing.incidents import Turn, ended, find

NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def turns(number: int, begin: datetime, back_after: timedelta | None) -> list[Turn]:
    """Return installs that turn minutes after each other."""
    return [Turn(at := begin + timedelta(minutes=n), n, at + back_after if back_after else None) for n in range(number)]


def incidents(number: int, installs: int, back_after: timedelta | None = None) -> list[Incident]:
    begin = NOW - timedelta(days=5)
    return find({"invoice_pro": turns(number, begin, back_after)}, {"invoice_pro": installs}, Settings())


def test_more_than_a_tenth_within_a_day_is_one_incident() -> None:
    """A tenth is none, and a few installs of a small module are none."""
    (incident,) = incidents(11, 100)
    assert (incident.affected, incident.installs, incident.until) == (11, 100, None)
    assert incident.since == NOW - timedelta(days=5)
    assert incidents(10, 100) == []
    assert incidents(9, 10) == []
    spread = [Turn(NOW - timedelta(days=n), n) for n in range(40)]
    assert find({"invoice_pro": spread}, {"invoice_pro": 100}, Settings()) == []


def test_it_is_over_when_half_have_returned() -> None:
    """Or after two weeks."""
    (incident,) = incidents(20, 100, timedelta(days=2))
    assert incident.until is not None
    assert timedelta(days=2) <= incident.until - incident.since < timedelta(days=2, hours=1)
    (open_one,) = incidents(20, 100)
    assert ended(open_one, NOW, Settings()).until is None
    assert ended(open_one, NOW + timedelta(days=30), Settings()).until == open_one.since + timedelta(days=14)
