"""The ends of life of PHP and WHMCS, beside the installs on each series."""

from datetime import date
from typing import Any

from dashboard import end_of_life, filters, messages
from dashboard.answer_rows import known_rows
from dashboard.data_source import DataSource, api_call
from dashboard.end_of_life import Ends
from dashboard.filters import Filters, unfiltered
from dashboard.formatting import day
from dashboard.pages.drop import suggestions
from dashboard.regions import Instead
from dashboard.tables import Cell, Part, TableCard, table
from warehouse.queries import dimensions
from warehouse.queries.small_groups import OTHER


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    today = filters.today()
    rows: list[tuple[Cell, ...]] = []
    notes = []
    for dimension, product in end_of_life.known().items():
        if product.ends:
            rows += _rows(data, chosen, dimension, product, today)
        said = f"as known on {day(product.known)}" if product.ends else "none is entered in end_of_life.toml"
        notes.append(f"Dates of {product.title}: {said}; see {product.source}.")
    if not rows:
        return Instead(messages.too_few(data.k))
    calls = [api_call("installs", _args(chosen, dimension)) for dimension in end_of_life.known()]
    columns = ("Series", "Security fixes until", "Share of installs")
    return table("End of life by series", columns, rows, calls, " ".join(notes))


def _rows(data: DataSource, chosen: Filters, dimension: str, product: Ends, today: date) -> list[tuple[Cell, ...]]:
    """The series that installs report, oldest first, whatever is dropped; the small ones last, in one row."""
    found = {
        str(row["key"]): int(row["value"])
        for row in known_rows(
            data.ask("installs", _args(chosen, dimension), side_by_side=suggestions.DIMENSIONS)["rows"]
        )
        if row["key"]
    }
    total = sum(found.values())
    named = sorted(
        (one for one in found if dimensions.order(dimension, one)[0]), key=lambda one: dimensions.order(dimension, one)
    )
    rows: list[tuple[Cell, ...]] = [
        (f"{product.title} {one}", until(product.ends.get(one), today), Part(found[one] / total)) for one in named
    ]
    rest = total - sum(found[one] for one in named)
    return [*rows, (f"{product.title} {OTHER}", "several series", Part(rest / total))] if rest else rows


def _args(chosen: Filters, dimension: str) -> dict[str, str]:
    return unfiltered(chosen).args(by=dimension, grain="period", count="latest")


def until(end: date | None, today: date) -> str:
    """When the fixes end, or that they did."""
    if end is None:
        return "not known"
    return f"{day(end)} (over)" if end < today else day(end)


CARD = TableCard("drop-ends", "End of life", _read)
