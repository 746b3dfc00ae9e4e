"""The adoption of the newest releases by days since each was released."""

from typing import Any

from dashboard import releases as of_module
from dashboard.cards import DrawnChart, chart_outputs, chart_values
from dashboard.charts.registry import CHARTS
from dashboard.charts.tables import table_by_age
from dashboard.conditions import not_applied
from dashboard.data_source import DataSource, api_call
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
        chosen, found = asked
        curves = {one.version: one.curve for one in found}
        calls = [api_call("adoption", of_module.adoption_args(chosen, one.version)) for one in found]
        words = [
            f"{one.version} (released {day(one.released)}): {share(one.curve[one.age] or 0)} after {one.age} days"
            for one in found
            if one.age >= 0
        ]
        note = (
            "Share of the module's active installs of each day. The day of a release is that of the catalog, or the "
            f"first day on which {data.k} installs reported it. A line ends on the day before a higher version came "
            f"out: from then on installs leave it. {not_applied(chosen.conditions)}"
        )
        summary = f"Adoption since the release: {'; '.join(words)}."
        return chart_values(
            DrawnChart(CHARTS[CHART].figure(curves), summary, note.strip(), table_by_age(curves, calls))
        )
