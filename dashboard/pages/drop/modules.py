"""The installs hurt by module."""

from typing import Any

from dashboard import messages
from dashboard.charts.bars import known_rows
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import fewer
from dashboard.links import link
from dashboard.pages.drop.versions import OF_VERSIONS
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Linked, Part, TableCard, table
from warehouse.queries.dimensions import dimension_of
from warehouse.queries.small_groups import OTHER

MOST = 12  # modules
NOT_TOLD = (
    "Not told: none, or a number, small or large, that would tell a group of {few} installs. These modules come last, "
    "the largest first. A narrower question, such as PHP 7.4 in place of PHP up to 7.4, may be answered."
)


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.conditions:
        return NOTHING
    of_versions = OF_VERSIONS & set(map(dimension_of, chosen.conditions))
    if of_versions and not chosen.module:
        return Instead(messages.choose_module())
    names = [chosen.module] if of_versions else _active(data, chosen)
    rows = []
    args = {name: value for name, value in chosen.args().items() if name != "module"}
    for name, answer in data.drop_of_each_module(args, names[:MOST]).items():
        upgrading = answer["still_upgrading"]["share"]
        linked = Linked(name, link("/drop", search, {"module": name}))
        rows.append((linked, answer["installs"], Part(answer["share"]), Part(upgrading)))
    rows.sort(key=lambda row: -(row[1] or 0))  # what is not told stays in the order of the modules' sizes
    notes = [f"The {MOST} largest of {len(names)} modules."] if len(names) > MOST else []
    notes += ["Versions are those of one module: other modules are not listed."] if of_versions else []
    if any(number is None or upgrading.share is None for _, number, _, upgrading in rows):
        notes.append(NOT_TOLD.format(few=fewer(data.k)))
    columns = ("Module", "Installs hurt", "Share", "Of those that still upgrade")
    calls = [api_call("drop", chosen.args(module=name)) for name in names[:MOST]]
    return table("Installs hurt by module", columns, rows, calls, " ".join(notes))


def _active(data: DataSource, chosen: Filters) -> list[str]:
    """The names of the modules, the largest first."""
    days = {"from": chosen.start.isoformat(), "to": chosen.end.isoformat()}
    found = known_rows(data.ask("installs", {**days, "by": "module", "grain": "period"})["rows"])
    return [str(row["key"]) for row in found if row["key"] != OTHER]


CARD = TableCard("drop-modules", "By module", _read)
