"""`together`: installs that use both of two features, beside the number that chance would make."""

from collections import Counter
from collections.abc import Mapping
from datetime import date
from functools import partial
from typing import Any

from warehouse.at_once import at_once
from warehouse.queries import dimensions, month_bits
from warehouse.queries.questions import hiding
from warehouse.queries.questions.question import Arguments, Question
from warehouse.queries.questions.reader import Reader

SUMMARY = "Installs that use both of two features, with the number expected by chance"
PARAMETERS = ("from", "to", "feature")
DEFAULT_DAYS = 30
# Those that most installs use. Each is a bit of a number.
MOST_FEATURES = 64

# Installs by pair of bits, those of a feature by its bit twice. All have the bit `_ALL`, and those that report features
# have `_REPORTS` with it.
_Counts = dict[tuple[int, int], int]
_REPORTS, _ALL = MOST_FEATURES, MOST_FEATURES + 1


def parse(args: Mapping[str, str], today: date, last_day: date) -> Question:
    """Read a query string. Raises `QueryError`."""
    arguments = Arguments(args, PARAMETERS)
    start, end = arguments.span(DEFAULT_DAYS, last_day)
    return Question("together", start, end, arguments.filters(), {"feature": arguments.feature()})


def answer(reader: Reader) -> dict[str, Any]:
    """Return the answer. Raises `EngineError`."""
    feature = reader.question.options["feature"]
    told, names = at_once(reader.told, partial(_features, reader))
    counts = _counts(reader, names, sum(told.values())) if told and names else {}
    # The number of installs that report features may be told if the others are nobody, or at least k.
    active, report = counts.get((_ALL, _ALL), 0), counts.get((_REPORTS, _ALL), 0)
    of = report if hiding.part(report, active, reader.terms.k) else active
    rows: list[dict[str, Any]] = []
    suppressed = 0
    for (one, other), both in counts.items():
        if one == other or other == _ALL or feature not in (None, names[one], names[other]):
            continue
        users, others = counts[one, one], counts[other, other]
        if _hides(both, users, others, of, reader.terms.k):
            suppressed += 1
            continue
        expected = reader.count(users) * reader.count(others) / reader.count(of)
        pair = sorted((names[one], names[other]))
        rows.append({"features": pair, "installs": reader.count(both), "expected": round(expected, 1)})
    rows.sort(key=lambda row: (-row["installs"], row["features"]))
    shown = reader.count(of) if of >= reader.terms.k else None
    # Without conditions, they are those that the shares are of.
    found = (active, report) if counts and not reader.question.conditions else None
    coverage = reader.coverage([shown, *(row["installs"] for row in rows)], found=found)
    return reader.answer(rows, coverage, of=shown, suppressed=suppressed)


def _hides(both: int, users: int, others: int, of: int, k: int) -> bool:
    """Return whether one of the four groups that a pair makes is too small: of both, one, the other, and neither."""
    groups = {"both": both, "one": users - both, "other": others - both, "neither": of - users - others + both}
    known = [("both", "one"), ("both", "other"), ("one", "neither"), ("other", "neither")]
    return "both" in hiding.hidden(groups, known, k)


def _features(reader: Reader) -> list[str]:
    """Return the features that most installs used, that of the question among them."""
    question = reader.question
    values = reader.values(question.installs())
    module = f" AND {values.condition('module', 'module')}" if question.module else ""
    used = f"FROM features_by_month WHERE {values.in_span('used')}{module}"
    # As few as that are bits in any order, and no installs need to be counted for it.
    several = f"SELECT feature::String AS name FROM (SELECT feature {used} GROUP BY feature) LIMIT {MOST_FEATURES + 1}"  # noqa: S608
    names = sorted(name for (name,) in reader.query(several, values.parameters))
    if len(names) <= MOST_FEATURES:
        return names
    first = values.parameter(question.options["feature"] or "")
    users = f"SELECT feature, uniqExact(install) AS users {used} GROUP BY feature"
    found = reader.query(
        f"SELECT feature::String AS name, users FROM ({reader.added_up(users, ('feature',), ('users',))}) "  # noqa: S608
        f"ORDER BY name = {{{first}:String}} DESC, users DESC, name LIMIT {MOST_FEATURES}",
        values.parameters,
    )
    return [name for name, _ in found]


def _counts(reader: Reader, names: list[str], active: int) -> _Counts:
    """Return the counts. Each install becomes one number with a bit for each feature, and equal numbers are counted.

    `active` is what `reader.told` says: an estimate from a sample, and whether the installs are established or not.
    """
    question = reader.question
    values = reader.values(question.installs())
    module = f" AND {values.condition('module', 'module')}" if question.module else ""
    bits = values.transformed("feature", [(name, 1 << bit) for bit, name in enumerate(names)], "UInt64")
    used = month_bits.span("used", question.start, question.end)
    fits = "".join(
        f" AND {values.condition(name, dimensions.source(dimensions.dimension_of(name)))}"
        for name in question.conditions
    )
    # Where all installs count, those that report features are enough: the number of the active ones is known.
    looked_up = bool(fits) or reader.terms.established or reader.divisor > 1

    def half(number: int) -> list[tuple[Any, ...]]:
        chosen = f"{module} AND bitTest(install, 0) = {number}"
        # The flags have a 1 for an install that reports features, and a 2 for one that fits.
        parts = [
            f"SELECT install, if({used} != 0, {bits}, 0)::UInt64 AS features, "  # noqa: S608
            f"{1 if looked_up else 3}::UInt8 AS flags FROM features_by_month WHERE {values.in_span('reported')}{chosen}"
        ]
        if looked_up:
            parts.append(
                "SELECT install, 0::UInt64 AS features, 2::UInt8 AS flags FROM installs_by_month "  # noqa: S608
                f"WHERE {values.in_span('days')}{chosen}{fits}"
            )
        pairs = _pairs_sql(" UNION ALL ".join(parts))
        return reader.query(reader.added_up(pairs, ("pair",), ("both",)), values.parameters)

    # ClickHouse would make a set of all installs in each thread, and merge these.
    counts = Counter[tuple[int, int]]()
    for found in at_once(partial(half, 0), partial(half, 1)):
        counts.update({divmod(pair, _ALL + 1): installs for pair, installs in found})
    return counts if looked_up else {**counts, (_ALL, _ALL): active}


def _pairs_sql(rows: str) -> str:
    """Return a SELECT of (pair, both), given that of (install, features, flags)."""
    masks = (
        f"SELECT groupBitOr(features) AS mask, groupBitOr(flags) AS found FROM ({rows}) "  # noqa: S608
        "GROUP BY install HAVING bitTest(found, 1)"
    )
    sets = f"SELECT mask, bitTest(found, 0) AS reporting, count() AS installs FROM ({masks}) GROUP BY mask, reporting"  # noqa: S608
    ones = f"arrayConcat(bitPositionsToArray(mask), if(reporting, [{_REPORTS}, {_ALL}], [{_ALL}]))"
    not_below = f"bitPositionsToArray(bitAnd(mask, bitShiftLeft({2**64 - 1}::UInt64, one)))"
    others = f"if(one < {MOST_FEATURES}, {not_below}, [{_ALL}])"
    # A pair is one number of 16 bits: ClickHouse has an array of these, and looks for none.
    return (
        f"SELECT (one * {_ALL + 1} + arrayJoin({others}))::UInt16 AS pair, sum(installs) AS both "  # noqa: S608
        f"FROM (SELECT mask, installs, arrayJoin({ones}) AS one FROM ({sets})) GROUP BY pair"
    )
