"""The adoption of the feature over time: its share of the active installs of its module."""

from typing import Any

from dash import html

from dashboard import filters, gaps
from dashboard.cards import DrawnChart, chart_card, chart_outputs, chart_values
from dashboard.charts.registry import CHARTS
from dashboard.charts.release_marks import in_words
from dashboard.charts.series import line, ratio
from dashboard.charts.tables import table_of_line
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import days, fewer, share
from dashboard.pages.feature.chosen import read
from dashboard.permissions import Callbacks, Page
from dashboard.question_limit import ask_in_free_turns
from dashboard.regions import Instead, fill
from dashboard.tables import NOTHING

CHART = "adoption_per_bucket"
WEEKS_FROM = 92  # days from which the trend is by week, because a point per day would be unreadable


def layout() -> html.Section:
    """The card of the chart."""
    return chart_card(CHART, None, 280)


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the chart."""

    @fill(callbacks, page, CHART, chart_outputs(CHART), search)
    def adoption_per_bucket(search: str) -> Instead | tuple[Any, ...]:
        shown = read(data, search)
        return chart_values(drawn(data, shown.chosen, shown.feature)) if shown else NOTHING


def drawn(data: DataSource, chosen: Filters, feature: str) -> DrawnChart:
    """The chart of a feature. Raises `QueryError` and `EngineError`."""
    chart = CHARTS[CHART]
    grain = "week" if chosen.days > WEEKS_FROM else "day"
    received = data.received(chosen)
    span = chosen.start, chosen.end, grain, filters.today(), received
    asked = chosen.args(**chart.args, grain=grain, feature=feature), chosen.base(grain=grain)
    answers = ask_in_free_turns(lambda: data.ask(chart.metric, asked[0]), lambda: data.ask("installs", asked[1]))
    using, active = (line(answer["rows"], *span, k=data.k) for answer in answers)
    adoption = ratio(using, active)
    known = [value for value in adoption.values if value is not None]
    summary = f"Adoption of {feature} per {grain}, {days(chosen.start, chosen.end)}: " + (
        f"from {share(min(known))} to {share(max(known))}, last {share(known[-1])}." if known else "too few to show."
    )
    releases = data.releases(chosen)
    of = "installs that matched the filters" if chosen.conditions else "active installs"
    notes = [
        gaps.in_days(gaps.silent_days(received, chosen.start, chosen.end, filters.today())),
        f"For each {grain}: of the {of}, the share that used the feature.",
    ]
    notes.append(in_words(releases))
    if any(adoption.small):
        notes.append(f"A break without a grey band: no installs, or {fewer(data.k)}.")
    calls = api_call(chart.metric, asked[0]), api_call("installs", asked[1])
    others = ("Installs that used it", using.values), (of.capitalize(), active.values)
    return DrawnChart(
        chart.figure(adoption, grain, releases),
        summary,
        " ".join(filter(None, notes)),
        table_of_line("Adoption", adoption, calls, *others),
    )
