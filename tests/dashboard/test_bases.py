"""What the numbers of a page are of: the installs that meet the filters, the days of which there are data."""

from collections.abc import Callable
from datetime import timedelta

import pytest
from flask.testing import FlaskClient

from dashboard.formatting import day
from dashboard.pages.overview import lifecycle
from tests.dashboard.conftest import fill
from tests.dashboard.counted import YESTERDAY, beacons, count_from
from warehouse.queries import metrics

Visit = Callable[[str | None], FlaskClient]
USED = ["invoice.pdf_export"]
FILTERED = "module=invoice_pro&version=3.3.0"
PHP = "platforms-php_series"


@pytest.mark.parametrize(("first", "complete"), [(55, True), (40, False)])
def test_a_change_is_from_a_period_with_data_in_all_of_it(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, first: int, complete: bool
) -> None:
    """Half a period has fewer users of a feature than a whole one: that is no change. Cards say what it is from."""
    before = [beacon for back in (first, 35) for beacon in beacons(range(40), back, "3.3.0", USED)]
    count_from([*before, *beacons(range(60), 5, "3.3.0", USED)], monkeypatch)
    client, search = visit("product"), "?module=invoice_pro"
    row = fill(client, "features-rows", search)["features-grid"]["getRowsResponse"]["rowData"][0]
    assert row["change"] == (0 if complete else "too few")
    version = fill(client, "versions-in-use", search)
    assert version["versions-in-use-shown"]["data"]["rows"][0][3] == (0 if complete else None)
    facts = str(fill(client, "feature", f"{search}&name={USED[0]}")["feature-figures"])
    assert ("'no change'" in facts) == complete
    for said in (str(fill(client, "features", search)), str(version), facts):
        assert ("from the 28 days before, both of complete days" in said) == complete
        assert ("nothing complete to compare with" in said) != complete
    off = f"{search}&compare=off"
    assert "compare with" not in str([fill(client, "features", off), fill(client, "versions-in-use", off)])
    assert "no comparison" in str(fill(client, "feature", f"{off}&name={USED[0]}"))


def test_numbers_under_a_filter_name_it(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """In sentences, in shares of platforms and versions that moved, and in how many report a value."""
    monkeypatch.setattr(lifecycle, "last_weeks", lambda *_: [])
    sent = [one for back in (50, 30) for one in beacons(range(40), back, "3.3.0", platform={"php": "8.1.2"})]
    count_from([*sent, *beacons(range(50), 5, "3.3.0", platform={"php": "8.2.12"})], monkeypatch)
    client = visit("product")
    said = str(fill(client, "changed", overview_told=FILTERED))
    assert "50 installs with Module version 3.3.0 were active, 25.0% more" in said
    rows = fill(client, "movers", overview_told=FILTERED)["movers-shown"]["data"]["rows"]
    assert ["PHP 8.2", "the installs with Module version 3.3.0", 0, 1, 1] in rows
    note = "50 of 50 active installs with Module version 3.3.0 report it."
    assert fill(client, "installs_by_php_series", f"?{FILTERED}")["installs_by_php_series-note"]["children"] == note
    assert fill(client, PHP, f"?{FILTERED}")[f"{PHP}-note"]["children"] == note


def test_under_a_filter_by_feature_shares_are_of_the_installs_that_used_it(
    visit: Visit, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An install counts under each value that it reported: shares of their sum would be too small."""
    monkeypatch.setattr("dashboard.pages.overview.lifecycle.last_weeks", lambda *_: pytest.fail("takes no feature"))
    sent = [one for back in (9, 5) for one in beacons(range(20), back, "3.3.0", USED, platform={"php": f"8.{back}.1"})]
    count_from([*sent, *beacons(range(40), 40, "3.3.0", USED), *beacons(range(60), 60, "3.3.0")], monkeypatch)
    client, search = visit("product"), f"?module=invoice_pro&feature={USED[0]}"
    said = f"Shares are of all 20 active installs with Feature {USED[0]}. An install counts under each value"
    for card in (PHP, "installs_by_php_series"):
        filled = fill(client, card, search)
        assert filled[f"{card}-shown"]["data"]["rows"] == [["8.5", 20, 1], ["8.9", 20, 1]]
        assert "grain=period" in filled[f"{card}-shown"]["data"]["calls"][1]
        assert "by=" not in filled[f"{card}-shown"]["data"]["calls"][1]
        assert said in filled[f"{card}-note"]["children"]
    assert "20 installs with Feature" in str(fill(client, "changed", overview_told=search))
    for card in ("share_by_version", "versions-in-use"):
        assert f"Not filtered by Feature {USED[0]}." in fill(client, card, search)[f"{card}-note"]["children"]
    assert "cannot be filtered by feature" in str(fill(client, "versions-upgrades", search))


def test_a_card_on_which_all_is_folded_says_why(visit: Visit, monkeypatch: pytest.MonkeyPatch) -> None:
    """`(other)` with 100% is not a value."""
    few = beacons(range(3), 5, "3.3.0", platform={"php": "7.4.1"})
    count_from([*few, *beacons(range(10, 60), 5, "3.3.0", platform={"php": "8.2.12"})], monkeypatch)
    client = visit("product")
    for card in (PHP, "installs_by_php_series"):
        filled = fill(client, card, "?module=invoice_pro")
        assert [row[0] for row in filled[f"{card}-shown"]["data"]["rows"]] == ["(other)"]
        assert "All are in (other): what a small group reports must not be told" in filled[f"{card}-note"]["children"]


@pytest.mark.parametrize(("days", "rare"), [(27, False), (28, True)])
def test_rarely_used_is_said_of_a_month_and_not_of_a_day(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, days: int, rare: bool
) -> None:
    """On a single day few use what many need once a month."""
    count_from([*beacons(range(6), 0, "3.3.0", USED), *beacons(range(6, 200), 0, "3.3.0", ["admin"])], monkeypatch)
    client, search = visit("product"), f"?from={YESTERDAY - timedelta(days=days - 1)}&to={YESTERDAY}"
    rows = fill(client, "features-rows", search)["features-grid"]["getRowsResponse"]["rowData"]
    assert [row["hint"] for row in rows] == ["", "Rarely used" if rare else ""]
    assert ("Rarely used: by under 5%" in fill(client, "features", search)["features-note"]["children"]) == rare


@pytest.mark.parametrize(("first", "said"), [(20, True), (300, False)])
def test_a_page_says_when_the_data_begin_within_its_range(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, first: int, said: bool
) -> None:
    """Of twelve months with three weeks of data, a reader must not take the figures for those of twelve months."""
    count_from([*beacons(range(9), first, "3.3.0"), *beacons(range(9), 0, "3.3.0")], monkeypatch)
    monkeypatch.setattr(metrics, "fresh_to", lambda _engine: f"{YESTERDAY}T14:02:00Z")
    begin = f"from {day(YESTERDAY - timedelta(days=first))} " if said else ""
    for page in ("versions", "features", "trends"):
        fresh = fill(visit("admin"), f"{page}-freshness", "?range=90d" if said else "?range=28d")
        assert fresh[f"{page}-fresh"]["children"].startswith(f"Data {begin}up to {day(YESTERDAY)}, 14:02 UTC")
