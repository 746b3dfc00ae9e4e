"""The installs hurt by version of the module."""

from typing import Any

from dashboard import messages
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import fewer
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Part, TableCard, table
from warehouse.queries import dimensions
from warehouse.queries.dimensions import dimension_of, is_condition
from warehouse.queries.small_groups import OTHER

MOST = 20
OF_VERSIONS = {"version", "version_series"}


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.conditions:
        return NOTHING
    if not chosen.module:
        return Instead(messages.choose_module())
    answer = data.question("drop", chosen.args())
    found = [row for row in answer["rows"] if _may_be_dropped(row["version"], chosen)]
    if not found:
        return Instead(messages.not_told(data.k, condition=any(map(is_condition, chosen.conditions))))
    rows = [(row["version"], row["installs"], row["of"], Part(row["share"])) for row in found[:MOST]]
    columns = ("Version", "Installs hurt", "Of", "Share")
    notes = [f"The {MOST} versions with the most installs hurt."] if len(found) > MOST else []
    if any(row["installs"] is None for row in found):
        notes.append(f"Not told: none, or {fewer(data.k)}.")
    return table("Installs hurt by version", columns, rows, [api_call("drop", chosen.args())], " ".join(notes))


def _may_be_dropped(version: str, chosen: Filters) -> bool:
    """Whether a version meets what is asked of versions. By definition, others have no installs hurt."""
    asked = {name: value for name, value in chosen.conditions.items() if dimension_of(name) in OF_VERSIONS}
    return version == OTHER or all(
        dimensions.matches(name, value, dimensions.roll_up(dimension_of(name), version))
        for name, value in asked.items()
    )


CARD = TableCard("drop-versions", "By version of the module", _read)
