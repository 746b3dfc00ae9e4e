"""The building blocks of pages: heading, figure card, chart card."""

from dataclasses import asdict, dataclass
from typing import Any

from dash import Output, dcc, html

from dashboard import mantine as dmc
from dashboard.charts.registry import CHARTS
from dashboard.charts.style import BLANK, CONFIG, Figure
from dashboard.charts.tables import ShownTable
from dashboard.glossary import TERMS
from dashboard.icons import icon
from dashboard.regions import loading, region

GLOSSARY = "/glossary"
NOTHING_SHOWN = ShownTable()


def heading(page: str, title: str, text: str) -> html.Div:
    """The title of a page; `freshness.register` fills `<page>-fresh` and `<page>-notice`."""
    return html.Div(
        [
            html.Div(
                [dmc.Title(title, order=1, size="h2"), html.Span(id=f"{page}-fresh", className="fresh")],
                className="heading",
            ),
            dmc.Text(text, c="dimmed", size="sm", className="lead"),
            html.Div(id=f"{page}-freshness-message"),
            html.Div(id=f"{page}-notice", role="status"),
        ]
    )


@dataclass(frozen=True)
class FigureText:
    """The texts of a figure card: the number, and below it what it means."""

    value: str
    hint: str = ""


def figure_card(name: str, label: str, term: str = "") -> html.Div:
    """One number: its label, `<name>-value`, and `<name>-hint`. `term` is its entry in the glossary."""
    number = [
        html.Span(id=f"{name}-value", className="figure-value"),
        html.Span(id=f"{name}-hint", className="figure-hint"),
    ]
    return html.Div([html.Dt([label, *definition(term)]), html.Dd(number)], className="card figure-card")


def figure_outputs(*names: str) -> list[Output]:
    """The outputs of figure cards, for the values that `figure_values` returns."""
    return [Output(f"{name}-{part}", "children") for name in names for part in ("value", "hint")]


def figure_values(*texts: FigureText) -> tuple[str, ...]:
    """The texts of figure cards, in the order of their outputs."""
    return tuple(part for text in texts for part in (text.value, text.hint))


def definition(term: str) -> list[Any]:
    """The mark that shows the definition of a term and leads to the glossary; nothing without a term."""
    if not term:
        return []
    said = TERMS[term]
    link = dmc.Anchor(
        icon("info"), href=f"{GLOSSARY}#term-{term}", className="definition",
        **{"aria-label": f"Definition of {said.title}", "data-glossary": term},
    )  # fmt: skip
    events = {"hover": True, "focus": True, "touch": True}
    return [dmc.Tooltip(link, label=said.text, events=events, multiline=True, w=280, withArrow=True)]


@dataclass(frozen=True)
class DrawnChart:
    """A chart as its card shows it; `summary` says in words what the figure shows, for screen readers."""

    figure: Figure
    summary: str
    note: str = ""
    shown: ShownTable = NOTHING_SHOWN


def chart_card(name: str, tools: Any = None, height: int = 220, *, refreshed: bool = False) -> html.Section:
    """The card of a chart of the registry. The card is `<name>-card`, its region and its graph `<name>`.

    With `refreshed` the graph is not dimmed while its callback runs, because it would flicker at every refresh.
    """
    chart = CHARTS[name]
    graph = html.Div(
        dcc.Graph(id=name, figure=BLANK, config=CONFIG, style={"height": height}), **{"aria-hidden": "true"}
    )
    title = html.Div([html.H2(chart.title, id=f"{name}-title"), *definition(chart.term)], className="card-title")
    return html.Section(
        [
            html.Div([title, tools], className="card-head"),
            *region(
                name,
                graph if refreshed else loading(graph, height),
                html.P(id=f"{name}-summary", className="visually-hidden"),
                html.P(id=f"{name}-note", className="card-note"),
                *shown_table(name, chart.title),
                className="chart",
            ),
        ],
        className="card",
        id=f"{name}-card",
        **{"aria-labelledby": f"{name}-title"},
    )


def shown_table(name: str, title: str, *, files: bool = True) -> list[Any]:
    """The foot of a card: its table and read API calls, and with `files` its CSV and its PNG file.

    The browser makes all of them from `<name>-shown` (`assets/card_files.js`), so they are what the card shows.
    """

    def button(kind: str) -> html.Button:
        label = f"Download {title} as {kind.upper()}"
        data = {"data-card": name, "data-file": kind, "aria-label": label}
        return html.Button(kind.upper(), type="button", className="card-file", title=label, **data)

    return [
        dcc.Store(id=f"{name}-shown"),
        html.Div(
            [
                html.Details(
                    [
                        html.Summary("Table and API call", **{"aria-label": f"Table and API call of {title}"}),
                        html.Div(id=f"{name}-table", className="shown-table"),
                    ],
                    **{"data-card": name},
                ),
                html.Div([button(kind) for kind in ("csv", "png")] if files else [], className="card-files"),
            ],
            className="card-foot",
        ),
    ]


def chart_outputs(name: str) -> list[Output]:
    """The outputs of a chart card, for the values that `chart_values` returns."""
    return [
        Output(name, "figure"),
        Output(name, "style"),
        Output(f"{name}-summary", "children"),
        Output(f"{name}-note", "children"),
        Output(f"{name}-shown", "data"),
    ]


def chart_values(drawn: DrawnChart) -> tuple[Any, ...]:
    """A chart as the outputs of its card take it."""
    style = {"height": drawn.figure["layout"]["height"]}
    return drawn.figure, style, drawn.summary, drawn.note, asdict(drawn.shown)
