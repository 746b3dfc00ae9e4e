"""Whole weeks, and installs by week and by one dimension: each once a week, under the value of its latest report."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, timedelta

from dashboard import gaps
from dashboard.answer_rows import known_rows
from dashboard.charts.series import first
from dashboard.data_source import DataSource, api_call
from dashboard.filters import DAY, Filters
from dashboard.formatting import day, fewer

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


@dataclass(frozen=True)
class Weekly:
    """The installs by key and week (its Monday), and the call of the read API.

    `weeks` are those from the first one with figures. `unknown` are those of them without figures, and `silent` the
    days of these without a beacon of any module.
    """

    installs: Mapping[str, Mapping[date, int]]
    weeks: Sequence[date]
    unknown: Sequence[date]
    silent: Sequence[date]
    call: str

    def gaps(self, k: int) -> str:
        """What a card says of the weeks without figures; nothing if there is none."""
        few = [week for week in self.unknown if not set(_days(week)) <= set(self.silent)]
        if not few:
            return gaps.in_days(self.silent)
        none = f"No installs, or {fewer(k)}," if k > 1 else "No installs"
        those = f"in {len(few)} weeks, most recently in" if few[1:] else "in"
        return f"{gaps.in_days(self.silent)} {none} {those} the week of {day(few[-1])}.".strip()


def _days(week: date) -> list[date]:
    return [week + DAY * number for number in range(7)]


def installs_by_week(data: DataSource, chosen: Filters, dimension: str, today: date) -> Weekly:
    """Only whole weeks, at least `LEAST_WEEKS` of them. Raises `QueryError` and `EngineError`."""
    last = after_whole_weeks(chosen, today)
    begin = min(first(chosen.start, "week"), last - timedelta(weeks=LEAST_WEEKS))
    span = {"from": begin.isoformat(), "to": (last - DAY).isoformat()}
    args = chosen.args(by=dimension, grain="week", count="latest") | span
    found: dict[str, dict[date, int]] = {}
    for row in known_rows(data.ask("installs", args)["rows"]):
        if row["key"]:
            found.setdefault(row["key"], {})[date.fromisoformat(row["bucket"])] = int(row["value"])
    begin = min((week for by_week in found.values() for week in by_week), default=last)
    weeks = [begin + timedelta(weeks=number) for number in range((last - begin).days // 7)]
    unknown = [week for week in weeks if not any(week in by_week for by_week in found.values())]
    return Weekly(found, weeks, unknown, _silent(data, chosen, unknown, today), api_call("installs", args))


def _silent(data: DataSource, chosen: Filters, weeks: Sequence[date], today: date) -> list[date]:
    if not weeks:
        return []
    span = replace(chosen, start=weeks[0], end=_days(weeks[-1])[-1])
    inside = {day for week in weeks for day in _days(week)}
    return [day for day in gaps.silent_days(data.received(span), span.start, span.end, today) if day in inside]
