"""What becomes of the flags: how many are raised, how many flagged installs buy a license, how many run without one."""

from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from math import sqrt

from core.versions import series
from warehouse.cases.listing import CASES
from warehouse.cases.revisions import DISMISSED, RESOLVED
from warehouse.engine import Engine
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

# A flag about a key accuses several installs and counts once. One that is disputed from the beginning is raised too.
_FLAGS = """
SELECT toMonday(at) AS week, rule::String, uniqExact(module, key, if(key = 0, install, 0))
FROM license_flags
WHERE (event = 'raised' OR revision = 1) AND at >= {since:Date} AND ({module:String} = '' OR module = {module:String})
GROUP BY week, rule ORDER BY week, rule
"""
# An install counts in the month of its first flag, if it did not report `licensed` then.
_CONVERTED = f"""
SELECT toStartOfMonth(raised) AS month, count(), countIf(bought > 0 AND bought <= raised + INTERVAL {SOON_DAYS} DAY),
    countIf(latest = 'licensed')
FROM (
    SELECT module, install, raised, argMaxIf(status::String, time, time <= raised) AS was,
        argMax(status::String, time) AS latest, minIf(time, status = 'licensed' AND time > raised) AS bought
    FROM license_sightings
    INNER JOIN (
        SELECT module, install, min(at) AS raised FROM license_flags
        WHERE {{module:String}} = '' OR module = {{module:String}} GROUP BY module, install
        HAVING raised >= {{since:Date}}
    ) AS flagged USING (module, install)
    GROUP BY module, install, raised
)
WHERE was NOT IN ('licensed', '') GROUP BY month ORDER BY month
"""  # noqa: S608
_SUSPECTS = f"""
SELECT module, arrayJoin(installs) AS install, min(state = '{RESOLVED}') AS real
FROM ({CASES.replace("{where}", "1").replace("{decided}", "1")})
WHERE notEmpty(rules) AND state != '{DISMISSED}' GROUP BY module, install
"""  # noqa: S608
# Each row has the latest report of its status up to `last_seen`, so the row that was seen last has the latest of all.
_UNLICENSED = f"""
SELECT module::String, version, count(), countIf(flagged AND real), countIf(flagged AND NOT real)
FROM (
    SELECT module, install, argMax(finalizeAggregation(latest).1, last_seen) AS version
    FROM sightings_by_install WHERE {{module:String}} = '' OR module = {{module:String}}
    GROUP BY module, install HAVING max(last_seen) >= now() - INTERVAL {ACTIVE_DAYS} DAY
) AS active
LEFT JOIN (SELECT module, install, real, 1 AS flagged FROM ({_SUSPECTS})) AS suspects USING (module, install)
GROUP BY module, version
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
    """The picture. `flags` is by week (its Monday) and rule. Of the closed cases, `resolved` and `dismissed`."""

    flags: dict[date, dict[str, int]]
    conversion: list[Conversion]
    unlicensed: list[Unlicensed]
    resolved: int
    dismissed: int


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
    conversion = [
        Conversion(month, flagged, soon if _over(month, today) else None, licensed)
        for month, flagged, soon, licensed in reader.query(_CONVERTED, {"module": module, "since": first.isoformat()})
    ]
    ((resolved, dismissed),) = reader.query(_CLOSED) or [(0, 0)]
    groups: dict[str, dict[str, tuple[int, int, int]]] = {}
    for name, version, *counts in reader.query(_UNLICENSED, {"module": module}):
        found = groups.setdefault(name, {})
        before = found.get(series(version), (0, 0, 0))
        found[series(version)] = (before[0] + counts[0], before[1] + counts[1], before[2] + counts[2])
    unlicensed = [
        estimated(name, version, *counts, resolved, dismissed)
        for name, versions in sorted(groups.items())
        for version, counts in _folded(versions, k).items()
    ]
    return Trends(flags, conversion, unlicensed, resolved, dismissed)


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
    half = Z / (1 + square) * sqrt(share * (1 - share) / of + square / (4 * of))
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
