"""What is disclosed to whom, in values alone."""

from datetime import date, timedelta

import pytest

from core.credentials import Role
from warehouse.queries.disclosure import days_that_count, open_from, stepped

TODAY = date(2026, 11, 22)


def test_only_the_admin_is_told_of_today_at_once() -> None:
    """And everybody where k is 1, for there nothing is withheld."""
    assert [open_from(role, 5, TODAY) for role in (Role.PRODUCT, Role.LICENSING, Role.ADMIN)] == [TODAY, TODAY, None]
    assert {open_from(role, 1, TODAY) for role in Role} == {None}


def test_uses_are_told_up_to_yesterday() -> None:
    """Counts of installs are told of every day, in steps."""
    yesterday = TODAY - timedelta(days=1)
    assert days_that_count("feature_uses", TODAY, TODAY) == yesterday
    assert days_that_count("feature_uses", TODAY, None) == TODAY
    assert days_that_count("feature_uses", date(2026, 11, 1), TODAY) == date(2026, 11, 1)
    assert days_that_count("installs", TODAY, TODAY) == TODAY


@pytest.mark.parametrize("earlier", [0, 3, 5, 102])
def test_a_count_moves_only_when_k_more_are_there(earlier: int) -> None:
    """From what was there when the day began on."""
    told = [stepped(earlier, earlier + come, 5) for come in range(11)]
    assert told == [earlier] * 5 + [earlier + 5] * 5 + [earlier + 10]
