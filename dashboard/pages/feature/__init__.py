"""The page of one feature: adoption, by version and platform, whether it keeps its users, what is used with it."""

from typing import Any

from dash import Dash, Input, Output, dcc, html

from dashboard import filters, freshness, messages
from dashboard.cards import heading
from dashboard.conditions import base_in_words
from dashboard.data_source import DataSource
from dashboard.display_names import display_name
from dashboard.empty_ranges import why_empty
from dashboard.formatting import count, days, decimal, share
from dashboard.links import link, parameter
from dashboard.pages.feature import adoption, by_value, first_use, retention, together
from dashboard.pages.feature.chosen import Shown, read, used_by
from dashboard.pages.features.rows import base_by_module, pairs, share_of
from dashboard.permissions import Callbacks, Page
from dashboard.question_limit import ask_in_free_turns
from dashboard.regions import Instead, fill, region
from dashboard.tables import change_from, facts, points


def layout() -> html.Div:
    """The page without its figures."""
    cards = [by_value.layout(dimension) for dimension in by_value.DIMENSIONS]
    return html.Div(
        [
            heading("feature", "Feature", "Adoption of one feature among the installs of its module."),
            *region(
                "feature",
                html.Div(id="feature-named"),
                html.Div(id="feature-figures"),
                adoption.layout(),
                html.Div([*cards, first_use.CARD.layout(), together.CARD.layout()], className="charts"),
                retention.CARD.layout(),
            ),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The callbacks of the page."""
    search = Input("url", "search")

    @fill(
        callbacks,
        page,
        "feature",
        [Output("feature-named", "children"), Output("feature-figures", "children")],
        search,
    )
    def feature(search: str) -> Instead | tuple[Any, ...]:
        shown = read(data, search)
        if shown is None:
            return Instead(messages.no_feature_selected())
        if not data.total(shown.chosen.base()):
            return Instead(why_empty(data, shown.chosen))
        if not shown.chosen.module or not used_by(data, shown):
            return Instead(messages.no_use(shown.feature, data.k))
        return _named(data, shown, search), _figures(data, shown)

    adoption.register(page, callbacks, data, search)
    for dimension in by_value.DIMENSIONS:
        by_value.register(page, callbacks, data, search, dimension)
    retention.CARD.register(page, callbacks, data, search)
    together.CARD.register(page, callbacks, data, search)
    first_use.CARD.register(page, callbacks, data, search)
    freshness.register(callbacks, page, data, search)


def _named(data: DataSource, shown: Shown, search: str) -> html.Div:
    catalog, today = data.catalog(), filters.today()
    name = display_name(catalog, "feature", shown.feature, today)
    module = display_name(catalog, "module", shown.chosen.module, today)
    about = f" {name.said}." if name.said else f" Its module: {module.said}." if module.said else ""
    all_features = dcc.Link("All features", href=link("/features", search, {"name": ""}))
    line = [html.Strong(name.label), f" of {module.label}.{about} ", *_unchosen(shown, search), all_features]
    return html.Div([html.P(line, className="named-line")])


def _unchosen(shown: Shown, search: str) -> list[Any]:
    """Which other modules have the feature, if the address names none: the figures are those of one."""
    if parameter(search, "module"):
        return []
    said = f"No module is chosen: these are the figures of {shown.chosen.module}, where most installs use it. "
    links = [part for one in shown.others for part in (", ", dcc.Link(one, link("/feature", search, {"module": one})))]
    return [said, *(["It is also in ", *links[1:], ". "] if links else [])]


def _figures(data: DataSource, shown: Shown) -> html.Dl:
    chosen, pair = shown.chosen, (shown.chosen.module, shown.feature)
    installs, uses, active, change = ask_in_free_turns(
        lambda: pairs(data, "feature_installs", chosen).get(pair),
        lambda: pairs(data, "feature_uses", chosen).get(pair),
        lambda: base_by_module(data, chosen).get(chosen.module),
        lambda: _change(data, shown),
    )
    now = share_of(installs, active)
    of = base_in_words(chosen.conditions) if chosen.conditions else "installs"
    return facts(
        (
            "Share of the module's installs",
            "–" if now is None else share(now),
            "not told" if installs is None or active is None else f"{count(installs)} of {count(active)} {of}, "
            f"{days(chosen.start, chosen.end)}",
        ),
        ("Change", points(change), change_from(data, chosen)),
        ("Uses", "–" if uses is None else count(uses), "in the range"),
        (
            "Uses per install",
            "–" if uses is None or not installs else decimal(uses / installs),
            "of the installs that used it",
        ),
    )  # fmt: skip


def _change(data: DataSource, shown: Shown) -> float | None:
    compared = data.compared(shown.chosen)
    if compared is None:
        return None
    pair = shown.chosen.module, shown.feature
    now, before = (
        share_of(pairs(data, "feature_installs", one).get(pair), base_by_module(data, one).get(pair[0]))
        for one in compared
    )
    return None if now is None or before is None else now - before
