"""The page of a module's versions: its cards about releases say that they apply no filter but the module."""

from collections.abc import Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from dashboard.data_source import DataSource
from tests.dashboard.conftest import fill
from tests.dashboard.counted import YESTERDAY, beacons, count_from

Visit = Callable[[str | None], FlaskClient]
RELEASED = YESTERDAY - timedelta(days=9)
NOTED = {
    "watch": "watch-said",
    "release_watch": "release_watch-note",
    "adoption_since_release": "adoption_since_release-note",
}
SAID = "The filters are not applied here: "


@pytest.fixture(autouse=True)
def _fleet(monkeypatch: pytest.MonkeyPatch) -> None:
    def adoption(_data: Any, args: Mapping[str, str], versions: Sequence[str]) -> dict[str, Any]:
        rows = [{"share": 0.5, "installs": 20, "of": 40}] * 9
        return {name: {"released": str(RELEASED), "released_by": "catalog", "rows": rows} for name in versions}

    count_from([*beacons(range(40), 20, "3.3.0"), *beacons(range(20), 5, "4.0.0")], monkeypatch)
    monkeypatch.setattr(DataSource, "adoption_of_each_version", adoption)
    monkeypatch.setattr(DataSource, "question", lambda *_: {"rows": []})


@pytest.mark.parametrize("region", NOTED)
@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ("", ""),
        ("&version=3.3.0", f"{SAID}Module version 3.3.0."),
        ("&version=3.3.0&php_series.lt=8.0", f"{SAID}PHP below 8.0 and Module version 3.3.0."),
    ],
)
def test_filters_that_are_not_applied_are_named(visit: Visit, region: str, filters: str, said: str) -> None:
    """The newest release is that of the module, whatever the filters, and the card says so where there are any."""
    filled = fill(visit("product"), region, f"?module=invoice_pro{filters}")
    told = str(filled[NOTED[region]])
    assert (SAID in told) == bool(said)
    assert said in told
    assert "4.0.0" in str(filled)


def test_a_release_that_was_replaced_ends_with_its_successor(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its line ends, the note says so, and beyond that age nothing is compared with it."""
    older = RELEASED - timedelta(days=4)

    def adoption(_data: Any, _args: Mapping[str, str], versions: Sequence[str]) -> dict[str, Any]:
        rows = [{"share": 0.5, "installs": 20, "of": 40}] * 9
        days = {"4.0.0": RELEASED, "3.3.0": older}
        return {name: {"released": str(days[name]), "released_by": "catalog", "rows": rows} for name in versions}

    monkeypatch.setattr(DataSource, "adoption_of_each_version", adoption)
    client, search = visit("product"), "?module=invoice_pro"
    filled = fill(client, "adoption_since_release", search)
    assert filled["adoption_since_release-shown"]["data"]["rows"][3:5] == [[3, 0.5, 0.5], [4, 0.5, None]]
    assert "3.3.0 (released" in str(filled)
    assert "50% after 3 days" in str(filled)
    assert "A line ends on the day before a higher version came out" in str(filled)
    assert "Of the 1 release before, 0 reached that age before a higher version came out" in str(
        fill(client, "watch", search)
    )
