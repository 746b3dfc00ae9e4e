"""The days of each module on the page Data: today only where it is asked for, and told as such."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

from dashboard import filters
from dashboard.data_source import DataSource
from dashboard.filters import read
from dashboard.pages.data import by_day

TODAY = filters.today()


class Asked:
    """Answers with an install of a module on the last day of the question."""

    k = 1

    def ask(self, metric: str, args: Mapping[str, str]) -> dict[str, Any]:
        return {"rows": [{"bucket": args["to"], "key": "tax_helper", "value": 7}]}


def shown(search: str) -> str:
    """Return the card's content as text."""
    chosen = read(search, TODAY, TODAY - timedelta(days=30))
    return str(by_day._read(cast("DataSource", Asked()), chosen, search))


def test_today_is_shown_where_it_is_asked_for() -> None:
    """With *Include today* the last column is today, which is not over. Without it the last is yesterday."""
    with_today, without = shown("?range=7d&today=yes"), shown("?range=7d")
    assert "Today is not over." in with_today
    assert "tax_helper" in with_today
    assert "today" not in without.lower()
    yesterday = TODAY - timedelta(days=1)
    assert "The 14 days up to the end of the range, whatever its length." in without
    for text in (with_today, without):
        assert f"{yesterday.day} {yesterday:%b}" in text
