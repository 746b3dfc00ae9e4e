"""How the pages ask the read API."""

import pytest

from dashboard.data_source import api_call, counted


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
        ("drop", {"os": "debian"}, False),
    ],
)
def test_filters_hold_for_the_latest_report(name: str, args: dict[str, str], latest: bool) -> None:
    """Installs are those whose latest report meets the filters, except for features, where the API cannot say so."""
    assert (counted(name, args).get("count") == "latest") == latest
    assert ("count=latest" in api_call(name, args)) == latest
