"""What the pages show of a state: the latest report, and the reports in order."""

from datetime import UTC, datetime, timedelta

from warehouse.licensing.state_reports import Latest, latest, reports
from warehouse.licensing.states import NOWHERE, Place, Report, State, merged, of_report, trimmed

DAY = 86_400
MONDAY = int(datetime(2026, 11, 23, tzinfo=UTC).timestamp())
LICENSED = Report("licensed", 7, "whmcs", "3.2.1", True, "DE")
UNLICENSED = Report("unlicensed", 0, "whmcs", "3.2.1", True, "DE")
HERE, IMPORTED = Place("203.0.113.9", "198.51.100.1"), Place("", "198.51.100.2")


NOW = datetime(2026, 11, 28, 12, tzinfo=UTC)


def at(seconds: int) -> datetime:
    return datetime.fromtimestamp(MONDAY + seconds, UTC)


def state(*said: tuple[int, Report, Place]) -> State:
    """The state after reports, each some seconds after Monday began."""
    return merged(of_report(MONDAY + seconds, report, place) for seconds, report, place in said)


def told(*said: tuple[int, Report, Place], now: datetime = NOW) -> Latest:
    """The latest report after these. It is that of the trimmed state too."""
    found = latest(state(*said), now)
    assert found is not None
    assert latest(trimmed(state(*said), now), now) == found
    return found


def test_the_latest_report_counts_with_the_time_of_the_first() -> None:
    """Of a day with several reports the last one counts, whichever came first."""
    found = told((3 * DAY + 60, UNLICENSED, HERE), (3 * DAY, LICENSED, HERE), (5, LICENSED, HERE))
    assert found == (UNLICENSED, at(5), at(3 * DAY + 60), "203.0.113.9")
    again = told((60, UNLICENSED, HERE), (0, LICENSED, HERE), (90, LICENSED, HERE))
    assert again == (LICENSED, at(0), at(90), "203.0.113.9")


def test_two_reports_of_one_second_count_as_the_rules_have_it() -> None:
    """The greater one is the latest, so that a page and a rule mean the same report."""
    assert told((9, UNLICENSED, HERE), (9, LICENSED, HERE)).report == UNLICENSED
    newer = LICENSED._replace(version="3.3.0")
    assert told((9, newer, HERE), (9, LICENSED, HERE)).report == newer


def test_the_address_is_the_latest_that_is_known() -> None:
    """Of a connection before what the module claims. A report without an address hides no earlier one."""
    assert told((0, LICENSED, HERE)).ip == "203.0.113.9"
    assert told((0, LICENSED, HERE), (9, LICENSED, IMPORTED)).ip == "198.51.100.2"
    assert told((0, LICENSED, HERE), (9, LICENSED, NOWHERE)).ip == "203.0.113.9"
    assert told((0, LICENSED, NOWHERE)).ip == ""


def test_what_is_too_old_does_not_count() -> None:
    """An address of 30 days, a report of 13 months, and with it the time since when its status is known."""
    later = NOW + timedelta(days=30)
    assert told((0, LICENSED, HERE), now=later).ip == ""
    assert told((0, LICENSED, HERE), (6 * DAY, LICENSED, HERE), now=later).ip == "203.0.113.9"
    old = -400 * DAY, UNLICENSED, HERE
    assert told(old, (0, LICENSED, HERE)).first_seen == at(0)
    assert told(old, (0, UNLICENSED, HERE)).first_seen == at(-400 * DAY)
    assert latest(state(old), NOW) is None


def test_the_reports_come_in_order() -> None:
    """Of each day the first and the last of each kind. A claimed address is none of a connection."""
    found = reports(state((10, LICENSED, HERE), (20, UNLICENSED, IMPORTED), (25, LICENSED, HERE), (30, LICENSED, HERE)))
    assert [(each.time - MONDAY, each.report.status, each.ip) for each in found] == [
        (10, "licensed", "203.0.113.9"),
        (20, "unlicensed", ""),
        (30, "licensed", "203.0.113.9"),
    ]
