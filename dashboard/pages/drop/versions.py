"""The installs hurt by version of the module."""

from typing import Any

from dashboard import messages
from dashboard.conditions import admits
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import fewer
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Part, TableCard, table
from warehouse.queries.dimensions import is_condition
from warehouse.queries.small_groups import OTHER

MOST = 20


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.conditions:
        return NOTHING
    if not chosen.module:
        return Instead(messages.choose_module())
    answer = data.question("drop", chosen.args())
    # By definition, no install is hurt on a version that does not meet what is asked of versions.
    found = [row for row in answer["rows"] if row["version"] == OTHER or admits(chosen.conditions, row["version"])]
    if not found:
        return Instead(messages.not_told(data.k, condition=any(map(is_condition, chosen.conditions))))
    rows = [(row["version"], row["installs"], row["of"], Part(row["share"])) for row in found[:MOST]]
    columns = ("Version", "Installs hurt", "Of", "Share")
    notes = [f"The {MOST} versions with the most installs hurt."] if len(found) > MOST else []
    if any(row["installs"] is None for row in found):
        notes.append(f"Not told: none, or {fewer(data.k)}.")
    return table("Installs hurt by version", columns, rows, [api_call("drop", chosen.args())], " ".join(notes))


CARD = TableCard("drop-versions", "By version of the module", _read)
