"""The chart of the beacons of each of the last hours."""

from datetime import UTC, datetime
from typing import Any

from dashboard import gaps
from dashboard.cards import DrawnChart, chart_outputs, chart_values
from dashboard.charts.over_time import beacons_per_hour
from dashboard.charts.series import Line, line_of_hours
from dashboard.charts.tables import table_of_line
from dashboard.data_source import DataSource
from dashboard.formatting import count, plural
from dashboard.permissions import Callbacks, Page
from dashboard.regions import fill
from warehouse.queries.health import HOURS, hours

CHART = "beacons_per_hour"


def register(page: Page, callbacks: Callbacks, data: DataSource, refresh: Any) -> None:
    """The callback of the chart."""

    @fill(callbacks, page, CHART, chart_outputs(CHART), refresh)
    def beacons(_refreshed: int | None) -> tuple[Any, ...]:
        return chart_values(_drawn(data, datetime.now(UTC)))


def _drawn(data: DataSource, now: datetime) -> DrawnChart:
    first, beacons = data.beacons_per_hour(now)
    line = line_of_hours(first, beacons, hours(now))
    silence = gaps.in_hours(gaps.silent_hours(first, beacons, hours(now)))
    note = f"{silence} The last hour is not over.".strip()
    return DrawnChart(beacons_per_hour(line), _summary(line), note, table_of_line("Beacons", line, ()))


def _summary(line: Line) -> str:
    known = [int(value) for value in line.values[:-1] if value is not None]
    this = count(int(line.values[-1] or 0))
    if not known:
        return f"No beacons in the last {HOURS} complete hours, {this} in this hour."
    return (
        f"Beacons per hour, last {HOURS} hours: {plural(sum(known), 'beacon')} in complete hours, "
        f"from {count(min(known))} to {count(max(known))} per hour, {this} in this hour."
    )
