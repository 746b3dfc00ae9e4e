"""`retention`: of the installs that began in a week or month, how many were active in each one after it."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from typing import Any

from warehouse.at_once import at_once
from warehouse.queries import month_bits
from warehouse.queries.questions import activity, hiding, whole_buckets
from warehouse.queries.questions.activity import Activity
from warehouse.queries.questions.question import EVER, Arguments, Question
from warehouse.queries.questions.reader import Reader

SUMMARY = "Of the installs first seen (or that first used a feature) in a week or month: how many were active later"
PARAMETERS = ("from", "to", "grain", "feature")


def parse(args: Mapping[str, str], today: date, last_day: date) -> Question:
    """Read a query string. Raises `QueryError`."""
    arguments = Arguments(args, PARAMETERS)
    grain, start, end = whole_buckets.parse(arguments, today)
    feature = arguments.feature()
    options = {"grain": grain, **({"feature": feature} if feature else {})}
    return Question("retention", start, end, arguments.filters(), options, EVER if feature else None)


def answer(reader: Reader) -> dict[str, Any]:
    """Return the answer. Raises `EngineError`."""
    grain = reader.question.options["grain"]
    past = Activity(reader, grain)
    buckets = past.buckets
    _, found, told, since = at_once(
        reader.covered,
        partial(_counts, reader, past),
        partial(reader.told, reader.question.options.get("feature"), grain=grain),
        reader.since,
    )
    rows = []
    for number, bucket in enumerate(buckets):
        if activity.known(bucket, since, grain):
            counts = found.get(past.position(bucket), ()) if str(bucket) in told else ()
            rows.append(row(bucket, (counts or [0] * len(buckets))[: len(buckets) - number], reader))
    return reader.answer(rows, reader.coverage([sum(each["installs"] or 0 for each in rows)]))


def _counts(reader: Reader, past: Activity) -> dict[int, Sequence[int]]:
    """Return by the first bucket of installs: how many were active in it, and in each one after it."""
    later = month_bits.counted("later", range(len(past.buckets)), "installs")
    # The first position makes bit 0 of each install its first bucket.
    sql = (
        f"SELECT position, {later} AS counts FROM (SELECT toUInt8({past.first_position()}) AS position, "  # noqa: S608
        f"bitShiftRight(active, position) AS later, count() AS installs FROM ({past.installs()}) "
        "WHERE bitAnd(matched, first_bucket) != 0 GROUP BY position, later) GROUP BY position"
    )
    return dict(reader.query(reader.added_up(sql, ("position",), ("counts",), "sumForEach"), past.parameters))


def row(bucket: date, counts: Sequence[int], reader: Reader) -> dict[str, Any]:
    """Return the row of the installs that began in a bucket; `counts` are those of them active n buckets later."""
    began, k = counts[0], reader.terms.k
    told = began >= k or k == 1
    active = [reader.count(n) if told and hiding.part(n, began, k) else None for n in counts]
    return {"bucket": bucket.isoformat(), "installs": reader.count(began) if told else None, "active": active}
