"""Cards of plain HTML: tables with bars, and heat maps. They need no chart library, and a screen reader reads them."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from dash import Output, dcc, html

from dashboard.cards import definition, shown_table
from dashboard.charts.tables import ShownTable
from dashboard.data_source import DataSource
from dashboard.filters import Filters, before_in_words
from dashboard.formatting import count, share
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from dashboard.static_html import StaticHtml, static

NOT_TOLD = "not told"
# What a card shows while another part of the page says why there is nothing.
NOTHING = Instead("")


@dataclass(frozen=True)
class Linked:
    """A cell with a link; without `href` it is text. With `refine` the link changes the filters of the page."""

    text: str
    href: str = ""
    refine: bool = False


@dataclass(frozen=True)
class Offer(Linked):
    """A cell that is only a link, without a figure or a name: its column is not in the file."""


@dataclass(frozen=True)
class Part:
    """A share with a bar; None is not told."""

    share: float | None


@dataclass(frozen=True)
class Change:
    """A difference of two shares, from -1 to 1; None is unknown. It is grey if it may be `chance`."""

    points: float | None
    chance: bool = False


Cell = str | int | None | Linked | Part | Change


def table_card(name: str, title: str, tools: Any = None, term: str = "") -> html.Section:
    """A card with `<name>-body` and `<name>-note`, filled by `table_outputs`. Its region is `<name>`.

    Like a chart it has its figures as a table, as a CSV and a PNG file, and as calls of the read API.
    """
    heading = html.Div([html.H2(title, id=f"{name}-title"), *definition(term)], className="card-title")
    return html.Section(
        [
            html.Div([heading, tools], className="card-head"),
            *region(
                name,
                html.Div(id=f"{name}-body", className="awaited"),
                html.P(id=f"{name}-note", className="card-note"),
                *shown_table(name, title),
            ),
        ],
        className="card",
        id=f"{name}-card",
        **{"aria-labelledby": f"{name}-title"},
    )


@dataclass(frozen=True)
class TableCard:
    """A card with a table or a heat map, and the function that fills it for the filters of an address.

    `read` takes the data, the filters and the address, and returns what `table` or `heat_map` do.
    """

    name: str
    title: str
    read: Callable[[DataSource, Filters, str], Instead | tuple[Any, ...]]
    term: str = ""

    def layout(self) -> html.Section:
        """The card, empty."""
        return table_card(self.name, self.title, None, self.term)

    def register(self, page: Page, callbacks: Callbacks, data: DataSource, search: Any) -> None:
        """The callback of the card."""

        @fill(callbacks, page, self.name, table_outputs(self.name), search)
        def read(search: str) -> Instead | tuple[Any, ...]:
            return self.read(data, data.chosen(search), search)


def table_outputs(name: str) -> list[Output]:
    """The outputs of a table card, for what `table` and `heat_map` return."""
    return [Output(f"{name}-body", "children"), Output(f"{name}-note", "children"), Output(f"{name}-shown", "data")]


def table(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    calls: Sequence[str],
    note: str = "",
    *,
    clear: int | None = None,
) -> tuple[Any, ...]:
    """A table as the outputs of its card take it.

    The first column has the headings of the rows. `caption` is for screen readers, `calls` are those of the read API.
    The rows after the first `clear` ones are dimmed.
    """
    body = [
        html.Tr(
            [html.Th(_cell(first), scope="row"), *(html.Td(_cell(cell), className=_class(cell)) for cell in rest)],
            className="dim" if clear is not None and number >= clear else "",
        )
        for number, (first, *rest) in enumerate(rows)
    ]
    shown = _shown(columns, rows, calls)
    looks = [_class(cell) for cell in rows[0]] if rows else [""] * len(columns)
    heads = [html.Th(title, scope="col", className=look) for title, look in zip(columns, looks, strict=True)]
    return _scrolled(caption, heads, body, "plain-table"), note, asdict(shown)


def heat_map(
    caption: str,
    columns: Sequence[str],
    rows: Sequence[tuple[Cell, Sequence[float | None]]],
    calls: Sequence[str],
    note: str = "",
    links: Sequence[Sequence[str]] = (),
) -> tuple[Any, ...]:
    """A table of shares, each of which is the depth of its cell's color, as the outputs of its card take it.

    `links` has an address for each cell, which filters by both of its keys.
    """
    body = [
        html.Tr(
            [
                html.Th(_cell(first), scope="row"),
                *(_warm(part, links[row][column] if links else "") for column, part in enumerate(parts)),
            ]
        )
        for row, (first, parts) in enumerate(rows)
    ]
    shown = [[_value(first), *parts] for first, parts in rows]
    heads = [html.Th(title, scope="col") for title in columns]
    return _scrolled(caption, heads, body, "heat-map"), note, asdict(ShownTable(columns, shown, calls))


def facts(*pairs: tuple[str, str, str]) -> StaticHtml:
    """Figure cards: of each a label, a value, and what it means."""
    cards = [
        html.Div(
            [
                html.Dt(label),
                html.Dd([html.Span(value, className="figure-value"), html.Span(hint, className="figure-hint")]),
            ],
            className="card figure-card",
        )
        for label, value, hint in pairs
    ]
    return static(html.Dl(cards, className="figures facts"))


def change_from(data: DataSource, chosen: Filters) -> str:
    """What a change is from. Raises `QueryError` and `EngineError`."""
    if chosen.compare == "off":
        return "no comparison"
    periods = data.compared(chosen)
    if periods is None:
        return "nothing complete to compare with"
    return f"from {before_in_words(periods[1])}, both of complete days"


def change_in_words(data: DataSource, chosen: Filters) -> str:
    """What the changes of a table are from, and which are grey; nothing without a comparison. Raises the same."""
    if chosen.compare == "off":
        return ""
    grey = "; grey: chance may explain it" if data.compared(chosen) else ""
    return f"Change: {change_from(data, chosen)}{grey}."


def points(change: float | None) -> str:
    """A difference of shares: `+3.4 points`, `−8 points`; a dash for none."""
    if change is None:
        return "–"
    text = f"{change * 100:+.1f}".removesuffix(".0").replace("-", "−")
    return "no change" if text in ("+0", "−0") else f"{text} points"


def anchor(text: Any, href: str, *, refine: bool, **properties: Any) -> Any:
    """A link. One that refines replaces the address, as the filter bar does (`assets/links.js`)."""
    return (
        html.A(text, href=href, **{"data-refine": "yes"}, **properties)
        if refine
        else dcc.Link(text, href=href, **properties)
    )


def _scrolled(caption: str, heads: list[html.Th], body: list[html.Tr], look: str) -> StaticHtml:
    inside = [html.Caption(caption, className="visually-hidden"), html.Thead(html.Tr(heads)), html.Tbody(body)]
    # What scrolls must be reachable by keyboard.
    scrolled = html.Div(
        html.Table(inside, className=look), className="scrolled", tabIndex=0, role="group", **{"aria-label": caption}
    )
    return static(scrolled)


def _warm(part: float | None, href: str) -> html.Td:
    if part is None:
        return html.Td("", className="cold")
    inside = anchor(share(part), href, refine=True) if href else share(part)
    return html.Td(inside, className="warm", style={"--part": f"{min(part, 1) * 100:.0f}%"})


def _shown(columns: Sequence[str], rows: Sequence[Sequence[Cell]], calls: Sequence[str]) -> ShownTable:
    """The table of the file, which has no columns of offers."""
    kept = [number for number in range(len(columns)) if not any(isinstance(row[number], Offer) for row in rows)]
    changes = {
        columns[number] for number in kept for row in rows
        if isinstance(cell := row[number], Change) and cell.points is not None
    }  # fmt: skip
    hidden = {columns[number]: NOT_TOLD for number in kept if any(row[number] in (None, Part(None)) for row in rows)}
    return ShownTable(
        [columns[number] for number in kept],
        [[_value(row[number]) for number in kept] for row in rows],
        calls,
        dict.fromkeys(sorted(changes), "points"),
        hidden,
    )


def _value(cell: Cell) -> str | float | None:
    """A cell as figures have it: a number, or a text."""
    if isinstance(cell, Linked):
        return cell.text
    if isinstance(cell, Part):
        return cell.share
    if isinstance(cell, Change):
        return cell.points
    return cell


def _cell(cell: Cell) -> Any:
    if isinstance(cell, Linked):
        return anchor(cell.text, cell.href, refine=cell.refine) if cell.href else cell.text
    if isinstance(cell, Part):
        return _part(cell)
    if isinstance(cell, Change):
        return html.Span(points(cell.points), className="dim") if cell.chance else points(cell.points)
    if cell is None:
        return html.Span(NOT_TOLD, className="dim")
    return cell if isinstance(cell, str) else count(cell)


def _part(part: Part) -> Any:
    if part.share is None:
        return html.Span(NOT_TOLD, className="dim")
    bar = html.Span(html.Span(style={"width": f"{min(part.share, 1) * 100:.1f}%"}), className="share-bar")
    return html.Span([bar, html.Span(share(part.share), className="number")], className="share")


def _class(cell: Cell) -> str:
    if isinstance(cell, Part):
        return "bar-cell"
    return "text-cell" if isinstance(cell, (str, Linked)) else "number-cell"
