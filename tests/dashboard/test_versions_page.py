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
