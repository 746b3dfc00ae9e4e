"""Installs by week: a week without figures is in the table, and the card says why it is empty."""

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from flask.testing import FlaskClient

from dashboard.formatting import day
from tests.dashboard.conftest import fill
from tests.dashboard.counted import YESTERDAY, beacons, count_from

Visit = Callable[[str | None], FlaskClient]
LICENSED: dict[str, Any] = {"license": {"status": "licensed"}}
FRIDAY = (YESTERDAY + timedelta(days=1)).weekday() + 2  # days from yesterday back to the last whole week's
MONDAY = YESTERDAY - timedelta(days=FRIDAY + 4)
CHARTS = {
    "share_by_version": ("product", 1.0),
    "counts_by_week_of_status": ("licensing", 9),
}


@pytest.mark.parametrize("chart", CHARTS)
@pytest.mark.parametrize(
    ("sent", "empty", "said"),
    [
        ({14: 3}, [1], f"No installs, or fewer than 5, in the week of {day(MONDAY - timedelta(days=14))}."),
        ({14: 3, 7: 3}, [1, 2], f"in 2 weeks, most recently in the week of {day(MONDAY - timedelta(days=7))}."),
        ({0: 3}, [3], f"No installs, or fewer than 5, in the week of {day(MONDAY)}."),
        ({}, [], ""),
    ],
    ids=["one", "two", "the last", "none"],
)
def test_a_week_of_too_few_installs_is_said(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, chart: str, sent: dict[int, int], empty: list[int], said: str
) -> None:
    """Its row has no figures, and no zero. The last whole week is told by its own figures, not by those of another."""
    weeks = {back: sent.get(back, 9) for back in (21, 14, 7, 0)}
    count_from(
        [
            *(
                each
                for back, most in weeks.items()
                for each in beacons(range(most), FRIDAY + back, "4.0.0", **LICENSED)
            ),
            # Another module reports on every day.
            *(
                each
                for back in range(60)
                for each in beacons(range(9), back, "1.0", module={"name": "x", "version": "1"})
            ),
        ],
        monkeypatch,
    )
    role, figure = CHARTS[chart]
    told = fill(visit(role), chart, "?module=invoice_pro")
    rows = told[f"{chart}-shown"]["data"]["rows"]
    assert [row[0] for row in rows] == [str(MONDAY - timedelta(days=back)) for back in weeks]
    assert [row[1] for row in rows] == [None if number in empty else figure for number in range(4)]
    note = told[f"{chart}-note"]["children"]
    assert said in note
    assert ("No installs" in note) == bool(said)
    assert ("not told" in told[f"{chart}-summary"]["children"]) == (3 in empty)


@pytest.mark.parametrize("chart", CHARTS)
def test_a_week_without_beacons_of_any_module_is_a_gap_in_the_data(
    visit: Visit, monkeypatch: pytest.MonkeyPatch, chart: str
) -> None:
    """It is not said to have too few installs."""
    sent = [each for back in range(FRIDAY + 21) for each in beacons(range(9), back, "4.0.0", **LICENSED)]
    silent = [str(MONDAY - timedelta(days=7 - number)) for number in range(7)]
    count_from([each for each in sent if each["sent_at"][:10] not in silent], monkeypatch)
    note = fill(visit(CHARTS[chart][0]), chart, "?module=invoice_pro")[f"{chart}-note"]["children"]
    assert "No beacons of any module on " in note
    assert "a gap in the data, not a drop." in note
    assert "No installs" not in note
