"""The building blocks of the pages: heading, figure card, chart card."""

from typing import Any

import dash_mantine_components as dmc
from dash import dcc, html

from dashboard.charts import CHARTS, CONFIG, Figure


def heading(page: str, title: str, text: str) -> html.Div:
    """The page's title; `<page>-fresh` says later how fresh the figures are, `<page>-notice` what is wrong."""
    return html.Div(
        [
            html.Div(
                [dmc.Title(title, order=1, size="h2"), html.Span(id=f"{page}-fresh", className="fresh")],
                className="heading",
            ),
            dmc.Text(text, c="dimmed", size="sm", className="lead"),
            html.Div(id=f"{page}-notice", role="status"),
        ]
    )


def figure_card(label: str, value: str, hint: str = "") -> html.Div:
    """One number with its name above and what it means below."""
    told = [html.Span(value, className="figure-value"), html.Span(hint, className="figure-hint")]
    return html.Div(
        [html.Dt(label), html.Dd(told)],
        className="card figure-card",
    )


def chart_card(name: str, tools: Any = None, height: int = 220) -> html.Section:
    """The place of the chart `name` of the registry, `<name>-card`; `<name>-body` is filled by its callback."""
    chart = CHARTS[name]
    return html.Section(
        [
            html.Div([html.H2(chart.title, id=f"{name}-title"), tools], className="card-head"),
            loading(html.Div(id=f"{name}-body", className="chart", style={"minHeight": height}), height),
            html.P(chart.note, className="card-note", id=f"{name}-note"),
        ],
        className="card",
        id=f"{name}-card",
        **{"aria-labelledby": f"{name}-title"},
    )


def loading(content: Any, height: int) -> dcc.Loading:
    """`content`, dimmed while it is fetched; a grey block where there is nothing to dim yet."""
    return dcc.Loading(
        content,
        delay_show=250,
        overlay_style={"visibility": "visible", "opacity": 0.45},
        custom_spinner=html.Div(className="loading", style={"height": height}),
    )


def graph(name: str, figure: Figure, summary: str) -> list[Any]:
    """The drawn chart, and in words (`<name>-summary`) what it shows for those who do not see it."""
    return [
        html.Div(
            dcc.Graph(id=name, figure=figure, config=CONFIG, style={"height": figure["layout"]["height"]}),
            **{"aria-hidden": "true"},
        ),
        html.P(summary, id=f"{name}-summary", className="visually-hidden"),
    ]
