"""The adoption of the newest releases by days since each was released."""

from typing import Any

from dashboard import messages
from dashboard.cards import DrawnChart, chart_outputs, chart_values
from dashboard.charts.registry import CHARTS
from dashboard.charts.tables import table_by_age
from dashboard.data_source import DataSource
from dashboard.formatting import day, share
from dashboard.pages.versions.newest import newest
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill

CHART = "adoption_since_release"


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the chart."""

    @fill(callbacks, page, CHART, chart_outputs(CHART), search)
    def adoption(search: str) -> Instead | tuple[Any, ...]:
        asked = newest(data, search)
        if isinstance(asked, Instead):
            return asked
        found = [one for one in asked.releases if one.age >= 0]
        if not found:
            return Instead(messages.too_few(data.k))
        curves = {one.version: one.curve for one in found}
        words = [
            f"{one.version} (released {day(one.released)}): {share(one.curve[one.age] or 0)} after {one.age} days"
            for one in found
        ]
        note = (
            f"Share of the module's active {asked.installs} of each day. The day of a release is that of the catalog, "
            f"or the first day on which {data.k} installs reported it. A line ends on the day before a higher version "
            f"came out: from then on installs leave it. {asked.not_applied}"
        )
        summary = f"Adoption since the release: {'; '.join(words)}."
        return chart_values(
            DrawnChart(CHARTS[CHART].figure(curves), summary, note.strip(), table_by_age(curves, asked.calls))
        )
