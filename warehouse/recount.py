"""Compares the aggregates with a recount of their rows, each beacon once.

By construction they are equal: counts of installs are idempotent, and sums follow the tokens of sealed batches. This
check detects a construction that fails. Every fault test runs it, and so does `pharos recount`. In the usage plane it
compares the days of which all beacons still have their rows, and in the license plane those of the last twelve months.
"""

from collections import Counter
from datetime import UTC, date, datetime

from warehouse.complete_days import complete_from
from warehouse.engine import Engine
from warehouse.install_data import SOURCES
from warehouse.licensing import state_rows
from warehouse.licensing.state_rows import Pair

EPOCH = date(1970, 1, 1).toordinal()
# Installs whose states are read at once.
PORTION = 2000

# The bits of a month's days from {from:Date} on: from there, the aggregates are exactly what their rows say.
_SKIPPED = "least(greatest(dateDiff('day', month, {from:Date}), 0), 32)"
_WHOLE = f"bitAnd(bitShiftLeft(4294967295::UInt64, {_SKIPPED}), 4294967295)::UInt32"
_ROWS_BY_MONTH = """
    SELECT module, toStartOfMonth(day) AS month, install,
        groupBitOr(bitShiftLeft(1::UInt32, toDayOfMonth(day) - 1)::UInt32 AS bit) AS found,
        groupBitOr(if(arrayExists(count -> count > 0, mapValues(features)), bit, 0)::UInt32) AS with_use
    FROM usage_beacons WHERE {where} GROUP BY module, month, install
"""
# By name of the comparison: the table with the rows, the columns of a key, and two queries for (key, figure): one from
# the rows, one from the aggregate.
_COMPARISONS = {
    "usage": (
        "usage_beacons",
        ("month", "module"),
        f"""
        SELECT module::String AS module, month, sum(cityHash64(install, found, with_use)) AS figure
        FROM ({_ROWS_BY_MONTH.format(where="day >= {from:Date}")})
        GROUP BY module, month
        """,  # noqa: S608
        f"""
        SELECT module::String AS module, month, sum(cityHash64(install, found, with_use)) AS figure
        FROM (
            SELECT module, month, install, bitAnd(groupBitOr(days), {_WHOLE})::UInt32 AS found,
                bitAnd(groupBitOr(used), {_WHOLE})::UInt32 AS with_use
            FROM installs_by_month GROUP BY module, month, install
        )
        WHERE found != 0
        GROUP BY module, month
        """,  # noqa: S608
    ),
    # Of earlier days there may be fewer rows than the aggregate counts, and never more.
    "usage before": (
        "usage_beacons",
        ("month", "module"),
        f"""
        SELECT module::String AS module, month, sum(bitCount(found)) AS figure
        FROM ({_ROWS_BY_MONTH.format(where="day < {from:Date}")})
        GROUP BY module, month
        """,  # noqa: S608
        f"""
        SELECT module::String AS module, month, sum(bitCount(bitAnd(found, counted))) AS figure
        FROM ({_ROWS_BY_MONTH.format(where="day < {from:Date}")}) AS of_rows
        INNER JOIN (
            SELECT module, month, install, groupBitOr(days)::UInt32 AS counted
            FROM installs_by_month WHERE month < {{from:Date}} GROUP BY module, month, install
        ) AS of_aggregate USING (module, month, install)
        GROUP BY module, month
        """,  # noqa: S608
    ),
    "uses": (
        "usage_beacons",
        ("month", "module", "feature"),
        """
        SELECT module::String AS module, month, pair.1 AS feature, (sum(pair.2), uniqExact(install, day)) AS figure
        FROM (
            SELECT module, toStartOfMonth(day) AS month, day, install,
                arrayJoin(any(features)::Array(Tuple(String, UInt64))) AS pair
            FROM usage_beacons WHERE day >= {from:Date} GROUP BY day, module, install, beacon
        )
        GROUP BY module, month, feature
        """,
        f"""
        SELECT module::String AS module, month, feature, (sum(amount), sum(bitCount(named))::UInt64) AS figure
        FROM (
            SELECT module, month, feature::String AS feature, install,
                sum(arraySum(mapValues(mapFilter((day, number) -> day > {_SKIPPED}, uses)))) AS amount,
                bitAnd(groupBitOr(reported), {_WHOLE})::UInt32 AS named
            FROM features_by_month GROUP BY module, month, feature, install
        )
        WHERE named != 0
        GROUP BY module, month, feature
        """,  # noqa: S608
    ),
    # How many installs have the first and the last day that their rows allow.
    "installs": (
        "usage_beacons",
        ("module",),
        "SELECT module::String AS module, uniqExact(install) AS figure FROM usage_beacons GROUP BY module",
        """
        SELECT module, countIf(
                (first = row_first OR (first < row_first AND first < {from:Date}))
                AND (last = row_last OR (last > row_last AND last < {from:Date}))
            ) AS figure
        FROM (
            SELECT module::String AS module, install, min(day) AS row_first, max(day) AS row_last
            FROM usage_beacons GROUP BY module, install
        ) AS of_rows
        INNER JOIN (
            SELECT module::String AS module, install, min(first_day) AS first, max(last_day) AS last
            FROM installs GROUP BY module, install
        ) AS of_aggregate USING (module, install)
        GROUP BY module
        """,
    ),
}


