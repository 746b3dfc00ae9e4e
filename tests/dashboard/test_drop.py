"""The page that says whom it would hurt to drop support."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from typing import Any, cast

import pytest

from dashboard import filters
from dashboard.data_source import DataSource
from dashboard.filters import read
from dashboard.pages.drop import modules
from dashboard.pages.drop.trend import drawn
from dashboard.regions import Instead

TODAY = filters.today()


class Hurt:
    """Answers that two modules are installed, and that 7 of 9 installs of each would be hurt."""

    k = 5

    def ask(self, metric: str, args: Mapping[str, str]) -> dict[str, Any]:
        return {"rows": [{"key": name, "value": 9} for name in ("invoice_pro", "ticket_ai")]}

    def drop_of_each_module(self, args: Mapping[str, str], names: Sequence[str]) -> dict[str, Any]:
        part = {"installs": 7, "of": 9, "share": 7 / 9}
        return {name: {**part, "still_upgrading": part} for name in names}


def by_module(search: str) -> Instead | tuple[Any, ...]:
    chosen = read(search, TODAY, TODAY - timedelta(days=90))
    return modules._read(cast("DataSource", Hurt()), chosen, search)


@pytest.mark.parametrize("condition", ["version.le=3.2.0", "version_series=3.2", "version=3.2.0&php_series.lt=8.0"])
def test_a_version_is_that_of_one_module(condition: str) -> None:
    """Under a filter by version only the chosen module is listed. Without one the card asks for a module."""
    _, note, shown = cast("tuple[Any, ...]", by_module(f"?module=invoice_pro&{condition}"))
    assert [row[0] for row in shown["rows"]] == ["invoice_pro"]
    assert len(shown["calls"]) == 1
    assert "Versions are those of one module: other modules are not listed." in note
    asked = by_module(f"?{condition}")
    assert isinstance(asked, Instead)
    assert "Choose a module" in str(asked.message)


def test_a_platform_is_that_of_every_module() -> None:
    """Other filters are applied to each module."""
    _, note, shown = cast("tuple[Any, ...]", by_module("?module=invoice_pro&php_series.lt=8.0"))
    assert [row[0] for row in shown["rows"]] == ["invoice_pro", "ticket_ai"]
    assert "one module" not in note


def trend(*shares: float | None) -> tuple[str, int]:
    """What the card says of shares by week, and how many lines its chart has."""
    monday = date(2026, 3, 2)
    chart = drawn([(monday + timedelta(weeks=number), share) for number, share in enumerate(shares)], [])
    return chart.note, len(chart.figure["data"])


def test_weeks_before_a_later_version_are_no_part_of_the_trend() -> None:
    """All installs are hurt until something later is out. The trend is that of the weeks since then."""
    slower = [0.8**number for number in range(1, 7)]
    slow = [0.9 * 0.95**number for number in range(14)]
    less = "each week's share is 20% smaller than the one before"
    for before in ([], [None], [1.0] * 10, [None, 1.0, 1.0, None]):
        assert f"as in the last 6 weeks ({less}), the share is" in trend(*before, *slower)[0]
    assert "as in the last 13 weeks (each week's share is 5.0% smaller" in trend(1.0, *slow)[0]


@pytest.mark.parametrize("later", [0, 1, 5])
def test_few_weeks_since_then_have_no_forecast(later: int) -> None:
    """Fewer than six weeks below 100% say nothing, however many there are of 100%."""
    assert trend(*[1.0] * 12, *[0.9] * later) == ("There are too few whole weeks to say how it goes on.", 1)
