"""How the pages ask the read API."""

from typing import Any, cast

import pytest
from flask import Flask

from core.catalog import Catalog
from core.credentials import Role
from core.home import Home
from core.settings import Settings
from dashboard.data_source import DataSource, api_call, asking_as, counted
from tests.dashboard.conftest import EmptyEngine


@pytest.mark.parametrize(
    ("name", "args", "latest"),
    [
        ("installs", {}, False),
        ("installs", {"module": "a", "from": "2026-11-01"}, False),
        ("installs", {"php_series.lt": "8.0"}, True),
        ("installs", {"os": "debian", "by": "php"}, True),
        ("installs", {"os": "debian", "count": "reported"}, False),
        ("installs", {"os": "debian", "by": "feature"}, False),
        ("installs", {"os": "debian", "feature": "x"}, False),
        ("feature_installs", {"os": "debian"}, False),
        ("lifecycle", {"os": "debian"}, True),
        ("lifecycle", {"module": "a"}, False),
        ("drop", {"os": "debian"}, False),
    ],
)
def test_filters_hold_for_the_latest_report(name: str, args: dict[str, str], latest: bool) -> None:
    """Installs are those whose latest report meets the filters, except for features, where the API cannot say so."""
    assert (counted(name, args).get("count") == "latest") == latest
    assert ("count=latest" in api_call(name, args)) == latest


class Counting(EmptyEngine):
    """Counts the moments: each begins with how fresh the figures are."""

    moments = 0

    def query(self, sql: str, *given: Any, **named: Any) -> list[tuple[Any, ...]]:
        self.moments += "freshness_by_loader" in sql
        return super().query(sql, *given, **named)


def test_an_address_is_answered_of_one_moment(home: Home, monkeypatch: pytest.MonkeyPatch) -> None:
    """All requests for an address have one moment, however long others share it; another address begins its own."""
    monkeypatch.setattr("dashboard.data_source.SHARED_SECONDS", 0)
    engine, unused = Counting(), cast(Any, None)
    data = DataSource(engine, Settings(), home, unused, unused, unused, unused, unused)
    addresses = ("?os=debian", "?os=debian", "?os=ubuntu", "?os=debian", "?os=ubuntu", None)
    for address in addresses:
        with Flask("test").test_request_context(), asking_as(Role.PRODUCT):
            data.received(data.chosen(address))
    assert engine.moments == len(set(addresses))
    with asking_as(Role.PRODUCT):  # no request, as for a report
        data.modules()
    assert engine.moments == len(set(addresses)) + 1


@pytest.mark.parametrize(
    ("settings", "role", "rounding"),
    [
        (Settings(), Role.PRODUCT, 0),
        (Settings(figures="rounded"), Role.PRODUCT, 4),
        (Settings(figures="rounded"), Role.ADMIN, 4),
        (Settings(disclosure="strict"), Role.PRODUCT, 4),
        (Settings(disclosure="strict"), Role.ADMIN, 0),
    ],
)  # fmt: skip
def test_questions_are_rounded_for_whom_mode_strict_limits(
    home: Home, settings: Settings, role: Role, rounding: int
) -> None:
    """Cards of questions must allow for it also where metrics are exact."""
    unused = cast(Any, None)
    data = DataSource(EmptyEngine(), settings, home, unused, Catalog, unused, unused, unused)
    with asking_as(role):
        assert data.question_rounding == rounding
