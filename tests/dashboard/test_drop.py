"""The page that says whom it would hurt to drop support."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, cast

import pytest

from dashboard import filters
from dashboard.data_source import DataSource
from dashboard.filters import read
from dashboard.pages.drop import modules
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
