"""What becomes of the flags: how many are raised, how many flagged installs buy a license, how many run without one."""

import math
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from core.versions import read, series
from warehouse.cases.flagged import LICENSED, Flagged, flagged
from warehouse.cases.revisions import DISMISSED, RESOLVED
from warehouse.engine import Engine
from warehouse.queries import month_bits
from warehouse.queries.questions.hiding import fold
from warehouse.queries.small_groups import OTHER
from warehouse.server_users import ServerUser

WEEKS, MONTHS = 26, 12
# An install that has reported within so many days is active.
ACTIVE_DAYS = 30
SOON_DAYS = 30
# With fewer closed cases there is an interval, and no estimate.
LEAST_CLOSED = 10
Z = 1.959964  # 95% of a normal distribution lie within so many deviations

# A flag about a key has several installs and counts once. One that is disputed from the beginning is raised too.
_FLAGS = """
SELECT toMonday(at) AS week, rule::String, uniqExact(module, key, if(key = 0, install, 0))
FROM license_flags
WHERE (event = 'raised' OR revision = 1) AND at >= {since:Date} AND ({module:String} = '' OR module = {module:String})
GROUP BY week, rule ORDER BY week, rule
"""
# The active installs by what they reported on their last day; mostly that is one version.
_ACTIVE = f"""
SELECT module, versions, count() FROM (
    SELECT module::String AS module, install, groupUniqArray(({month_bits.last_day("days")}, version::String)) AS seen,
        arrayMax(seen.1) AS last,
        arraySort(arrayDistinct(arrayMap(one -> one.2, arrayFilter(one -> one.1 = last, seen)))) AS versions
    FROM license_sources_by_month
    WHERE month >= toStartOfMonth({{since:Date}}) AND ({{module:String}} = '' OR module = {{module:String}})
    GROUP BY module, install HAVING last >= {{since:Date}}
) GROUP BY module, versions
"""  # noqa: S608
_CLOSED = f"""
SELECT countIf(now = '{RESOLVED}'), countIf(now = '{DISMISSED}') FROM (
    SELECT argMax(state::String, revision) AS now FROM license_cases GROUP BY module, install, key
)
"""  # noqa: S608


@dataclass(frozen=True)
class Conversion:
    """The installs that were first flagged in a month, while they did not report `licensed`.

    `soon` of them reported it within `SOON_DAYS` (None: not all have had that time), `now` report it at last.
    """

    month: date
    flagged: int
    soon: int | None
    now: int


@dataclass(frozen=True)
class Unlicensed:
    """The active installs of a version series, and how many of them run without a license: estimate and interval."""

    module: str
    version: str
    installs: int
    flagged: int
    estimate: float | None
    low: float
    high: float


@dataclass(frozen=True)
class Trends:
    """The picture. `flags` is by week (its Monday) and rule. Of the closed cases, `resolved` and `dismissed`.

    `sampled` is the part of the flagged installs that was read; below 1, their numbers are estimates.
    """

    flags: dict[date, dict[str, int]]
    conversion: list[Conversion]
    unlicensed: list[Unlicensed]
    resolved: int
    dismissed: int
    sampled: float


def trends(engine: Engine, module: str, k: int, now: datetime) -> Trends:
    """Return the picture of a module, or with "" of all. Versions of fewer than k installs are folded.

    Raises `EngineError`.
    """
    reader, today = engine.as_user(ServerUser.LICENSING), now.astimezone(UTC).date()
    monday = today - timedelta(days=today.weekday(), weeks=WEEKS - 1)
    flags: dict[date, dict[str, int]] = {monday + timedelta(weeks=number): {} for number in range(WEEKS)}
    for week, rule, number in reader.query(_FLAGS, {"module": module, "since": monday.isoformat()}):
        flags.setdefault(week, {})[rule] = number
    first = (today.replace(day=1) - timedelta(days=30 * (MONTHS - 1))).replace(day=1)
    ((resolved, dismissed),) = reader.query(_CLOSED) or [(0, 0)]
    found, sampled = flagged(reader, module, first)
    groups = _groups(reader, module, found, sampled, today - timedelta(days=ACTIVE_DAYS))
    unlicensed = [
        estimated(name, version, *counts, resolved, dismissed)
        for name, versions in sorted(groups.items())
        for version, counts in _folded(versions, k).items()
    ]
    conversion = _conversion((each for each in found if each.raised.date() >= first), sampled, today)
    return Trends(flags, conversion, unlicensed, resolved, dismissed, sampled)


