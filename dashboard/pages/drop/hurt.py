"""How many installs it would hurt: of all that answer, of those that still upgrade, and how many answer."""

from typing import Any

from dash import Output, html

from dashboard.charts.bars import known_rows
from dashboard.data_source import DataSource
from dashboard.filters import Filters, unfiltered
from dashboard.formatting import count, days, plural, share, withheld
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from dashboard.tables import NOTHING, facts
from warehouse.queries.dimensions import dimension_of


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
        return (_of_module(data, chosen) if chosen.module else _of_all(data, chosen),)


def _of_module(data: DataSource, chosen: Filters) -> html.Dl:
    answer = data.question("drop", chosen.args())
    coverage = answer["coverage"]
    upgrading = answer["still_upgrading"]
    return facts(
        ("Installs hurt", *_part(answer, data.k, f"of {chosen.module}, {days(chosen.start, chosen.end)}")),
        ("Of those that still upgrade", *_part(upgrading, data.k, "changed their version within six months")),
        (
            "Answered",
            "–" if coverage["answered"] is None else count(coverage["answered"]),
            "too few to say of how many" if coverage["active"] is None else
            f"of {plural(coverage['active'], 'active install')}; the others do not report it",
        ),
    )  # fmt: skip


def _part(part: dict[str, Any], k: int, hint: str) -> tuple[str, str]:
    if part["share"] is None:
        return "–", withheld(k) if k > 1 else "no installs"
    return share(part["share"]), f"{count(part['installs'])} of {plural(part['of'], 'install')}, {hint}"


def _of_all(data: DataSource, chosen: Filters) -> html.Dl:
    """Without a module: installs by their latest report. What still upgrades is a question about one module."""
    hit = data.total(chosen.args(count="latest"))
    dimension = dimension_of(next(iter(chosen.conditions)))
    reported = unfiltered(chosen).args(by=dimension, grain="period", count="latest")
    answered = sum(row["value"] for row in known_rows(data.ask("installs", reported)["rows"]) if row["key"])
    active = data.total(unfiltered(chosen).args())
    return facts(
        (
            "Installs hurt",
            share(hit / answered) if hit and answered else "–",
            f"{count(hit)} of {plural(answered, 'install')}, {days(chosen.start, chosen.end)}" if hit and answered
            else withheld(data.k) if data.k > 1 else "no installs",
        ),
        ("Of those that still upgrade", "–", "choose a module: versions are those of one module"),
        (
            "Answered",
            count(min(answered, active or answered)),
            f"of {plural(active, 'active install')}; the others do not report it" if active else "",
        ),
    )  # fmt: skip
