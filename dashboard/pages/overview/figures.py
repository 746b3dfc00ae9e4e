"""The figure cards of the overview: active installs, their change, modules, licensed installs."""

from functools import partial

from dash import Input, html

from dashboard.answer_rows import known_rows
from dashboard.cards import FigureText, figure_card, figure_outputs, figure_values
from dashboard.conditions import OF_MODULES, OF_VERSIONS
from dashboard.data_source import EVERY_DIMENSION, DataSource
from dashboard.filters import Filters, before_in_words, today
from dashboard.formatting import count, days, plural, share, withheld
from dashboard.permissions import Callbacks, Page
from dashboard.question_limit import ask_in_free_turns
from dashboard.regions import fill, loading, region
from warehouse.queries.dimensions import dimension_of
from warehouse.queries.small_groups import OTHER

# The label of each card, and its term in the glossary.
CARDS = {
    "active_installs": ("Active installs", "active_installs"),
    "installs_change": ("Change", "change"),
    "active_modules": ("Modules", "modules"),
    "licensed_installs": ("Licensed", "licensed"),
}

OF_ANY_MODULE = "by the latest report of any of their modules"


def layout() -> html.Div:
    """The cards without their figures."""
    cards = html.Dl([figure_card(name, *words) for name, words in CARDS.items()], className="figures")
    return html.Div(region("overview-figures", loading(cards, 112)))


def register(page: Page, callbacks: Callbacks, data: DataSource) -> None:
    """The callback of the cards."""

    @fill(callbacks, page, "overview-figures", figure_outputs(*CARDS), Input("url", "search"))
    def figures(search: str) -> tuple[str, ...]:
        return figure_values(*_texts(data, data.chosen(search)))


def _texts(data: DataSource, chosen: Filters) -> list[FigureText]:
    """The texts of the cards, in their order."""
    return ask_in_free_turns(*(partial(figure, data, chosen) for figure in (_active, _change, _modules, _licensed)))


def _active(data: DataSource, chosen: Filters) -> FigureText:
    total = data.total(chosen.args())
    filtered = {dimension_of(name) for name in chosen.conditions}
    latest = chosen.counts_once and not chosen.module and filtered & {*OF_MODULES, *OF_VERSIONS}
    hint = f"{days(chosen.start, chosen.end)}{f', {OF_ANY_MODULE}' if latest else ''}"
    return FigureText(count(total) if total else "–", hint)


def _change(data: DataSource, chosen: Filters) -> FigureText:
    compared = chosen.compared(today())
    if compared is None:
        return FigureText("–", "no comparison" if chosen.compare == "off" else "no day of the range is over")
    complete, before = compared
    period = before_in_words(before)
    now, then = data.total(complete.args()), data.total(before.args())
    if not (now and then and data.compared(chosen)):
        return FigureText("–", f"no complete figure for {period}")
    return FigureText(f"{now / then - 1:+.1%}".replace("-", "−"), f"vs. {period} ({count(then)})")


def _modules(data: DataSource, chosen: Filters) -> FigureText:
    rows = data.ask("installs", chosen.args(by="module", grain="period"))["rows"]
    named = [row for row in known_rows(rows) if row["key"] != OTHER]
    if not named:
        return FigureText("–", "too few installs of any module")
    others = any(row["key"] == OTHER for row in rows)
    return FigureText(count(len(named)), f"and others under {data.k} installs" if others else "active in the range")


def _licensed(data: DataSource, chosen: Filters) -> FigureText:
    total = data.total(chosen.args())
    args = chosen.args(by="license_status", grain="period", count="latest")
    rows = data.ask("installs", args, side_by_side=EVERY_DIMENSION)["rows"]
    licensed = next((row["value"] for row in known_rows(rows) if row["key"] == "licensed"), None)
    if not total or licensed is None:
        return FigureText("–", withheld(data.k) if data.k > 1 else "no install reported it")
    last = "reported licensed last" if chosen.module else OF_ANY_MODULE
    return FigureText(share(licensed / total), f"{plural(licensed, 'install')} {last}")