def _conversion(found: Iterable[Flagged], sampled: float, today: date) -> list[Conversion]:
    """Return by month what became of the installs that did not report `licensed` when they were first flagged."""
    months: dict[date, list[int]] = {}
    for install in found:
        if install.before in ("", LICENSED):
            continue
        soon = install.licensed is not None and install.licensed <= install.raised + timedelta(days=SOON_DAYS)
        of_month = months.setdefault(install.raised.date().replace(day=1), [0, 0, 0])
        for place, counts in enumerate((True, soon, install.now == LICENSED)):
            of_month[place] += counts
    return [
        Conversion(month, flagged, soon if _over(month, today) else None, now)
        for month, numbers in sorted(months.items())
        for flagged, soon, now in [[round(number / sampled) for number in numbers]]
    ]


def _groups(
    reader: Engine, module: str, found: Iterable[Flagged], sampled: float, since: date
) -> dict[str, dict[str, tuple[int, int, int]]]:
    """Return the active installs by module and version series: how many, those that are real, other suspects."""
    suspects = Counter(
        (each.module, series_of(each.versions), each.real) for each in found if each.suspect and each.last >= since
    )
    active: dict[str, Counter[str]] = {}
    for name, versions, number in reader.query(_ACTIVE, {"module": module, "since": since.isoformat()}):
        active.setdefault(name, Counter())[series_of(versions)] += number
    groups: dict[str, dict[str, tuple[int, int, int]]] = {name: {} for name in active}
    for name, of_module in active.items():
        for version, installs in of_module.items():
            real = min(round(suspects[name, version, True] / sampled), installs)
            others = min(round(suspects[name, version, False] / sampled), installs - real)
            groups[name][version] = installs, real, others
    return groups


def series_of(versions: Iterable[str]) -> str:
    """Return the series of the highest of these versions. Pure."""
    orders = {text: version.order if (version := read(text)) else ("", (), 0, 0) for text in versions}
    return series(max(orders, key=lambda text: (orders[text], text)))


def estimated(
    module: str, version: str, installs: int, real: int, suspect: int, resolved: int, dismissed: int
) -> Unlicensed:
    """Return the estimate for a group of installs: the cases of `real` are resolved, those of `suspect` not. Pure.

    As many of the suspects count as unlicensed as of the closed cases were resolved, not dismissed. The interval is
    that of this share (Wilson, 95%): without a closed case it is all of them or none. An estimate needs `LEAST_CLOSED`.
    """
    closed = resolved + dismissed
    low, high = wilson(resolved, closed)
    middle = None
    if not suspect or closed >= LEAST_CLOSED:
        middle = (real + (resolved / closed if suspect else 0) * suspect) / installs
    return Unlicensed(
        module, version, installs, real + suspect, middle,
        (real + low * suspect) / installs, (real + high * suspect) / installs,
    )  # fmt: skip


def wilson(hits: int, of: int) -> tuple[float, float]:
    """Return Wilson's interval (95%) of a share; 0 to 1 if nothing was counted. Pure."""
    if not of:
        return 0.0, 1.0
    share, square = hits / of, Z * Z / of
    middle = (share + square / 2) / (1 + square)
    half = Z / (1 + square) * math.sqrt(share * (1 - share) / of + square / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def _over(month: date, today: date) -> bool:
    following = (month + timedelta(days=32)).replace(day=1)
    return following + timedelta(days=SOON_DAYS) <= today


def _folded(versions: dict[str, tuple[int, int, int]], k: int) -> dict[str, tuple[int, int, int]]:
    """Fold series of fewer than k installs into `(other)`; largest first. A module of fewer than k is left out."""
    folded = fold({version: (counts[0],) for version, counts in versions.items()}, k)
    shown = {version: versions[version] for version in sorted(folded.shown, key=lambda one: -versions[one][0])}
    rest = [counts for version, counts in versions.items() if version not in shown]
    if folded.other and rest:
        shown[OTHER] = (sum(one[0] for one in rest), sum(one[1] for one in rest), sum(one[2] for one in rest))
    return shown
