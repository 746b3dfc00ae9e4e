"""What the rules know: the license reports of an install as runs, its key in the registry, and its module. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta

from core.thresholds import Thresholds

UNLICENSED, LAPSED = frozenset({"unlicensed", "invalid"}), frozenset({"expired", "suspended"})
LICENSED = frozenset({"licensed"})
AWAY = UNLICENSED | LAPSED
UNKNOWN = "unknown"
DEAD = frozenset({"expired", "suspended", "revoked"})
EVER = datetime(1970, 1, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Run:
    """Consecutive reports with the same status, key and source, from the first to the last of them.

    `received` are the first and the last of those that a connection delivered on the day that they state.
    """

    status: str
    key: int
    source: str
    since: datetime
    until: datetime
    received: tuple[datetime, datetime] | None = None


@dataclass(frozen=True)
class Entry:
    """A row of the registry: what the vendor said about a key at the time `changed`. Limits are None without limit."""

    module: str
    state: str
    changed: datetime
    max_installs: int | None = None
    copies: int = 1
    valid_until: date | None = None


@dataclass(frozen=True)
class Registered:
    """The history of a key for a module, oldest row first. It has at least one row."""

    entries: tuple[Entry, ...]

    @property
    def now(self) -> Entry:
        """The present row."""
        return self.entries[-1]

    def dead(self, at: datetime) -> tuple[str, datetime] | None:
        """Return how a key is dead at a time, and since when (`EVER` if it was never alive). None for a live key."""
        now = self.now
        ended = datetime.combine(now.valid_until, time(), UTC) + timedelta(days=1) if now.valid_until else None
        if ended is not None and ended <= at:
            return (now.state if now.state in DEAD else "expired"), ended
        if now.state not in DEAD:
            return None
        since = now.changed
        for entry in reversed(self.entries):
            if entry.state not in DEAD:
                return now.state, since
            since = entry.changed
        return now.state, EVER


@dataclass(frozen=True)
class Cohort:
    """The installs that report a version as licensed, and how many of them send a key.

    Of `untold` further ones it is not recorded: they have not reported since the version of Pharos that records it.
    """

    installs: int
    with_key: int
    untold: int = 0

    @property
    def is_told(self) -> bool:
        """Whether enough is recorded to judge by it."""
        return self.untold <= self.installs


@dataclass(frozen=True)
class Incident:
    """Many installs of a module that turned from licensed at once, or most of them within weeks.

    `until` is None while it lasts. `last` is the latest turn of the slow kind.
    """

    module: str
    since: datetime
    until: datetime | None
    affected: int
    installs: int
    last: datetime | None = None


@dataclass(frozen=True)
class Install:
    """A module on an install. `runs` are in order.

    `networks` are the networks of each day of the last 30 that has at least `cloned_networks` of them, `received` those
    of the reports that a connection delivered on the day that they state.
    """

    module: str
    install: int
    version: str
    runs: tuple[Run, ...]
    networks: Mapping[date, frozenset[int]] = field(default_factory=dict)
    received: Mapping[date, frozenset[int]] = field(default_factory=dict)

    @property
    def last(self) -> Run:
        """The latest run."""
        return self.runs[-1]


@dataclass(frozen=True)
class Holder:
    """An install that reports a key: since when it reports, on which of the last 30 days it claimed a license with the
    key, and from which places (hashes).

    `met` is the first report that a connection delivered on the day that it states, `received` the days of such.
    """

    install: int
    first: datetime
    days: frozenset[date]
    places: frozenset[int] = frozenset()
    met: datetime | None = None
    received: frozenset[date] = frozenset()


@dataclass(frozen=True)
class Terms:
    """What the rules hold the reports against. `registry` maps a key to its history by module."""

    thresholds: Thresholds
    now: datetime
    registry: Mapping[int, Mapping[str, Registered]] = field(default_factory=dict)
    modules: frozenset[str] = frozenset()  # those with a registry
    cohorts: Mapping[tuple[str, str], Cohort] = field(default_factory=dict)  # by module and version
    incidents: Sequence[Incident] = ()
    sources: frozenset[str] | None = None  # the sources that the catalog declares; None if it declares none

    def known(self, module: str, key: int) -> Registered | None:
        """Return the history of a key for a module, None if the registry does not know it."""
        return self.registry.get(key, {}).get(module)


def present_run(install: Install, statuses: frozenset[str]) -> list[Run]:
    """Return the runs of the present stretch of these statuses, oldest first; none if the latest report is another.

    `unknown` neither starts nor ends a stretch.
    """
    found: list[Run] = []
    for run in reversed(install.runs):
        if run.status == UNKNOWN:
            continue
        if run.status not in statuses:
            break
        found.append(run)
    return found[::-1]


def days(since: datetime, until: datetime) -> int:
    """Return the number of calendar days (UTC) from one time to another."""
    return (until.date() - since.date()).days
