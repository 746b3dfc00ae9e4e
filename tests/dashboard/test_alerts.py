"""Alerts of saved views: what is unusual, and what is no alert."""

from collections.abc import Collection
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from pathlib import Path
from typing import Any, cast

import pytest

from core.credentials import Credentials, Role
from core.saved_views import SavedViews, View
from dashboard import digests
from dashboard.alerts import LEAST_WEEKS, Alert, alert_of, band
from dashboard.data_source import DataSource
from dashboard.digests import Digests
from dashboard.filters import read
from dashboard.gaps import Received
from dashboard.report import Rendered
from dashboard.sent_emails import SentEmails

TODAY = date(2026, 11, 28)
YESTERDAY = TODAY - timedelta(days=1)
VIEW = View("product", "Monday", "/", "?module=a&os=debian", mail="team@example.com", saved="2026-11-20T10:00:00Z")


@pytest.mark.parametrize(
    ("values", "usual", "unusual"),
    [
        ([100] * 8, (85, 115), (60, 140)),
        ([100, 104, 97, 102, 99, 101, 98, 20], (85, 115), (60, 140)),  # one bad week does not widen the band
        ([1000, 1200, 900, 1100, 1000, 950, 1150, 1050], (800, 1300), (300, 1800)),
        ([0] * 8, (0, 1), (5, 5)),
    ],
)
def test_the_band_follows_the_same_weekdays(
    values: list[int], usual: tuple[int, int], unusual: tuple[int, int]
) -> None:
    """It holds what such weekdays had, with the noise of counting, and little more."""
    low, high = band(values) or pytest.fail("no band")
    assert low <= usual[0] <= usual[1] <= high
    assert not low <= unusual[1] <= high
    assert unusual[0] == 5 or not low <= unusual[0] <= high


def test_few_weeks_are_no_band() -> None:
    """A young module has no usual days yet."""
    assert band([100] * (LEAST_WEEKS - 1)) is None


class Asked:
    """A data source with a value for each day."""

    def __init__(self, values: dict[date, int | None], silent: Collection[date] = (), fresh: str = "") -> None:
        self.values, self.silent = values, silent
        self.fresh = fresh or datetime.combine(TODAY, datetime.min.time(), UTC).isoformat()
        self.args: dict[str, str] = {}

    def fresh_to(self) -> str:
        return self.fresh

    def chosen(self, search: str) -> Any:
        return read(search, TODAY)

    def ask(self, metric: str, args: dict[str, str]) -> dict[str, Any]:
        self.args = {"metric": metric, **args}
        return {"rows": [{"bucket": day.isoformat(), "key": None, "value": one} for day, one in self.values.items()]}

    def received(self, _chosen: Any) -> Received:
        return Received(date(2025, 1, 1), {day for day in self.values if day not in self.silent})


def days(last: int | None, usual: int = 100) -> dict[date, int | None]:
    found: dict[date, int | None] = {YESTERDAY - timedelta(days=back): usual for back in range(57)}
    return found | {YESTERDAY: last}


def alert(asked: Asked) -> Alert | None:
    return alert_of(cast("DataSource", asked), VIEW, Role.PRODUCT, TODAY)


def test_an_unusual_day_is_an_alert_under_the_filters_of_the_view() -> None:
    """The text says the figure, the day and what is usual."""
    asked = Asked(days(40))
    found = alert(asked)
    assert found is not None
    assert (found.day, found.value) == (YESTERDAY, 40)
    assert "Monday: 40 active installs on 27 Nov 2026. Usual for this weekday are 80 to 120" in found.text("Monday")
    assert asked.args["to"] == "2026-11-27"
    assert (asked.args["module"], asked.args["os"]) == ("a", "debian")


@pytest.mark.parametrize(
    "asked",
    [
        Asked(days(101)),
        Asked(days(None)),
        Asked(days(0), silent={YESTERDAY}),
        Asked(days(0), fresh="2026-11-27T23:59:00+00:00"),
        Asked({YESTERDAY: 3}),
    ],
    ids=["usual", "hidden", "a gap in the data", "not complete", "no earlier weeks"],
)
def test_what_is_no_alert(asked: Asked) -> None:
    """Neither a usual day, nor one that is hidden, missing or not over."""
    assert alert(asked) is None


def test_a_day_is_checked_once(tmp_path: Path, credentials: Credentials, monkeypatch: pytest.MonkeyPatch) -> None:
    """A failure is tried again, and a sent alert is not repeated. Nothing is checked before the morning."""
    sent: list[EmailMessage] = []
    monkeypatch.setattr(digests, "smtp", lambda _url: ("pharos@example.com", sent.append))
    views = SavedViews(tmp_path / "dashboard.sqlite")
    views.save(VIEW)
    hours = [5, 7, 7, 7]
    tries: list[View] = []

    def check(view: View, _role: Role, today: date) -> Alert:
        tries.append(view)
        if len(tries) == 1:
            raise OSError("mail server away")
        return Alert(today - timedelta(days=1), 40, 80, 120)

    def clock() -> datetime:
        return datetime(2026, 11, 28, hours.pop(0), tzinfo=UTC)

    sender = Digests(
        views,
        credentials,
        lambda *_: Rendered("", ""),
        check,
        lambda *_: None,
        "smtp://h?from=a@b.example",
        "",
        SentEmails(lambda *_: None),
        clock,
    )
    assert [sender.send_alerts() for _ in range(4)] == [0, 0, 1, 0]
    assert len(tries) == 2
    assert sent[0].get_content().endswith("Usual for this weekday are 80 to 120, from the last 8 weeks.\n")
