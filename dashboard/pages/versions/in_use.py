"""The versions in use: installs, share and change, with links to who is on them."""

from typing import Any

from dashboard import filters, messages
from dashboard import releases as of_module
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.links import filter_link, link
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Cell, Change, Linked, Part, TableCard, table
from warehouse.queries.small_groups import OTHER

MOST = 15


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.module:
        return NOTHING
    installs = of_module.reported(data, chosen)
    if not installs:
        return Instead(messages.too_few(data.k))
    compared = chosen.compared(filters.today())
    now, before = (_shares(of_module.reported(data, one)) for one in compared) if compared else ({}, {})
    total = sum(installs.values())
    rows: list[tuple[Cell, ...]] = []
    for version, number in list(installs.items())[:MOST]:
        change = now[version] - before[version] if version in now and version in before else None
        run = Linked("what they run", filter_link("/platforms", search, "version", version))
        drop = link("/drop", search, {"version.le": version}) if version != OTHER else ""
        rows.append(
            (
                version,
                number,
                Part(number / total),
                Change(change),
                run if run.href else "",
                Linked("drop?", drop) if drop else "",
            )
        )
    note = "By the latest report of each install, newest version first."
    note += f" {len(installs) - MOST} older versions are not listed." if len(installs) > MOST else ""
    columns = ("Version", "Installs", "Share", "Change", "Platform", "Up to this version")
    calls = [api_call("installs", of_module.args_of(chosen, "version"))]
    return table("Versions in use", columns, rows, calls, note)


def _shares(installs: dict[str, int]) -> dict[str, float]:
    total = sum(installs.values())
    return {version: number / total for version, number in installs.items()} if total else {}


CARD = TableCard("versions-in-use", "Who is on which version", _read)
