"""`shared_key`: more installs use a key at the same time than its license allows. The subject is the key."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta

from warehouse.licensing.facts import Holder, Registered, Terms
from warehouse.licensing.findings import Finding, Grade, Piece, Rule, span

# An install that reports weekly is active in between.
GAP = timedelta(days=7)
# What a key without an entry in the registry is taken to allow, beside a staging copy.
ASSUMED = 1
ASSUMED_COPIES = 1
_NEVER = datetime.max.replace(tzinfo=UTC)
UNTOLD = "several installs were seen first on the same day: it cannot be told which is the owner's"


@dataclass
class _Site:
    """Holders behind one address: together they count once."""

    holders: list[Holder]

    def first(self) -> datetime:
        """Return when it first reported, as it says itself or an import does."""
        return min(holder.first for holder in self.holders)

    def met(self) -> datetime:
        """Return when a connection first delivered a report on the day that it stated."""
        return min(holder.met or _NEVER for holder in self.holders)

    def active(self) -> set[date]:
        """Return the days on which the site uses the key: from the first to the last report of a stretch."""
        days: set[date] = set()
        stretch: list[date] = []
        for day in (*sorted({day for holder in self.holders for day in holder.days}), date.max):
            if stretch and day - stretch[-1] > GAP:
                if len(stretch) > 1:
                    days |= {stretch[0] + timedelta(days=n) for n in range((stretch[-1] - stretch[0]).days + 1)}
                stretch = []
            stretch.append(day)
        return days


def allowed(known: Registered | None) -> int | None:
    """Return how many installs may use a key at once, None without limit."""
    if known is None:
        return ASSUMED + ASSUMED_COPIES
    return None if known.now.max_installs is None else known.now.max_installs + known.now.copies


def allowance(installs: int | None, copies: int) -> str:
    """Return in words how many installs may use a key; None is any number."""
    if installs is None:
        return "any number of installs"
    return f"{installs} install{'' if installs == 1 else 's'} and {copies} {'copy' if copies == 1 else 'copies'}"


def find(key: int, holders: Sequence[Holder], known: Registered | None, terms: Terms) -> dict[int, Finding]:
    """Return the finding for each install in question.

    The install that was seen first is the probable owner and is not in question, if it was alone on its day. So is the
    one that says so of itself: what is imported, or sent later, may show who had the key before.
    """
    most, days = allowed(known), terms.thresholds.shared_key_days
    crowd = _crowd(received(holders), known)
    grade: Grade = "recorded" if crowd and len(crowd.days) > days else "claimed"
    if grade == "claimed":
        crowd = _crowd(holders, known)
    if most is None or crowd is None or len(crowd.days) <= days:
        return {}
    involved, reach = crowd.sites, crowd.most
    met, told = _earliest(involved, _Site.met), _earliest(involved, _Site.first)
    untold = (met or told) if grade == "claimed" else met
    since, until = (datetime.combine(day, time(), UTC) for day in (crowd.days[0], crowd.days[-1]))
    limit = (
        Piece(f"the registry allowed {allowance(known.now.max_installs, known.now.copies)}", "registry")
        if known
        else Piece(f"the registry had no such key, and {most} installs were taken to be allowed", "claimed")
    )
    pieces = (
        Piece(
            f"more than {most} installs at different addresses used this key on the same days, on more than "
            f"{days} days {span(since, until)}",
            grade,
        ),
        limit,
        *([] if untold else [Piece(UNTOLD, grade, necessary=False)]),
    )
    return {
        holder.install: Finding(since, until, pieces, key, reach)
        for site in involved
        if site not in (met, told)
        for holder in site.holders
    }


@dataclass(frozen=True)
class _Crowd:
    """The days on which more sites used a key than its license allows, those sites, and the most on one day."""

    days: list[date]
    sites: list[_Site]
    most: int


def _crowd(holders: Sequence[Holder], known: Registered | None) -> _Crowd | None:
    most = allowed(known)
    sites = _sites([holder for holder in holders if len(holder.days) > 1])
    if most is None or len(sites) <= most:
        return None
    active = [site.active() for site in sites]
    together = Counter(day for days in active for day in days)
    crowded = sorted(day for day, number in together.items() if number > most)
    if not crowded:
        return None
    involved = [site for site, days in zip(sites, active, strict=True) if days & set(crowded)]
    return _Crowd(crowded, involved, max(together[day] for day in crowded))


def measured(holders: Sequence[Holder], known: Registered | None) -> str:
    """Return in words what the last 30 days show: on which days too many installs used the key; "" for none."""
    crowd = _crowd(holders, known)
    if crowd is None:
        return ""
    number = f"{len(crowd.days)} day{'' if len(crowd.days) == 1 else 's'}"
    return (
        f"In the last 30 days more than {allowed(known)} installs at different addresses used the key on {number}, "
        f"from {crowd.days[0]} to {crowd.days[-1]}; at most {crowd.most} on one day."
    )


def received(holders: Sequence[Holder]) -> list[Holder]:
    """Return the holders with the days on which a connection delivered what they reported."""
    return [replace(holder, days=holder.received) for holder in holders]


def _earliest(sites: Sequence[_Site], seen: Callable[[_Site], datetime]) -> _Site | None:
    """Return the site that was seen first, None if another one was seen first on the same day."""
    owner = min(sites, key=seen)
    return owner if sum(seen(site).date() == seen(owner).date() for site in sites) == 1 else None


def _sites(holders: Sequence[Holder]) -> list[_Site]:
    """Join the holders that share an address, also over a third one."""
    sites: list[_Site] = []
    places: list[set[int]] = []
    for holder in holders:
        joined = [number for number, at in enumerate(places) if at & holder.places]
        site, at = _Site([holder]), set(holder.places)
        for number in reversed(joined):
            site.holders += sites.pop(number).holders
            at |= places.pop(number)
        sites.append(site)
        places.append(at)
    return sites


SHARED_KEY = Rule(
    "shared_key",
    "critical",
    "More installs use a license key at the same time than its license allows.",
    (
        "a move to a new server that takes more than a few days",
        "staging copies beyond the allowance",
        "a license for several installs that the registry has for one",
    ),
    windowed=True,
)
