"""A saved view as one self-contained HTML file: for a file, an e-mail or a colleague without a login.

A report has what the cards of the page show: it runs the page's own callbacks for the view's address.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

from dash import html
from dash.development.base_component import Component
from flask import render_template

from core.credentials import Role
from core.saved_views import View, ViewError
from dashboard import formatting, messages
from dashboard.charts.release_marks import MARKS
from dashboard.charts.tables import Unit
from dashboard.data_source import DataSource, asking_as
from dashboard.display_names import DIMENSIONS
from dashboard.filter_bar import SIGNS
from dashboard.filters import COMPARISONS, RANGES, Filters
from dashboard.freshness import is_strict
from dashboard.glossary import TERMS
from dashboard.links import parameter
from dashboard.permissions import Callbacks, Page, Registered, page_at
from dashboard.regions import HIDDEN
from dashboard.report_charts import chart_picture
from dashboard.report_pictures import line_picture
from dashboard.static_html import StaticHtml
from dashboard.tables import points
from warehouse.queries.metrics import QueryError

Values = dict[tuple[str, str], Any]  # by component and property
FIGURES = "Figures"
# The inputs of the cards that have the address. The second has it once the first figures of Today are there.
ADDRESS = frozenset({("url", "search"), ("overview-told", "value")})


class Rendered(NamedTuple):
    """A report as an HTML file, and its main figures as text."""

    html: str
    text: str


@dataclass(frozen=True)
class Card:
    """A card of a report, with the texts that its page shows. `instead` is the message of a card without figures."""

    title: str
    about: str = ""
    figures: list[tuple[str, ...]] = field(default_factory=list)  # label, value, hint
    sentences: list[str] = field(default_factory=list)
    summary: str = ""
    note: str = ""
    columns: list[str] = field(default_factory=list)
    texts: list[bool] = field(default_factory=list)  # whether a column has texts, not figures
    rows: list[list[str]] = field(default_factory=list)
    bars: list[float] = field(default_factory=list)  # from 0 to 1, one for each row
    picture: str = ""
    instead: str = ""


class Report:
    """Makes reports. `layouts` has the layout of each page by its name."""

    def __init__(self, data: DataSource, callbacks: Callbacks, layouts: dict[str, Callable[[], Component]]) -> None:
        self._data, self._callbacks, self._layouts = data, callbacks, layouts

    def render(self, view: View, role: Role, address: str = "") -> Rendered:
        """The report, with the figures that this role sees. `address` is that of the dashboard.

        Raises `ViewError` and `EngineError`. Needs a context of the Flask app.
        """
        page = page_at(view.path)
        if page is None or role not in page.roles:
            raise ViewError(f"the role {role} may not open the page of the view {view.name}")
        with asking_as(role):
            try:
                chosen = self._data.chosen(view.search)
            except QueryError as error:
                raise ViewError(f"the address of the view {view.name} is not valid: {error}") from error
            cards = with_figures_together(self._cards(page, view))
            if not cards:
                raise ViewError(f"the page of the view {view.name} has no report")
            said: dict[str, Any] = {
                "view": view,
                "title": f"{page.title} {parameter(view.search, 'name') if 'name' in page.own else ''}".strip(),
                "days": formatting.days(chosen.start, chosen.end),
                "filters": filters_in_words(chosen, page),
                "precision": messages.precision(self._data, chosen)
                + (TERMS["strict"].text if is_strict(self._data, page) else ""),
                "fresh": formatting.moment(self._data.fresh_to() or datetime.now(UTC)),
                "cards": cards,
                "link": f"{address}{view.path}{view.search}" if address else "",
                "synthetic": self._data.synthetic,
            }
            return Rendered(render_template("report.html", **said), render_template("report.txt", **said))

    def _cards(self, page: Page, view: View) -> Iterator[Card]:
        layout = self._layouts[page.name]()
        for callback in self._callbacks.of(page):
            if (f"{page.name}-content", "style") in map(_spelled, callback.outputs):
                values = _run(callback, view)
                if values[f"{page.name}-content", "style"] == HIDDEN:
                    yield Card(page.title, instead=_said(values[f"{page.name}-message", "children"]))
                    return
        for callback in _as_on_page(self._callbacks.of(page), layout):
            names = [str(one.component_id) for one in callback.outputs]
            shown = [name.removesuffix("-shown") for name in names if name.endswith("-shown")]
            figures = [name.removesuffix("-value") for name in names if name.endswith("-value")]
            said = [name.removesuffix("-said") for name in names if name.endswith("-said")]
            facts = any(name.endswith(("-figures", "-body")) for name in names)
            if not (shown or figures or said or facts) or not ADDRESS.intersection(map(_spelled, callback.inputs)):
                continue
            values = _run(callback, view)
            if figures:
                yield Card(FIGURES, figures=[_figure(layout, name, values) for name in figures])
            if told := _facts(values):
                yield Card(FIGURES, figures=told)
            for name in said:
                yield _words(layout, name, values)
            for name in (one for one in shown if values.get((f"{one}-card", "style")) != HIDDEN):
                yield _card(layout, name, values)


def _as_on_page(callbacks: Sequence[Registered], layout: Component) -> list[Registered]:
    """The callbacks in the order of what they fill. Those that ask the most are registered last."""
    places = {str(getattr(one, "id", "")): number for number, one in enumerate(layout._traverse())}
    return sorted(
        callbacks, key=lambda one: min(places.get(str(each.component_id), len(places)) for each in one.outputs)
    )


def _spelled(one: Any) -> tuple[str, str]:
    return str(one.component_id), str(one.component_property)


def _run(callback: Registered, view: View) -> Values:
    """The values that a callback sets for the address of a view."""
    given = {**dict.fromkeys(ADDRESS, view.search), ("url", "pathname"): view.path}
    results = callback.function(*(given.get(_spelled(one)) for one in callback.inputs))
    return dict(zip(map(_spelled, callback.outputs), results, strict=True))


def _words(layout: Component, name: str, values: Values) -> Card:
    """A card of sentences, or the message in their place."""
    title, said = text_of(layout[f"{name}-title"]), values[f"{name}-said", "children"]
    if not isinstance(said, list):
        return Card(title, instead=_said(values[f"{name}-message", "children"]))
    return Card(title, sentences=[text_of(each, "") for each in said])


def _facts(values: Values) -> list[tuple[str, ...]]:
    """The label, the value and the hint of each figure card that `tables.facts` has drawn."""
    children = [one for value in values.values() for one in (value if isinstance(value, list) else [value])]
    drawn = [one.html for one in children if isinstance(one, StaticHtml) and one.html[0] == "dl"]
    return [(label[-1], *(part[-1] for part in said[2:])) for _, _, *cards in drawn for _, _, label, said in cards]


def _card(layout: Component, name: str, values: Values) -> Card:
    title, instead = text_of(layout[f"{name}-title"]), _said(values.get((f"{name}-message", "children")))
    shown = values[f"{name}-shown", "data"]
    if instead or not isinstance(shown, dict):
        return Card(title, instead=instead or "Nothing to show.")
    rows = shown["rows"]
    looks = [(shown["units"].get(column), shown["hidden"].get(column, "–")) for column in shown["columns"]]
    bars = [row[-1] or 0 for row in rows] if "Share" in shown["columns"][-1:] else []
    return Card(
        title,
        about=_definition(layout, name),
        summary=text_of(values.get((f"{name}-summary", "children"))),
        note=text_of(values.get((f"{name}-note", "children"))).replace(MARKS, "Releases"),  # the picture has no marks
        columns=list(shown["columns"]),
        texts=[any(isinstance(value, str) for value in column) for column in zip(*rows, strict=True)],
        rows=[[_cell(value, *look) for value, look in zip(row, looks, strict=True)] for row in rows],
        bars=bars,
        picture=line_picture(rows) if "Date" in shown["columns"][:1] else chart_picture(values.get((name, "figure"))),
    )


def _definition(layout: Component, name: str) -> str:
    """What the glossary says of a card, if it leads there."""
    parts = layout[f"{name}-card"]._traverse() if f"{name}-card" in layout else ()
    terms = (term for one in parts if (term := getattr(one, "data-glossary", "")))
    return next((TERMS[term].text for term in terms), "")


def _figure(layout: Component, name: str, values: Values) -> tuple[str, str, str]:
    label = ""
    for card in layout._traverse():
        if getattr(card, "className", "") == "card figure-card" and f"{name}-value" in card:
            label = text_of(card.children[0])
    return label, *(text_of(values.get((f"{name}-{part}", "children"))) for part in ("value", "hint"))  # type: ignore[return-value]


def _said(message: Any) -> str:
    """The heading and the paragraphs of a message, without what it offers to click."""
    if not isinstance(message, Component):
        return text_of(message)
    texts = [text_of(each) for each in message._traverse() if isinstance(each, (html.H2, html.P))]
    return " ".join(text if text.endswith(".") else f"{text}." for text in texts)


def text_of(content: Any, between: str = " ") -> str:
    """The text of a component, with `between` between the texts of its parts."""
    if isinstance(content, Component):
        content = getattr(content, "children", None)
    if isinstance(content, (list, tuple)):
        return between.join(filter(None, (text_of(each, between) for each in content)))
    return "" if content is None or isinstance(content, Component) else str(content)


def with_figures_together(cards: Iterable[Card]) -> list[Card]:
    """The cards, with figures that follow each other on one."""
    found: list[Card] = []
    for card in cards:
        if card.figures and found and found[-1].figures:
            found[-1].figures.extend(card.figures)
        else:
            found.append(card)
    return found


def filters_in_words(chosen: Filters, page: Page) -> list[str]:
    """Module, range, conditions and comparison, each as a short text; the last only on a page that compares."""
    found = [chosen.module or "All modules", RANGES.get(chosen.range, "Fixed days")]
    for name, value in chosen.conditions.items() if "filters" in page.controls else ():
        dimension, dot, operation = name.partition(".")
        sign = SIGNS[dot + operation]
        found.append(f"{DIMENSIONS[dimension]}{'' if sign == ':' else ' '}{sign} {value}")
    return [*found, *([COMPARISONS[chosen.compare]] if chosen.compare != "off" and "compare" in page.controls else [])]


def _cell(value: str | float | None, unit: Unit | None, hidden: str) -> str:
    if value is None or isinstance(value, str):
        return hidden if value is None else value
    if unit == "points":
        return points(value)
    if unit == "number":
        return formatting.decimal(value)
    return formatting.share(value) if isinstance(value, float) and unit is None else formatting.count(value)
