"""The versions in use: installs, share and change, with links to who is on them."""

from typing import Any

from dashboard import messages
from dashboard import releases as of_module
from dashboard.conditions import OF_VERSIONS, admits, all_in_words, among, not_applied
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters, without
from dashboard.links import filter_link, link
from dashboard.regions import Instead
from dashboard.significance import may_be_chance
from dashboard.tables import NOTHING, Cell, Change, Offer, Part, TableCard, change_in_words, table
from warehouse.queries.small_groups import OTHER

MOST = 15


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.module:
        return NOTHING
    # Shares are of all versions: beside themselves alone, those of the filters would have 100%.
    chosen, unused = without(chosen, ("feature",))
    chosen, left = without(chosen, OF_VERSIONS)
    installs = of_module.reported(data, chosen)
    listed = [version for version in installs if not left or (version != OTHER and admits(left, version))]
    if not listed:
        return Instead(messages.too_few(data.k))
    compared = data.compared(chosen)
    now, before = (of_module.reported(data, one) for one in compared) if compared else ({}, {})
    total = sum(installs.values())
    rows: list[tuple[Cell, ...]] = []
    for version in listed[:MOST]:
        number = installs[version]
        run = filter_link("/platforms", search, "version", version)
        drop = link("/drop", search, {"version.le": version}) if version != OTHER else ""
        rows.append(
            (
                version,
                number,
                Part(number / total),
                _change(version, now, before, data.rounding),
                Offer("what they run" if run else "", run),
                Offer("drop?" if drop else "", drop),
            )
        )
    note = "By the latest report of each install, newest version first. Shares are of the module's "
    note += among(chosen.conditions)
    note += f" on any version; only those that meet the filter {all_in_words(left)} are listed." if left else "."
    note += f" {len(listed) - MOST} older versions are not listed." if len(listed) > MOST else ""
    note += f" {change_in_words(data, chosen)} {not_applied(unused)}"
    columns = ("Version", "Installs", "Share", "Change", "Platform", "Up to this version")
    calls = [api_call("installs", of_module.args_of(chosen, "version"))]
    return table("Versions in use", columns, rows, calls, note.strip())


def _change(version: str, now: dict[str, int], before: dict[str, int], rounding: int) -> Change:
    """The change of a version's share. The installs by version of both periods are rounded down by up to `rounding`."""
    if version not in now or version not in before:
        return Change(None)
    parts = now[version], sum(now.values()), before[version], sum(before.values())
    part, of, part_before, of_before = parts
    return Change(part / of - part_before / of_before, may_be_chance(*parts, rounding))


CARD = TableCard("versions-in-use", "Who is on which version", _read)
