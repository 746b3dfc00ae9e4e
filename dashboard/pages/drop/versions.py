"""The installs hurt by version of the module."""

from typing import Any

from dashboard import messages
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Part, TableCard, table

MOST = 20


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.conditions:
        return NOTHING
    if not chosen.module:
        return Instead(messages.choose_module())
    answer = data.question("drop", chosen.args())
    rows = [(row["version"], row["installs"], row["of"], Part(row["share"])) for row in answer["rows"][:MOST]]
    if not rows:
        return Instead(messages.too_few(data.k))
    columns = ("Version", "Installs hurt", "Of", "Share")
    note = f"The {MOST} versions with the most installs hurt." if len(answer["rows"]) > len(rows) else ""
    return table("Installs hurt by version", columns, rows, [api_call("drop", chosen.args())], note)


CARD = TableCard("drop-versions", "By version of the module", _read)
