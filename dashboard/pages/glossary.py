"""Glossary: what each figure means. The marks beside titles and figures lead here."""

from dash import Dash, html

from dashboard.cards import heading
from dashboard.data_source import DataSource
from dashboard.glossary import TERMS
from dashboard.permissions import Callbacks, Page


def layout() -> html.Div:
    """The page. It has no figures."""
    terms = sorted(TERMS.items(), key=lambda term: term[1].title.strip("()").lower())
    entries = [html.Div([html.Dt(term.title), html.Dd(term.text)], id=f"term-{name}") for name, term in terms]
    return html.Div(
        [
            heading("glossary", "Glossary", "What the figures mean, on pages, in files and in the read API."),
            html.Dl(entries, className="card glossary"),
        ]
    )


def register(page: Page, dash_app: Dash, callbacks: Callbacks, data: DataSource) -> None:
    """The page has no callbacks."""
