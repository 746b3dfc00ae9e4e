"""How many installs it would hurt: of all that answer, of those that still upgrade, and how many answer."""

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from dash import Output, html

from dashboard.answer_rows import known_rows
from dashboard.conditions import in_words
from dashboard.data_source import DataSource
from dashboard.filters import Filters, unfiltered
from dashboard.formatting import count, days, plural, shares, withheld
from dashboard.links import link
from dashboard.pages.drop import reporting, suggestions
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from dashboard.static_html import StaticHtml, static
from dashboard.tables import NOTHING, anchor, facts
from warehouse.queries import dimensions
from warehouse.queries.dimensions import dimension_of, is_condition
from warehouse.queries.small_groups import OTHER

STILL_UPGRADING = "Hurt, of all that still upgrade"


def layout() -> html.Div:
    """The figures, empty."""
    return html.Div(region("drop-hurt", html.Div(id="drop-hurt-body")))


def register(page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
    """The callback of the figures."""

    @fill(callbacks, page, "drop-hurt", [Output("drop-hurt-body", "children")], search)
    def hurt(search: str) -> Instead | tuple[Any]:
        chosen = data.chosen(search)
        if not chosen.conditions:
            return NOTHING
        told, figures = _of_module(data, chosen) if chosen.module else _of_all(data, chosen)
        return ([figures] if told else [figures, *_onward(data, chosen, search)],)


def _of_module(data: DataSource, chosen: Filters) -> tuple[bool, StaticHtml]:
    """Whether it is told how many installs are hurt, and the figures."""
    answer = data.question("drop", chosen.args())
    upgrading, within = answer["still_upgrading"], f"of {chosen.module}, {days(chosen.start, chosen.end)}"
    return answer["share"] is not None, facts(
        ("Installs hurt", *_hurt(data.k, answer["at_least"], answer["at_most"], answer["of"], "install", within)),
        (
            STILL_UPGRADING,
            *_hurt(
                data.k, upgrading["installs"], upgrading["installs"], upgrading["of"], "install",
                "all that changed their version within six months",
            ),
        ),
        _covered(answer["coverage"]),
    )  # fmt: skip


def _covered(coverage: dict[str, int | None]) -> tuple[str, str, str]:
    answered, active = coverage["answered"], coverage["active"]
    shown = "–" if answered is None else count(answered)
    if active is not None:
        return "Answered", shown, f"of {plural(active, 'active install')}; the others do not report it"
    return "Answered", shown, "not told of how many" if answered is None else "the others are too few to show"


def _hurt(k: int, least: int | None, most: int | None, of: int | None, word: str, within: str) -> tuple[str, str]:
    """A share, or the two shares between which it is, and what it means."""
    if least is None or most is None or not of:
        return "–", withheld(k) if k > 1 else "no installs"
    numbers, unsure = count(least), ""
    if least != most:
        numbers += f" to {count(most)}"
        unsure = f": of the {count(most - least)} in {OTHER} it is not told who is hurt"
    return shares(least / of, most / of), f"{numbers} of {plural(of, word)}, {within}{unsure}"


def _of_all(data: DataSource, chosen: Filters) -> tuple[bool, StaticHtml]:
    """The same without a module, of installs by their latest report. What still upgrades is a question about one."""
    hit = data.total(chosen.args(count="latest"))
    reported = reporting.by_bucket(data, chosen, reporting.args_of(chosen, grain="period"))
    (counted,) = reported.values() or [reporting.NONE]
    active = data.total(unfiltered(chosen).args())
    least, most = (hit, hit) if hit else counted.between or (None, None)
    within = days(chosen.start, chosen.end)
    return bool(hit and counted.of), facts(
        ("Installs hurt", *_hurt(data.k, least, most, counted.of, reporting.word(chosen), within)),
        (STILL_UPGRADING, "–", "choose a module: versions are those of one module"),
        _answered(counted.of, active, rounded=data.rounded) if reporting.all_asked(chosen)
        else ("Answered", "–", "not counted for filters by more than two things: the share is of all active installs"),
    )  # fmt: skip


def _answered(answered: int, active: int | None, *, rounded: bool) -> tuple[str, str, str]:
    """A sum of groups that are `rounded` down is too small: the rest is not only those that do not report it."""
    others = "a sum of rounded groups: at least so many" if rounded else "the others do not report it"
    return (
        "Answered",
        count(min(answered, active or answered)),
        f"of {plural(active, 'active install')}; {others}" if active else "",
    )


def _onward(data: DataSource, chosen: Filters, search: str) -> list[StaticHtml]:
    """The next step where the figure is not told: links to the series that the conditions cover and that are told."""
    links = [
        anchor(
            in_words(dimension, value),
            link("/drop", search, {name: "", dimension: value}),
            refine=True,
            className="offer",
        )
        for name in sorted(chosen.conditions)
        for dimension, value in _told(data, chosen, name)
    ]
    said = html.P("Each of these has an answer of its own:", className="card-note")
    return [static(html.Div([said, html.Div(links, className="offers")], className="card"))] if links else []


def _told(data: DataSource, chosen: Filters, name: str) -> Iterator[tuple[str, str]]:
    """The series that a condition covers and of which it is told how many installs report them, and how many do not."""
    dimension = dimension_of(name)
    of_one_module = dimension == "version_series" and not chosen.module
    if not (is_condition(name) and dimension in dimensions.SERIES) or of_one_module:
        return
    others = {other: value for other, value in chosen.conditions.items() if other != name}
    args = replace(chosen, conditions=others).args(by=dimension, grain="period", count="latest")
    rows = known_rows(data.ask("installs", args, side_by_side=suggestions.DIMENSIONS)["rows"])
    reported = {str(row["key"]): int(row["value"]) for row in rows if row["key"]}
    rest = sum(reported.values()) - data.k
    for value in sorted(reported, key=lambda one: dimensions.order(dimension, one)):
        if value != OTHER and reported[value] <= rest and dimensions.matches(name, chosen.conditions[name], value):
            yield dimension, value
