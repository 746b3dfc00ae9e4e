"""The versions in use by week: each install counts once, under the version of its latest report in the week."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from dashboard import filters, messages
from dashboard.answer_rows import REST
from dashboard.cards import DrawnChart, chart_outputs, chart_values
from dashboard.charts.palette import PALETTE
from dashboard.charts.registry import CHARTS
from dashboard.charts.tables import table_by_date
from dashboard.conditions import OF_VERSIONS, among, not_applied
from dashboard.data_source import DataSource
from dashboard.filters import without
from dashboard.formatting import share
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill
from dashboard.tables import NOTHING
from dashboard.weekly import Weekly, covered, installs_by_week
from warehouse.queries import dimensions
from warehouse.queries.small_groups import OTHER

CHART = "share_by_version"


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the chart."""

    @fill(callbacks, page, CHART, chart_outputs(CHART), search)
    def by_week(search: str) -> Instead | tuple[Any, ...]:
        chosen = data.chosen(search)
        if not chosen.module:
            return NOTHING
        # Beside themselves alone, versions would have 100%. With a feature an install may be on several in a week.
        chosen, left = without(chosen, (*OF_VERSIONS, "feature"))
        found = installs_by_week(data, chosen, "version_series", filters.today())
        shares = _shares(found)
        notes = [f"Shares of the module's {among(chosen.conditions)}.", covered(chosen.conditions)]
        notes += ["Versions by their first two numbers.", not_applied(left), found.gaps(data.k)]
        return (
            chart_values(_drawn(shares, found, " ".join(filter(None, notes))))
            if shares
            else Instead(messages.too_few(data.k))
        )


def _shares(found: Weekly) -> dict[str, list[float | None]]:
    """The share of each series by whole week, the oldest series first.

    A week in which a small group and the largest one are told as `(other)`, and nothing beside it, has no shares.
    """
    told = {week for key, by_week in found.installs.items() if key != OTHER for week in by_week}
    totals = {
        week: sum(by_week.get(week, 0) for by_week in found.installs.values()) if week in told else 0
        for week in found.weeks
    }
    return stacked(found.installs, totals)


def stacked(installs: Mapping[str, Mapping[date, int]], totals: Mapping[date, int]) -> dict[str, list[float | None]]:
    """Shares of each week, for the largest series of all weeks in their order.

    All others are in `(rest)`, or in `(other)` if it is all.

    A week with a total of 0 has none. A series that a week does not name has none either if the week has an `(other)`,
    which may hold it; otherwise nobody runs it.
    """
    size = {key: sum(weeks.values()) for key, weeks in installs.items() if key != OTHER}
    named = sorted(
        sorted(size, key=size.__getitem__)[-len(PALETTE) :], key=lambda one: dimensions.order("version", one)
    )
    weeks = sorted(totals)
    folded = installs.get(OTHER, {})

    def part(key: str, week: date) -> float | None:
        known = totals[week] and (week in installs[key] or week not in folded)
        return installs[key].get(week, 0) / totals[week] if known else None

    found: dict[str, list[float | None]] = {key: [part(key, week) for week in weeks] for key in named}
    rest = [
        max(1 - sum(values[number] or 0 for values in found.values()), 0) if totals[week] else None
        for number, week in enumerate(weeks)
    ]
    if any((part or 0) > 0.0001 for part in rest):
        found[REST if len(size) > len(named) else OTHER] = rest
    return found


def _drawn(shares: dict[str, list[float | None]], found: Weekly, note: str) -> DrawnChart:
    last = {version: values[-1] or 0 for version, values in shares.items() if values and values[-1]}
    words = ", ".join(f"{version} {share(part)}" for version, part in sorted(last.items(), key=lambda one: -one[1]))
    parts = zip(found.weeks, zip(*shares.values(), strict=True), strict=True)
    told = [[part is not None for part in week] for monday, week in parts if monday not in found.unknown]
    if any(any(week) and not all(week) for week in told):
        note += (
            f" A version without a share in a week is in {REST if REST in shares else OTHER}, or no install runs it."
        )
    if not all(map(any, told)):
        note += (
            f" {'Another' if found.unknown else 'An'} empty week is not told: all installs are in {OTHER}, because a "
            "small group must not be told apart."
        )
    figure, shown = CHARTS[CHART].figure(found.weeks, shares), table_by_date(shares, found.weeks, [found.call])
    return DrawnChart(figure, f"Shares in the last whole week: {words or 'not told'}.", note, shown)
