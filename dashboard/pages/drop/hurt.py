"""How many installs it would hurt: of all that answer, of those that still upgrade, and how many answer."""

from typing import Any

from dash import Output, html

from dashboard.data_source import DataSource
from dashboard.filters import Filters
from dashboard.formatting import count, days, fewer, share
from dashboard.permissions import Callbacks, Page
from dashboard.regions import Instead, fill, region
from dashboard.tables import NOTHING, facts


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
            f"of {count(coverage['active'])} active installs; the others do not report it",
        ),
    )  # fmt: skip


def _part(part: dict[str, Any], k: int, hint: str) -> tuple[str, str]:
    if part["share"] is None:
        return "–", f"{fewer(k)} installs, or all but so few"
    return share(part["share"]), f"{count(part['installs'])} of {count(part['of'])} installs, {hint}"


def _of_all(data: DataSource, chosen: Filters) -> html.Dl:
    """Without a module: installs by their latest report. What still upgrades is a question about one module."""
    hit = data.total(chosen.args(count="latest"))
    active = data.total({"from": chosen.start.isoformat(), "to": chosen.end.isoformat(), "count": "latest"})
    known = hit is not None and active
    return facts(
        (
            "Installs hurt",
            share(hit / active) if known and hit and active else "–",
            f"{count(hit)} of {count(active)} active installs, {days(chosen.start, chosen.end)}" if hit and active
            else f"{fewer(data.k)} installs, or none",
        ),
        ("Of those that still upgrade", "–", "choose a module: versions are those of one module"),
    )  # fmt: skip
