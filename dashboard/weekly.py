"""Whole weeks, and installs by week and by one dimension: each once a week, under the value of its latest report."""

from collections.abc import Mapping
from datetime import date, timedelta

from dashboard.answer_rows import known_rows
from dashboard.charts.series import first
from dashboard.data_source import DataSource, api_call
from dashboard.filters import DAY, Filters

LEAST_WEEKS = 13


def after_whole_weeks(chosen: Filters, today: date) -> date:
    """The Monday after the last week of the range that is over."""
    return first(min(chosen.end + DAY, today), "week")


def covered(conditions: Mapping[str, str]) -> str:
    """What the weeks are, and how an install counts in them, for the note of a card."""
    counted = (
        "under each value that it reported in the week"
        if "feature" in conditions
        else "once a week, under its latest report in it"
    )
    return f"The whole weeks of the range, at least {LEAST_WEEKS}. An install counts {counted}."


def installs_by_week(
    data: DataSource, chosen: Filters, dimension: str, today: date
) -> tuple[dict[str, dict[date, int]], list[date], str]:
    """Return the installs by key and week (its Monday), the weeks that have any, and the call of the read API.

    Only whole weeks, at least `LEAST_WEEKS` of them. Raises `QueryError` and `EngineError`.
    """
    last = after_whole_weeks(chosen, today)
    begin = min(first(chosen.start, "week"), last - timedelta(weeks=LEAST_WEEKS))
    span = {"from": begin.isoformat(), "to": (last - DAY).isoformat()}
    args = chosen.args(by=dimension, grain="week", count="latest") | span
    found: dict[str, dict[date, int]] = {}
    for row in known_rows(data.ask("installs", args)["rows"]):
        if row["key"]:
            found.setdefault(row["key"], {})[date.fromisoformat(row["bucket"])] = int(row["value"])
    weeks = sorted({week for by_week in found.values() for week in by_week})
    return found, weeks, api_call("installs", args)
