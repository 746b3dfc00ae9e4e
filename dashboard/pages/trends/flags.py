"""The flags by week and rule, the flagged installs that report a license later, and the unlicensed share."""

from datetime import date
from typing import Any

from dash import html

from dashboard.cards import DrawnChart, chart_card, chart_outputs, chart_values
from dashboard.case_words import rule
from dashboard.charts.registry import CHARTS
from dashboard.charts.stacked import largest_series
from dashboard.charts.tables import table_by_date
from dashboard.data_source import DataSource, asker
from dashboard.formatting import count, plural, share
from dashboard.permissions import TRENDS, Callbacks, Page
from dashboard.regions import fill
from dashboard.tables import Cell, Part, table, table_card, table_outputs
from warehouse.cases.trends import ACTIVE_DAYS, LEAST_CLOSED, MONTHS, SOON_DAYS, WEEKS, Trends, Unlicensed

FLAGS, CONVERSION, UNLICENSED = "counts_by_week_of_rule", "conversion", "unlicensed"
MOST_ROWS = 40
# The two cards above follow the range.
WHATEVER = "The range does not change this."


def layout() -> list[html.Div | html.Section]:
    """The cards, empty."""
    conversion = table_card(CONVERSION, "Flagged, then licensed", term="conversion")
    return [
        html.Div([chart_card(FLAGS, None, 340), conversion], className="charts"),
        table_card(UNLICENSED, "Unlicensed share, estimated", term="unlicensed_share"),
    ]


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback that fills the three cards, with one reading of the license plane."""
    outputs = [*chart_outputs(FLAGS), *table_outputs(CONVERSION), *table_outputs(UNLICENSED)]

    @fill(callbacks, page, "trends", outputs, search)
    def trends(search: str) -> tuple[Any, ...]:
        module = data.chosen(search).module or ""
        found = data.casework.trends(asker(), "trends", module, data.k)
        call = f"{TRENDS}?module={module}" if module else TRENDS
        return (
            *chart_values(_flags(found, call)),
            *_conversion(found, call),
            *_unlicensed(found, call, data.k),
        )


def _flags(found: Trends, call: str) -> DrawnChart:
    weeks = sorted(found.flags)
    by_rule: dict[str, dict[date, int]] = {}
    for week, rules in found.flags.items():
        for name, number in rules.items():
            by_rule.setdefault(rule(name), {})[week] = number
    series = largest_series(by_rule, weeks)
    total = sum(number or 0 for values in series.values() for number in values)
    summary = f"{plural(total, 'flag')} in {WEEKS} weeks."
    note = f"{summary} {WHATEVER} The last week is not over. Whether a flag still holds is in the list of cases."
    return DrawnChart(CHARTS[FLAGS].figure(weeks, series, "flags"), summary, note, table_by_date(series, weeks, [call]))


def _conversion(found: Trends, call: str) -> tuple[Any, ...]:
    rows: list[list[Cell]] = [
        [
            f"{each.month:%b %Y}",
            Part(each.now / each.flagged),
            each.flagged,
            "too early" if each.soon is None else each.soon,
            each.now,
        ]
        for each in found.conversion
    ]
    columns = (
        "First flagged in",
        "Share licensed now",
        "Installs",
        f"Licensed within {SOON_DAYS} days",
        "Licensed now",
    )
    flagged, now = sum(each.flagged for each in found.conversion), sum(each.now for each in found.conversion)
    said = f"Of {plural(flagged, 'install')}, {count(now)} report a license now. " if flagged else "No install yet. "
    note = (
        f"{said}Installs that were first flagged in the last {MONTHS} months. {WHATEVER} Those of late months have had "
        f"less time.{_sample(found)}"
    )
    return table("Flagged installs that report a license later", columns, rows, [call], note)


def _unlicensed(found: Trends, call: str, k: int) -> tuple[Any, ...]:
    rows = [_row(each) for each in found.unlicensed[:MOST_ROWS]]
    columns = ("Module and version", "Estimate", "At least (95%)", "At most (95%)", "Active installs", "With a flag")
    basis = f"Closed cases: {found.resolved} resolved, {found.dismissed} dismissed."
    if found.resolved + found.dismissed < LEAST_CLOSED:
        basis += f" An estimate needs {LEAST_CLOSED}; until then there are only its bounds."
    more = len(found.unlicensed) - MOST_ROWS
    cut = f" {plural(more, 'further row')} are in the answer of the read API." if more > 0 else ""
    note = (
        f"Installs that reported in the last {ACTIVE_DAYS} days, by the version that they reported last. {WHATEVER} "
        f"Groups of fewer than {k} are folded or left out. {basis} Cases that a team closes first are no random "
        f"sample, and an install that lies well or sends no beacons is in no figure.{_sample(found)}{cut}"
    )
    return table("Estimated unlicensed share by module and version", columns, rows, [call], note)


def _sample(found: Trends) -> str:
    if found.sampled == 1:
        return ""
    return f" Numbers of flagged installs are estimated from a random sample of {share(found.sampled)} of them."


def _row(each: Unlicensed) -> list[Cell]:
    if not each.flagged:
        return [f"{each.module} {each.version}", "no flag", "–", "–", each.installs, 0]
    estimate: Cell = "not yet" if each.estimate is None else Part(each.estimate)
    return [
        f"{each.module} {each.version}", estimate, share(each.low), share(each.high), each.installs, each.flagged,
    ]  # fmt: skip
