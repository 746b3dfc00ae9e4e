"""Release watch: the newest release beside earlier ones at the same age, and beside the module's other installs."""

from datetime import date, timedelta
from typing import Any

from dash import Output, html

from dashboard import filters, messages
from dashboard import releases as of_module
from dashboard.answer_rows import known_rows
from dashboard.cards import DrawnChart, chart_card, chart_outputs, chart_values
from dashboard.changes import compared, movers
from dashboard.charts.registry import CHARTS
from dashboard.charts.tables import table_by_age
from dashboard.conditions import among
from dashboard.data_source import DataSource
from dashboard.filters import Filters
from dashboard.formatting import count, day, plural, share, withheld
from dashboard.pages.versions.newest import newest
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from dashboard.releases import Release
from dashboard.significance import interval
from dashboard.tables import points
from dashboard.weekly import after_whole_weeks
from warehouse.queries.small_groups import OTHER

CHART = "release_watch"
DAYS = 14  # complete days of feature use
MOST_FEATURES = 3


def layout() -> html.Div:
    """The card of the chart, with the verdict above it."""
    words = html.Section(
        [
            html.Div(html.H2("The newest release", id="watch-title"), className="card-head"),
            *region("watch", html.Ul(id="watch-said", className="said")),
        ],
        className="card",
        **{"aria-labelledby": "watch-title"},
    )
    return html.Div([words, chart_card(CHART, None, 340)], className="charts")


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callbacks of the card."""

    @fill(callbacks, page, "watch", [Output("watch-said", "children")], search)
    def watch(search: str) -> Instead | tuple[Any]:
        asked = newest(data, search)
        if isinstance(asked, Instead):
            return asked
        chosen, (release, *earlier) = asked.chosen, asked.releases
        today = filters.today()
        said = [
            f"{release.version} was released on {day(release.released)}.",
            of_module.verdict(release, earlier, asked.installs),
            _silent(data, chosen, release.version, today),
            _features(data, chosen, release, today),
            asked.not_applied,
        ]
        return ([html.Li(sentence) for sentence in said if sentence],)

    @fill(callbacks, page, CHART, chart_outputs(CHART), search)
    def release_watch(search: str) -> Instead | tuple[Any, ...]:
        asked = newest(data, search)
        if isinstance(asked, Instead):
            return asked
        release, *earlier = asked.releases
        if release.age < 0:
            return Instead(messages.too_few(data.k))
        around = of_module.band(earlier, release.age)
        curve = release.curve[: release.age + 1]
        grey = (
            f"Grey: from the lowest to the highest of the {len(earlier)} releases before at the same age, of each "
            "up to the day before a higher version came out. It ends where only one of them is left."
        )
        of = f"Share of the module's active {asked.installs} of each day."
        note = " ".join(filter(None, (of, grey if around else "", asked.not_applied)))
        figure = CHARTS[CHART].figure(release.version, curve, around)
        low, high = [low for low, _ in around], [high for _, high in around]
        shown = table_by_age({release.version: curve, "Lowest before": low, "Highest before": high}, asked.calls)
        return chart_values(DrawnChart(figure, of_module.verdict(release, earlier, asked.installs), note, shown))


def _silent(data: DataSource, chosen: Filters, version: str, today: date) -> str:
    """How many installs of the release fell silent in the last whole week, beside those of all versions."""
    last = after_whole_weeks(chosen, today)
    span = {"from": (last - timedelta(weeks=2)).isoformat(), "to": (last - timedelta(days=1)).isoformat()}
    args = {**chosen.args(grain="week"), **span}
    here, everywhere = (_lost(data.question("lifecycle", {**args, **more})) for more in ({"version": version}, {}))
    if here is None or everywhere is None:
        return f"How many of its installs fell silent in the last whole week is {withheld(data.k)}."
    low, high = interval(*here)
    return (
        f"Of its {count(here[1])} {among(chosen.conditions)} of the week before, {share(here[0] / here[1])} fell "
        f"silent in the last whole week (95% interval {share(low)} to {share(high)}); of all versions "
        f"{share(everywhere[0] / everywhere[1])}."
    )


def _lost(answer: dict[str, Any]) -> tuple[int, int] | None:
    before, after = answer["rows"][-2:] if len(answer["rows"]) > 1 else ({}, {})
    lost, of = after.get("lost"), before.get("active")
    return None if lost is None or not of else (lost, of)


def _features(data: DataSource, chosen: Filters, release: Release, today: date) -> str:
    """The features that its installs use clearly more or less than those on lower versions, since it came out."""
    end = min(chosen.end, today - timedelta(days=1))
    days = min(DAYS, (end - release.released).days + 1)
    if days < 1:
        return ""
    span = {**chosen.args(), "from": (end - timedelta(days=days - 1)).isoformat(), "to": end.isoformat()}
    here, of_here, folded = _used(data, {**span, "version": release.version})
    lower, of_lower, _ = _used(data, {**span, "version.lt": release.version})
    # From the share on the release to that on the lower versions: what no install of the release uses is there, too.
    found = compared("Feature", "", here, lower, (of_here, of_lower), folded)
    during = "On the last complete day" if days == 1 else f"In the last {days} complete days"
    if not found:
        return f"{during} no feature has figures both of its installs and of those on lower versions."
    notable = movers(found, MOST_FEATURES)
    of = f"of the {plural(len(found), 'feature')} with figures"
    if not notable:
        return f"{during} its installs use none {of} clearly more or less than those on lower versions."
    words = ", ".join(f"{one.name} ({points(-one.points)}{' or lower' if one.at_most else ''})" for one in notable)
    return f"{during} its installs differ clearly from those on lower versions in {len(notable)} {of}: {words}."


def _used(data: DataSource, args: dict[str, str]) -> tuple[dict[str, int], int | None, int | None]:
    """The users of each feature, the installs, and how many the users of another feature are at most, if known."""
    rows = data.ask("feature_installs", {**args, "by": "feature", "grain": "period"})["rows"]
    users = {row["key"]: row["value"] for row in known_rows(rows) if row["key"]}
    folded = users.pop(OTHER, 0) if users and len(known_rows(rows)) == len(rows) else None
    return users, data.total({**args, "count": "reported"}), folded
