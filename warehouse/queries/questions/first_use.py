"""`first_use`: of the installs first seen in some weeks or months, how many used a feature within so many days."""

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial
from typing import Any

from warehouse.at_once import at_once
from warehouse.queries import dimensions, month_bits
from warehouse.queries.dimensions import QueryError
from warehouse.queries.questions import activity, hiding, whole_buckets
from warehouse.queries.questions.question import Arguments, Question
from warehouse.queries.questions.reader import Reader

SUMMARY = "Of the installs first seen in some weeks or months: how many used a feature within so many days"
PARAMETERS = ("from", "to", "grain", "feature")
# Days from the first report to the first use. Day 0 is that of the first report.
WITHIN = (0, 1, 7, 28)
_NEVER = "'2149-06-06'::Date"


def parse(args: Mapping[str, str], today: date, last_day: date) -> Question:
    """Read a query string: only buckets count whose installs are all at least 28 days old. Raises `QueryError`."""
    arguments = Arguments(args, PARAMETERS)
    feature = arguments.feature()
    if feature is None:
        raise QueryError("missing_field", "feature", "must be given")
    grain, start, end = whole_buckets.parse(arguments, today - timedelta(days=WITHIN[-1]))
    return Question("first_use", start, end, arguments.filters(), {"grain": grain, "feature": feature})


def answer(reader: Reader) -> dict[str, Any]:
    """Return the answer. Raises `EngineError`."""
    question = reader.question
    grain = question.options["grain"]
    since = reader.since()
    known = [
        bucket
        for bucket in whole_buckets.between(grain, question.start, question.end)
        if activity.known(bucket, since, grain)
    ]
    if not known:
        return {**reader.answer([], {"active": None, "answered": None}), "from": None}
    reader = reader.within(known[0], question.end)
    _, counts, told = at_once(reader.covered, partial(_counts, reader), reader.told)
    used, of = counts if told else ([0] * len(WITHIN), 0)
    rows = [
        {"within": days, **reader.part_if(installs, of)}
        for days, installs in zip(WITHIN, shown(used, of, reader.terms.k), strict=True)
    ]
    return reader.answer(rows, reader.coverage([row[name] for row in rows for name in ("installs", "of")]))


def shown(used: Sequence[int], of: int, k: int) -> list[int | None]:
    """Return the numbers of installs that used it within so many days, None for those that are not shown. Pure.

    They divide the installs into groups: by the time of the first use, and those that used it later or never. A number
    is shown if the groups that make it are shown, or those that make the rest.
    """
    ends = [*used, of]
    groups = {str(number): end - before for number, (before, end) in enumerate(zip([0, *ends], ends, strict=False))}
    hidden = hiding.hidden(groups, [tuple(groups)], k)
    names = list(groups)
    told = [
        not hidden & set(names[: number + 1]) or not hidden & set(names[number + 1 :]) for number in range(len(used))
    ]
    return [end if known and (end >= k or k == 1) else None for known, end in zip(told, used, strict=True)]


def _counts(reader: Reader) -> tuple[list[int], int]:
    """Return how many of the installs first seen in the span used the feature within so many days, and all of them."""
    question = reader.question
    values = reader.values(question.installs())
    module = f" AND {values.condition('module', 'module')}" if question.module else ""
    chosen = values.chosen() + module
    met = [values.condition(name, dimensions.source(dimensions.dimension_of(name))) for name in question.conditions]
    last_use = question.end + timedelta(days=WITHIN[-1])
    feature = values.parameter(question.options["feature"])
    parts = [
        f"SELECT install, first_day AS seen, {_NEVER} AS first_used, {int(not met)} AS fits "  # noqa: S608
        f"FROM installs WHERE first_day <= {{end:Date}}{chosen}",
        f"SELECT install, {_NEVER} AS seen, {month_bits.first_day('used')} AS first_used, 0 AS fits "  # noqa: S608
        f"FROM features_by_month WHERE feature = {{{feature}:String}} AND used != 0 AND month BETWEEN "
        f"{{first_month:Date}} AND '{last_use.replace(day=1)}'::Date{chosen}",
    ]
    if met:
        parts.append(
            f"SELECT install, {_NEVER} AS seen, {_NEVER} AS first_used, 1 AS fits FROM installs_by_month "  # noqa: S608
            f"WHERE {values.in_span('days')}{module} AND {' AND '.join(met)}"
        )
    names = [f"within_{days}" for days in WITHIN]
    columns = ", ".join(f"countIf(first_use <= first_seen + {days}) AS within_{days}" for days in WITHIN)
    sql = (
        f"SELECT {columns}, count() AS of_all FROM (SELECT install, min(seen) AS first_seen, "  # noqa: S608
        f"min(first_used) AS first_use FROM ({' UNION ALL '.join(parts)}) GROUP BY install "
        "HAVING max(fits) = 1 AND first_seen BETWEEN {start:Date} AND {end:Date})"
    )
    ((*used, of),) = reader.query(reader.added_up(sql, (), [*names, "of_all"]), values.parameters)
    return used, of
