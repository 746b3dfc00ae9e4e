"""A saved view as one self-contained HTML file: for a file, an e-mail or a colleague without a login.

A page can be reported if its module has `report(data, chosen)`, which yields its `Section`s.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import import_module
from typing import Any

from flask import render_template

from core.credentials import Role
from core.saved_views import View, ViewError
from dashboard import formatting
from dashboard.cards import DrawnChart, FigureText
from dashboard.data_source import DataSource, asking_as
from dashboard.display_names import DIMENSIONS
from dashboard.filter_bar import SIGNS
from dashboard.filters import COMPARISONS, RANGES, Filters
from dashboard.glossary import TERMS
from dashboard.permissions import Page, page_at
from dashboard.report_pictures import line_picture
from warehouse.queries.metrics import QueryError


@dataclass(frozen=True)
class Section:
    """A card of a report: figures with their labels, or a chart. With neither it has nothing to show.

    `term` is its entry in the glossary.
    """

    title: str
    drawn: DrawnChart | None = None
    figures: Sequence[tuple[str, FigureText]] = ()
    term: str = ""


def reported(view: View) -> tuple[Page, Callable[[DataSource, Filters], Iterator[Section]]]:
    """The page of a view, and what reports it. Raises `ViewError` for a page without a report."""
    page = page_at(view.path)
    module: Any = import_module(f"dashboard.pages.{page.name}") if page else None
    if page is None or not hasattr(module, "report"):
        raise ViewError(f"the page of the view {view.name} has no report")
    return page, module.report


def render(data: DataSource, view: View, role: Role, address: str = "") -> str:
    """The file, with the figures that this role sees. `address` is that of the dashboard.

    Raises `ViewError`, `QueryError` and `EngineError`. Needs a context of the Flask app.
    """
    page, report = reported(view)
    if role not in page.roles:
        raise ViewError(f"the role {role} may not open the page of the view {view.name}")
    with asking_as(role):
        try:
            chosen = data.chosen(view.search)
        except QueryError as error:
            raise ViewError(f"the address of the view {view.name} is not valid: {error}") from error
        return render_template(
            "report.html",
            view=view,
            page=page,
            days=formatting.days(chosen.start, chosen.end),
            filters=filters_in_words(chosen),
            fresh=formatting.moment(data.fresh_to() or datetime.now(UTC)),
            sections=[_shown(section) for section in report(data, chosen)],
            link=f"{address}{view.path}{view.search}" if address else "",
            synthetic=data.synthetic,
        )


def filters_in_words(chosen: Filters) -> list[str]:
    """Module, range, comparison and conditions, each as a short text."""
    found = [chosen.module or "All modules", RANGES.get(chosen.range, "Fixed days")]
    for name, value in chosen.conditions.items():
        dimension, dot, operation = name.partition(".")
        sign = SIGNS[dot + operation]
        found.append(f"{DIMENSIONS[dimension]}{'' if sign == ':' else ' '}{sign} {value}")
    return [*found, *([COMPARISONS[chosen.compare]] if chosen.compare != "off" else [])]


def _shown(section: Section) -> dict[str, Any]:
    drawn = section.drawn
    shown = drawn.shown if drawn else None
    rows = [[_cell(value) for value in row] for row in shown.rows] if shown else []
    bars = shown is not None and "Share" in shown.columns
    return {
        "title": section.title,
        "about": TERMS[section.term].text if section.term else "",
        "figures": section.figures,
        "summary": drawn.summary if drawn else "",
        "note": drawn.note if drawn else "",
        "columns": list(shown.columns) if shown else [],
        "rows": rows,
        "bars": [row[-1] for row in shown.rows] if bars and shown else [],
        "picture": line_picture(shown.rows) if shown and not bars else "",
    }


def _cell(value: str | float | None) -> str:
    if value is None:
        return "–"
    if isinstance(value, float):
        return formatting.share(value)
    return formatting.count(value) if isinstance(value, int) else value
