"""`shared_key`: more installs use a key at the same time than its license allows. The subject is the key."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

from warehouse.licensing.facts import Holder, Registered, Terms
from warehouse.licensing.findings import Finding, Piece, Rule, span

# An install that reports weekly is active in between.
GAP = timedelta(days=7)
# What a key without an entry in the registry is taken to allow, beside a staging copy.
ASSUMED = 1
ASSUMED_COPIES = 1
UNTOLD = "several installs were seen first on the same day: it cannot be told which is the owner's"


@dataclass
class _Site:
    """Holders behind one address: together they count once."""

    holders: list[Holder]

    @property
    def first(self) -> datetime:
        return min(holder.first for holder in self.holders)

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

    The install that was seen first is the probable owner and is not in question, if it was alone on its day.
    """
    most, crowd = allowed(known), _crowd(holders, known)
    if most is None or crowd is None or len(crowd.days) <= terms.thresholds.shared_key_days:
        return {}
    involved, reach = crowd.sites, crowd.most
    owner = _owner(involved)
    since, until = (datetime.combine(day, time(), UTC) for day in (crowd.days[0], crowd.days[-1]))
    limit = (
        Piece(f"the registry allowed {allowance(known.now.max_installs, known.now.copies)}", "registry")
        if known
        else Piece(f"the registry had no such key, and {most} installs were taken to be allowed", "claimed")
    )
    through = all(holder.received for site in involved for holder in site.holders)
    pieces = (
        Piece(
            f"more than {most} installs at different addresses used this key on the same days, on more than "
            f"{terms.thresholds.shared_key_days} days {span(since, until)}",
            "recorded" if through else "claimed",
        ),
        limit,
        *([] if owner else [Piece(UNTOLD, "recorded" if through else "claimed", necessary=False)]),
    )
    return {
        holder.install: Finding(since, until, pieces, key, reach)
        for site in involved
        if site is not owner
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


def _owner(sites: Sequence[_Site]) -> _Site | None:
    """Return the site that was seen first, None if another one was seen first on the same day."""
    owner = min(sites, key=lambda site: site.first)
    return owner if sum(site.first.date() == owner.first.date() for site in sites) == 1 else None


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