_SOURCES = f"""
SELECT month, module::String, license_source, count(), sum(bitCount(found))
FROM (
    SELECT module, month, license_source::String AS license_source, install, groupBitOr(days)::UInt32 AS found
    FROM {SOURCES} WHERE month >= {{first:Date}} GROUP BY module, month, license_source, install
)
GROUP BY month, module, license_source
"""  # noqa: S608


def differences(engine: Engine) -> list[str]:
    """Return one line for each figure in which rows and aggregate differ. Raises `EngineError`."""
    rows_from = complete_from(engine)
    return [
        f"{name}, {key}: the rows say {of_rows}, the aggregate {of_aggregate}"
        for name, (table, keys, rows, aggregate) in _COMPARISONS.items()
        for key, of_rows, of_aggregate in engine.of(table).query(_compared(keys, rows, aggregate), {"from": rows_from})
    ] + _license_differences(engine)


def _license_differences(engine: Engine) -> list[str]:
    """Compare the counts by source and the keys with the sealed states.

    Counts and states have different pseudonyms: the numbers of installs and of their days are compared. States may have
    fewer keys, because a key stays for some days after its last report has expired.
    """
    now = datetime.now(UTC)
    first = date(now.year - 1, now.month, 1)
    of_states: dict[tuple[date, str, str], tuple[int, int]] = {}
    lacking: Counter[str] = Counter()
    unreadable: set[Pair] = set()
    place: Pair = ("", 0)
    while pairs := state_rows.after(engine.of(state_rows.TABLE), place, PORTION):
        place = pairs[-1]
        keys: set[tuple[str, int, int]] = set()
        for (module, install), state in state_rows.read(engine.of(state_rows.TABLE), pairs, unreadable).items():
            found: dict[tuple[date, str], int] = {}
            for (report, _), days in state.seen.items():
                keys |= {(module, report.key, install)} if report.key else set()
                for day in map(date.fromordinal, (EPOCH + day for day in days)):
                    month = day.replace(day=1)
                    found[month, report.source] = found.get((month, report.source), 0) | 1 << day.day
            for (month, source), bits in found.items():
                if month >= first:
                    installs, in_days = of_states.get((month, module, source), (0, 0))
                    of_states[month, module, source] = installs + 1, in_days + bits.bit_count()
        there = engine.of(state_rows.KEYS).query_each(
            f"SELECT DISTINCT module::String, key, install FROM {state_rows.KEYS} "  # noqa: S608
            "WHERE install IN {installs:Array(UInt64)}",
            "installs",
            {install for _, install in pairs},
        )
        lacking.update(module for module, *_ in keys - {*there})
    counted = {
        (month, module, source): figure
        for month, module, source, *figure in engine.of(SOURCES).query(_SOURCES, {"first": first})
    }
    differing = [
        f"license sources, {month} {module} {source}: the rows say {of_rows}, the aggregate {of_aggregate}"
        for month, module, source in sorted(of_states.keys() | counted.keys())
        if (of_rows := of_states.get((month, module, source), (0, 0)))
        != (of_aggregate := tuple(counted.get((month, module, source), (0, 0))))
    ]
    differing += [
        f"license keys, {module}: {number} keys of installs are missing" for module, number in lacking.items()
    ]
    if unreadable:
        differing.append(f"license reports of {len(unreadable)} installs cannot be read: the aggregate counts them")
    return differing


def _compared(keys: tuple[str, ...], rows: str, aggregate: str) -> str:
    """Return a query for (key, figure from the rows, figure from the aggregate) of each difference."""
    named = ", ".join(f"toString({key})" for key in keys)
    return f"""
        SELECT arrayStringConcat([{named}], ' '), of_rows.figure, of_aggregate.figure
        FROM ({rows}) AS of_rows FULL OUTER JOIN ({aggregate}) AS of_aggregate USING ({", ".join(keys)})
        WHERE of_rows.figure != of_aggregate.figure
    """  # noqa: S608
