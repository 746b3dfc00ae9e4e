"""What is disclosed to whom, in values alone."""

from datetime import date, timedelta

import pytest

from core.credentials import Role
from warehouse.queries.disclosure import hides_open_days, last_day, open_from, stepped

TODAY = date(2026, 11, 22)


def test_only_the_admin_is_told_of_today_at_once() -> None:
    """And everybody where k is 1, for there nothing is withheld."""
    assert [open_from(role, 5, TODAY) for role in (Role.PRODUCT, Role.LICENSING, Role.ADMIN)] == [TODAY, TODAY, None]
    assert {open_from(role, 1, TODAY) for role in Role} == {None}


def test_figures_that_hide_open_days_end_with_yesterday() -> None:
    """Others include every day that is asked for."""
    yesterday = TODAY - timedelta(days=1)
    assert last_day(TODAY, TODAY, hidden=True) == yesterday
    assert last_day(TODAY, None, hidden=True) == TODAY
    assert last_day(date(2026, 11, 1), TODAY, hidden=True) == date(2026, 11, 1)
    assert last_day(TODAY, TODAY, hidden=False) == TODAY


def test_only_who_reads_the_rows_of_the_license_plane_sees_no_usage_of_today() -> None:
    """The admin reads both planes by design."""
    assert [role for role in Role if hides_open_days(role)] == [Role.LICENSING]


@pytest.mark.parametrize("earlier", [0, 3, 5, 102])
def test_a_count_moves_only_when_k_more_are_there(earlier: int) -> None:
    """From what was there when the day began on."""
    told = [stepped(earlier, earlier + come, 5) for come in range(11)]
    assert told == [earlier] * 5 + [earlier + 5] * 5 + [earlier + 10]
