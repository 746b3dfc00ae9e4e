"""`adoption`: the share of a module's installs on a version, by days since its release."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import partial
from typing import Any

from core.catalog import Catalog
from core.versions import series
from warehouse.at_once import at_once
from warehouse.queries import dimensions, month_bits
from warehouse.queries.dimensions import QueryError
from warehouse.queries.questions.question import EVER, Arguments, Question
from warehouse.queries.questions.reader import Reader
from warehouse.queries.reported_values import ReportedValues

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
    name, version = _version(reader.question)
    found = _since_release(reader, _by_day(reader, name), name, version, covered=True)
    if found.first is None:
        return {**reader.answer([], {"active": None, "answered": None}, **found.released), "from": None}
    reader = reader.within(*found.first)
    coverage = reader.coverage([row[name] for row in found.rows for name in ("installs", "of")])
    return reader.answer(found.rows, coverage, **found.released)


def of_each_version(reader: Reader, versions: Sequence[str]) -> dict[str, dict[str, Any]]:
    """Return the members `released`, `released_by` and `rows` of the answer for each version.

    The question of `reader` has all filters but the version. Raises `EngineError`.
    """
    days = _by_day_of_each(reader, versions)
    alone = {version: reader.with_filter("version", version) for version in versions}
    found = {version: _since_release(one, days[version], "version", version) for version, one in alone.items()}
    return {version: {**one.released, "rows": one.rows} for version, one in found.items()}


@dataclass(frozen=True)
class _Found:
    """What the days say: when the version was released and who says so, the days since then, and their shares."""

    released: dict[str, str | None]
    first: tuple[date, date] | None = None
    rows: list[dict[str, Any]] = field(default_factory=list)


def _since_release(
    reader: Reader, days: Mapping[date, Day], name: str, version: str, *, covered: bool = False
) -> _Found:
    """Return the shares; no days for a version that is not released, or that fewer than k installs have.

    `covered`: the coverage of these days is asked for, too, at the same time.
    """
    question = reader.question
    declared = release(reader.terms.catalog, question.filters["module"], name, version)
    released = declared or min((day for day, one in days.items() if one.all_on >= reader.terms.k), default=None)
    said = {"released": declared.isoformat() if declared else None, "released_by": "catalog" if declared else None}
    if released is None or released > question.end:
        return _Found(said)
    end = min(question.end, released + timedelta(days=question.options["days"] - 1))
    within = reader.within(released, end)
    told, *_ = at_once(partial(within.is_told, name), *([within.covered] if covered else []))
    if not told and not declared:
        return _Found(said)
    rows = []
    for number in range((end - released).days + 1):
        one = days.get(released + timedelta(days=number), Day()) if told else Day()
        rows.append({"day": number, **reader.part(one.on, one.active)})
    said = {"released": released.isoformat(), "released_by": "catalog" if declared else "reports"}
    return _Found(said, (released, end), rows)


def _version(question: Question) -> tuple[str, str]:
    return next((name, question.filters[name]) for name in VERSIONS if name in question.filters)


def release(catalog: Catalog, module: str, name: str, wanted: str) -> date | None:
    """Return the declared or reported date of a version, or of the first version of a series."""
    releases = catalog.releases(module).items()
    days = [day for text, day in releases if (text if name == "version" else series(text)) == wanted]
    return min(days, default=None)


def _by_day(reader: Reader, name: str) -> dict[date, Day]:
    """Return the counts of each day of the data. It counts the bits of each month."""
    question = reader.question
    values = reader.values(question.installs())
    days = month_bits.until("days", question.end)
    has = values.condition(name, dimensions.source(name))
    fits = _fits(values, [other for other in question.conditions if other != name])
    rows = (
        f"SELECT install, month, {_paired_or(f'if({fits}, {days}, 0)')} AS active, "  # noqa: S608
        f"{_paired_or(f'if({has}, {days}, 0)')} AS all_on, "
        f"{_paired_or(f'if({has} AND {fits}, {days}, 0)')} AS on_version FROM installs_by_month "
        f"WHERE month <= {{last_month:Date}} AND {values.condition('module', 'module')}{values.chosen()} "
        "GROUP BY install, month"
    )
    names = ("active", "on_version", "all_on")
    columns = ", ".join(f"{month_bits.counted_by_day(bits)} AS {bits}_by_day" for bits in names)
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


def _fits(values: ReportedValues, names: Iterable[str]) -> str:
    """Return the condition that a row meets these filters of the question."""
    conditions = [values.condition(name, dimensions.source(dimensions.dimension_of(name))) for name in names]
    return " AND ".join(conditions) or "1"


def _paired_or(days: str) -> str:
    """Return the days of all rows of a group, `paired`."""
    return month_bits.paired(f"groupBitOr(({days})::UInt32)")


def _by_day_of_each(reader: Reader, versions: Sequence[str]) -> dict[str, dict[date, Day]]:
    """Return the same for each version, with one statement."""
    question = reader.question
    values = reader.values(question.installs())
    days = month_bits.until("days", question.end)
    where = f"month <= {{last_month:Date}} AND {values.condition('module', 'module')}{values.chosen()}"
    fits = _fits(values, question.conditions)
    named = f"version IN {{{values.parameter(list(versions))}:Array(String)}}"

    def part(kind: str, name: str, condition: str) -> str:
        return (
            f"SELECT '{kind}' AS kind, {name} AS name, install, month, {_paired_or(days)} AS on_days "  # noqa: S608
            f"FROM installs_by_month WHERE {where} AND {condition} GROUP BY kind, name, install, month"
        )

    parts = [part("active", "''", fits), part("on", "version::String", f"{named} AND {fits}")]
    if question.conditions:
        parts.append(part("all_on", "version::String", named))
    counted, by = f"{month_bits.counted_by_day('on_days')} AS by_day", ("kind", "name", "month")
    sql = f"SELECT {', '.join(by)}, {counted} FROM ({' UNION ALL '.join(parts)}) GROUP BY {', '.join(by)}"  # noqa: S608
    installs: dict[tuple[str, str], dict[date, int]] = {}
    for kind, name, month, by_day in reader.query(
        reader.added_up(sql, by, ("by_day",), "sumForEach"), values.parameters
    ):
        found = installs.setdefault((kind, name), {})
        found.update({month + timedelta(days=number): by_day[number] for number in _MONTH if by_day[number]})
    active = installs.get(("active", ""), {})
    counts = {}
    for version in versions:
        on = installs.get(("on", version), {})
        all_on = installs.get(("all_on", version), {}) if question.conditions else on
        counts[version] = {
            day: Day(active.get(day, 0), on.get(day, 0), all_on.get(day, 0)) for day in active.keys() | all_on.keys()
        }
    return counts
