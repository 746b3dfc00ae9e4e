"""`lifecycle`: the installs of each week or month that are new, return, come back, or are lost."""

from collections.abc import Mapping, Sequence
from datetime import date
from functools import partial
from itertools import pairwise
from typing import Any

from warehouse.at_once import at_once
from warehouse.queries.metric_query import COUNTS, one_of
from warehouse.queries.questions import activity, hiding, whole_buckets
from warehouse.queries.questions.activity import Activity
from warehouse.queries.questions.question import Arguments, Question
from warehouse.queries.questions.reader import Reader

SUMMARY = "Installs that are new, return, come back after a pause, or are lost, by week or month"
PARAMETERS = ("from", "to", "grain", "count")
_BITS = {
    "new": "bitAnd(matched, first_bucket)",
    "returning": "bitAnd(matched, before)",
    "resurrected": "bitAnd(matched, bitNot(bitOr(before, first_bucket)))",
    "lost": "bitAnd(bitShiftLeft(matched, 1), bitNot(active))",
}
KINDS = tuple(_BITS)
_COUNTED = {"active": "matched", **_BITS}


def parse(args: Mapping[str, str], today: date, last_day: date) -> Question:
    """Read a query string. Raises `QueryError`."""
    arguments = Arguments(args, PARAMETERS)
    grain, start, end = whole_buckets.parse(arguments, today)
    count = one_of(arguments.given, "count", COUNTS, "reported")
    return Question("lifecycle", start, end, arguments.filters(), {"grain": grain, "count": count})


def answer(reader: Reader) -> dict[str, Any]:
    """Return the answer. Raises `EngineError`."""
    grain, count = (reader.question.options[name] for name in ("grain", "count"))
    past = Activity(reader, grain, count)
    counts, told, _, since = at_once(
        partial(_counts, reader, past),
        partial(reader.told, start=past.start, grain=grain, count=count),
        reader.covered,
        reader.since,
    )
    rows = []
    for number, (before, bucket) in enumerate(pairwise([past.start, *past.buckets])):
        # The lost were active in the bucket before, the others in this one.
        groups = {
            name: counts[name][number] if str(before if name == "lost" else bucket) in told else 0 for name in _COUNTED
        }
        active, known = groups.pop("active"), activity.known(bucket, since, grain)
        rows.append(row(bucket, active, groups if known else {}, reader))
    return reader.answer(rows, reader.coverage(_sums(rows)))


def _counts(reader: Reader, past: Activity) -> dict[str, Sequence[int]]:
    """Return the installs of each kind, and the active ones, by bucket."""
    names = [f"{name}_installs" for name in _COUNTED]
    columns = ", ".join(f"{past.counted(bits)} AS {name}" for name, bits in zip(names, _COUNTED.values(), strict=True))
    # Most installs have the history of many others.
    histories = f"SELECT matched, active, first_bucket, count() AS installs FROM ({past.installs()}) GROUP BY ALL"  # noqa: S608
    sql = f"SELECT {columns} FROM (SELECT *, bitShiftLeft(active, 1) AS before FROM ({histories}))"  # noqa: S608
    (found,) = reader.query(reader.added_up(sql, (), names, "sumForEach"), past.parameters)
    nobody = [0] * len(past.buckets)
    return {name: counts or nobody for name, counts in zip(_COUNTED, found, strict=True)}


def _sums(rows: Sequence[Mapping[str, Any]]) -> list[int]:
    """Return the shown numbers that add up to those of installs which were active in the span.

    An install that is active in a bucket is not new in a later one, not lost in it, and does not come back in the next.
    """
    found = []
    for number, one in enumerate(rows):
        active = _added_up([one], "active") + _added_up(rows[number + 1 :], "new")
        found += [active, active + _added_up(rows[number + 1 : number + 2], "resurrected")]
        if number:  # those lost in the first bucket were active before the span
            found.append(active + _added_up([one], "lost"))
    # An install that pauses is in these twice: they are too high by the number of pauses.
    began = _added_up(rows[:1], "active") + _added_up(rows[1:], "new") + _added_up(rows[1:], "resurrected")
    ended = _added_up(rows[-1:], "active") + _added_up(rows[1:], "lost")
    return [*found, began, ended]


def _added_up(rows: Sequence[Mapping[str, Any]], kind: str) -> int:
    return sum(row[kind] or 0 for row in rows)


def row(bucket: date, active: int, groups: Mapping[str, int], reader: Reader) -> dict[str, Any]:
    """Return the row of a bucket. `groups` is empty if the data do not say what was before.

    The reader knows the active installs of this bucket and of the one before from the metric `installs`.
    """
    k = reader.terms.k
    hidden = hiding.hidden(groups, [("new", "returning", "resurrected"), ("returning", "lost")], k) if groups else KINDS
    shown = {kind: None if kind in hidden else reader.count(groups[kind]) for kind in KINDS}
    return {"bucket": bucket.isoformat(), "active": reader.count(active) if active >= k or k == 1 else None, **shown}
