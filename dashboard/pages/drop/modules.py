"""The installs hurt by module."""

from collections.abc import Sequence
from typing import Any

from dashboard import messages
from dashboard.answer_rows import known_rows
from dashboard.conditions import OF_VERSIONS
from dashboard.data_source import DataSource, api_call
from dashboard.filters import Filters
from dashboard.formatting import fewer
from dashboard.links import link
from dashboard.pages.drop.hurt import STILL_UPGRADING
from dashboard.regions import Instead
from dashboard.tables import NOTHING, Cell, Linked, Part, TableCard, table
from warehouse.queries.dimensions import dimension_of
from warehouse.queries.small_groups import OTHER

MOST = 12  # modules
COLUMNS = ("Module", "Installs hurt", "Share", STILL_UPGRADING)
COLUMNS_BETWEEN = ("Module", "Hurt, at least", "Hurt, at most", "Share, at least", "Share, at most", COLUMNS[-1])
BETWEEN = (
    f"At least, at most: of the installs in {OTHER}, whose values {{few}} report, it is not told who is hurt. "
    "A narrower question, such as PHP 7.4 in place of PHP up to 7.4, may have one number."
)
NOT_TOLD = "Not told: none, or a number, small or large, that would tell a group of {few} installs."


def _read(data: DataSource, chosen: Filters, search: str) -> Instead | tuple[Any, ...]:
    if not chosen.conditions:
        return NOTHING
    of_versions = set(OF_VERSIONS) & set(map(dimension_of, chosen.conditions))
    if of_versions and not chosen.module:
        return Instead(messages.choose_module())
    names = [chosen.module] if of_versions else _active(data, chosen)
    args = {name: value for name, value in chosen.args().items() if name != "module"}
    answers = list(data.drop_of_each_module(args, names[:MOST]).items())
    answers.sort(key=lambda one: (-(one[1]["at_least"] or 0), -(one[1]["at_most"] or 0)))
    columns, rows = _told(answers, search)
    notes = [f"The {MOST} largest of {len(names)} modules."] if len(names) > MOST else []
    notes += ["Versions are those of one module: other modules are not listed."] if of_versions else []
    if len(columns) > len(COLUMNS):
        notes.append(BETWEEN.format(few=fewer(data.k)))
    if data.rounded or data.established:
        notes.append(f"Numbers are rounded down to multiples of {data.k}, also those of at most.")
    if any(cell is None or cell == Part(None) for row in rows for cell in row):
        notes.append(NOT_TOLD.format(few=fewer(data.k)))
    calls = [api_call("drop", chosen.args(module=name)) for name in names[:MOST]]
    return table("Installs hurt by module", columns, rows, calls, " ".join(notes))


def _told(answers: Sequence[tuple[str, dict[str, Any]]], search: str) -> tuple[Sequence[str], list[tuple[Cell, ...]]]:
    """The columns and rows: with a number and a share, or where one is not told, with two of each."""
    between = any(answer["at_least"] != answer["at_most"] for _, answer in answers)
    rows = []
    for name, answer in answers:
        numbers = [answer[bound] for bound in (("at_least", "at_most") if between else ("at_least",))]
        shares = [Part(number / answer["of"] if number is not None and answer["of"] else None) for number in numbers]
        linked = Linked(name, link("/drop", search, {"module": name}), refine=True)
        rows.append((linked, *numbers, *shares, Part(answer["still_upgrading"]["share"])))
    return COLUMNS_BETWEEN if between else COLUMNS, rows


def _active(data: DataSource, chosen: Filters) -> list[str]:
    """The names of the modules, the largest first."""
    days = {"from": chosen.start.isoformat(), "to": chosen.end.isoformat()}
    found = known_rows(data.ask("installs", {**days, "by": "module", "grain": "period"})["rows"])
    return [str(row["key"]) for row in found if row["key"] != OTHER]


CARD = TableCard("drop-modules", "By module", _read)
