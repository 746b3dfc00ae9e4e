"""`adoption`: the share of a module's installs on a version, by days since its release."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

from core.catalog import Catalog
from core.versions import series
from warehouse.queries import dimensions, month_bits
from warehouse.queries.dimensions import QueryError
from warehouse.queries.questions.question import EVER, Arguments, Question
from warehouse.queries.questions.reader import Reader

SUMMARY = "Share of a module's active installs that report a version, by days since its release"
PARAMETERS = ("to", "days")
VERSIONS = ("version", "version_series")
DEFAULT_DAYS, MOST_DAYS = 90, 366
_MONTH = range(31)


@dataclass(frozen=True)
class Day:
    """A day: the active installs that meet the other filters, those of them on the version, and all on the version."""

    active: int = 0
    on: int = 0
    all_on: int = 0


def parse(args: Mapping[str, str], today: date, last_day: date) -> Question:
    """Read a query string. Raises `QueryError`."""
    arguments = Arguments(args, PARAMETERS)
    arguments.module()
    filters = arguments.filters()
    given = [name for name in VERSIONS if name in filters]
    if len(given) != 1:
        reason = "too_many_items" if given else "missing_field"
        raise QueryError(reason, "version", f"one of {' and '.join(VERSIONS)} must be given")
    text = arguments.given.get("days", str(DEFAULT_DAYS))
    if not (text.isascii() and text.isdigit() and len(text) <= 3 and 1 <= int(text) <= MOST_DAYS):
        raise QueryError("out_of_range", "days", f"must be a whole number from 1 to {MOST_DAYS}")
    _, end = arguments.span(1, last_day)
    return Question("adoption", EVER, end, filters, {"days": int(text)})


def answer(reader: Reader) -> dict[str, Any]:
    """Return the answer. Raises `EngineError`."""
    question = reader.question
    (name,) = (name for name in VERSIONS if name in question.filters)
    days = _by_day(reader, name)
    declared = release(reader.terms.catalog, question.filters["module"], name, question.filters[name])
    released = declared or min((day for day, one in days.items() if one.all_on >= reader.terms.k), default=None)
    if released is None or released > question.end:
        return _none(reader, declared)
    end = min(question.end, released + timedelta(days=question.options["days"] - 1))
    reader = reader.within(released, end)
    told = reader.told()
    if not told and not declared:
        return _none(reader, None)
    rows = []
    for number in range((end - released).days + 1):
        one = days.get(released + timedelta(days=number), Day()) if told else Day()
        rows.append({"day": number, **reader.part(one.on, one.active)})
    by = "catalog" if declared else "reports"
    return reader.answer(rows, reader.coverage(), released=released.isoformat(), released_by=by)


def release(catalog: Catalog, module: str, name: str, wanted: str) -> date | None:
    """Return the declared or reported date of a version, or of the first version of a series."""
    releases = catalog.releases(module).items()
    days = [day for text, day in releases if (text if name == "version" else series(text)) == wanted]
    return min(days, default=None)


def _none(reader: Reader, declared: date | None) -> dict[str, Any]:
    """Return the answer for a version that is not released, or that fewer than k installs have."""
    released = {"released": declared.isoformat() if declared else None, "released_by": "catalog" if declared else None}
    answer = reader.answer([], {"active": None, "answered": None}, **released)
    return {**answer, "from": None}


def _by_day(reader: Reader, name: str) -> dict[date, Day]:
    """Return the counts of each day of the data. It counts the bits of each month."""
    question = reader.question
    values = reader.values(question.installs())
    days = month_bits.until("days", question.end)
    has = values.condition(name, dimensions.source(name))
    fits = " AND ".join(
        values.condition(other, dimensions.source(dimensions.dimension_of(other)))
        for other in question.conditions
        if other != name
    )
    rows = (
        f"SELECT install, month, groupBitOr(if({fits or 1}, {days}, 0)::UInt32) AS active, "  # noqa: S608
        f"groupBitOr(if({has}, {days}, 0)::UInt32) AS all_on, "
        f"groupBitOr(if({has} AND {fits or 1}, {days}, 0)::UInt32) AS on_version FROM installs_by_month "
        f"WHERE month <= {{last_month:Date}} AND {values.condition('module', 'module')}{values.chosen()} "
        "GROUP BY install, month"
    )
    names = ("active", "on_version", "all_on")
    columns = ", ".join(f"{month_bits.counted(bits, _MONTH)} AS {bits}_by_day" for bits in names)
    sql = f"SELECT month, {columns} FROM ({rows}) GROUP BY month"  # noqa: S608
    found = reader.query(
        reader.added_up(sql, ("month",), [f"{name}_by_day" for name in names], "sumForEach"), values.parameters
    )
    return {
        month + timedelta(days=number): Day(active[number], on[number], all_on[number])
        for month, active, on, all_on in found
        for number in _MONTH
        if active[number] or all_on[number]
    }
