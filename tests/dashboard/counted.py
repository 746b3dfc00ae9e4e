"""Answers in place of ClickHouse: what the tests themselves count from beacons, or given figures."""

from collections.abc import Iterable, Sequence
from datetime import date, timedelta
from typing import Any

import pytest

from dashboard import filters
from tests.fleet import reference
from tests.fleet.reference import Beacon
from warehouse.queries import metrics

YESTERDAY = filters.today() - timedelta(days=1)


def beacons(installs: Iterable[object], back: int, version: str, used: Sequence[str] = (), **more: Any) -> list[Beacon]:
    """A beacon of each install, so many days before yesterday, with one use of some features."""
    return [
        {
            "install_id": str(install), "sent_at": f"{YESTERDAY - timedelta(days=back)}T12:00:00Z",
            "module": {"name": "invoice_pro", "version": version}, "features": dict.fromkeys(used, 1), **more,
        }
        for install in installs
    ]  # fmt: skip


def count_from(sent: Iterable[Beacon], monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer the metrics from these beacons."""
    known = reference.dated(sent)

    def answer(_engine: Any, query: metrics.MetricQuery, k: int, **_: Any) -> dict[str, Any]:
        rows = reference.metric(
            known, query.metric, query.start, query.end, query.grain, query.by, query.filters, k,  # type: ignore[arg-type]
            count=query.count,  # type: ignore[arg-type]
        )  # fmt: skip
        return {"rows": rows, "fresh_to": None}

    def days_with_beacons(_engine: Any, start: date, end: date) -> tuple[date | None, frozenset[date]]:
        days = {day for day, _ in known}
        return min(days), frozenset(day for day in days if start <= day <= end)

    monkeypatch.setattr(metrics, "answer", answer)
    monkeypatch.setattr(metrics, "days_with_beacons", days_with_beacons)


def answer_with(by: str, values: Sequence[tuple[str, int]], total: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """Answer the metrics with these values of one dimension, and with the total by any other and by none."""

    def answer(_engine: Any, query: metrics.MetricQuery, _k: int, **_: Any) -> dict[str, Any]:
        rows: Sequence[tuple[str | None, int]] = values if query.by == by else [(None, total)]
        return {"rows": [{"bucket": "2026-11-01", "key": key, "value": value} for key, value in rows], "fresh_to": None}

    monkeypatch.setattr(metrics, "answer", answer)
