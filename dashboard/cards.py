"""The building blocks of pages: heading, figure card, chart card."""

from dataclasses import dataclass
from typing import Any

import dash_mantine_components as dmc
from dash import Output, dcc, html

from dashboard.charts.registry import CHARTS
from dashboard.charts.style import BLANK, CONFIG, Figure
from dashboard.regions import loading, region


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


def figure_card(name: str, label: str) -> html.Div:
    """One number: its label, `<name>-value`, and `<name>-hint`."""
    number = [
        html.Span(id=f"{name}-value", className="figure-value"),
        html.Span(id=f"{name}-hint", className="figure-hint"),
    ]
    return html.Div([html.Dt(label), html.Dd(number)], className="card figure-card")


def figure_outputs(*names: str) -> list[Output]:
    """The outputs of figure cards, for the values that `figure_values` returns."""
    return [Output(f"{name}-{part}", "children") for name in names for part in ("value", "hint")]


def figure_values(*texts: FigureText) -> tuple[str, ...]:
    """The texts of figure cards, in the order of their outputs."""
    return tuple(part for text in texts for part in (text.value, text.hint))


@dataclass(frozen=True)
class DrawnChart:
    """A chart as its card shows it; `summary` says in words what the figure shows, for screen readers."""

    figure: Figure
    summary: str
    note: str = ""


def chart_card(name: str, tools: Any = None, height: int = 220, *, refreshed: bool = False) -> html.Section:
    """The card of a chart of the registry. The card is `<name>-card`, its region and its graph `<name>`.

    With `refreshed` the graph is not dimmed while its callback runs, because it would flicker at every refresh.
    """
    graph = html.Div(
        dcc.Graph(id=name, figure=BLANK, config=CONFIG, style={"height": height}), **{"aria-hidden": "true"}
    )
    return html.Section(
        [
            html.Div([html.H2(CHARTS[name].title, id=f"{name}-title"), tools], className="card-head"),
            *region(
                name,
                graph if refreshed else loading(graph, height),
                html.P(id=f"{name}-summary", className="visually-hidden"),
                html.P(id=f"{name}-note", className="card-note"),
                className="chart",
            ),
        ],
        className="card",
        id=f"{name}-card",
        **{"aria-labelledby": f"{name}-title"},
    )


def chart_outputs(name: str) -> list[Output]:
    """The outputs of a chart card, for the values that `chart_values` returns."""
    return [
        Output(name, "figure"),
        Output(name, "style"),
        Output(f"{name}-summary", "children"),
        Output(f"{name}-note", "children"),
    ]


def chart_values(drawn: DrawnChart) -> tuple[Any, ...]:
    """A chart as the outputs of its card take it."""
    return drawn.figure, {"height": drawn.figure["layout"]["height"]}, drawn.summary, drawn.note
