"""Changes of shares between two periods: which are more than chance, and a sentence for each. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dashboard.formatting import share
from dashboard.significance import beyond_chance, distance
from warehouse.queries.small_groups import OTHER

MOSTLY = 0.6  # of a change is on one version
Part = tuple[int, int]  # installs, of


@dataclass(frozen=True)
class Change:
    """The share of something among installs, in the period of comparison and now.

    `kind` is Feature, Version, or the title of a dimension. `of` says whose installs, and `module` is their module,
    empty for all. With `at_most` the installs of the period of comparison are too few to be told: `before` is the most
    that they can be. `link` leads to the proof.
    """

    kind: str
    name: str
    of: str
    before: Part
    now: Part
    at_most: bool = False
    module: str = ""
    link: str = ""
    where: str = ""

    @property
    def shares(self) -> tuple[float, float]:
        """Both shares."""
        return self.before[0] / self.before[1], self.now[0] / self.now[1]

    @property
    def points(self) -> float:
        """The difference of the shares."""
        before, now = self.shares
        return now - before

    @property
    def strength(self) -> float:
        """How far it is from chance, in standard errors."""
        return abs(distance(*self.now, *self.before))


def compared(
    kind: str,
    of: str,
    before: Mapping[str, int],
    now: Mapping[str, int],
    totals: tuple[int | None, int | None],
    folded: int | None,
) -> list[Change]:
    """The changes of the keys that have a figure now. `totals` are the installs of both periods.

    `folded` are the installs of the period of comparison whose keys were folded: a key that it does not name had at
    most as many, and 0 if there were none. None: it is not known what was folded, and only keys that it names count.
    A figure may be above its total where both are estimates from different samples.
    """
    then, today = totals
    if not then or not today:
        return []
    found = []
    for key, number in now.items():
        earlier = before.get(key, folded)
        if key == OTHER or earlier is None:
            continue
        at_most = bool(folded) and key not in before
        change = Change(kind, key, of, (min(earlier, then), then), (min(number, today), today), at_most)
        if change.points > 0 or not at_most:
            found.append(change)
    return found


def movers(changes: Iterable[Change], most: int) -> list[Change]:
    """The changes that are more than chance among so many, the strongest first."""
    compared = list(changes)
    least = beyond_chance(len(compared))
    found = [change for change in compared if change.strength >= least]
    return sorted(found, key=lambda change: (-change.strength, change.name))[:most]


def strongest_of_each(changes: Iterable[Change], most: int) -> list[Change]:
    """The strongest movers among features, among versions and among platforms, up to so many of each."""
    groups: dict[str, list[Change]] = {}
    for change in changes:
        groups.setdefault(change.kind if change.kind in ("Feature", "Version") else "Platform", []).append(change)
    return [change for name in ("Feature", "Version", "Platform") for change in movers(groups.get(name, []), most)]


def sentence(change: Change) -> str:
    """`bulk_email fell from 41% to 33% of bulk_mailer's installs, mostly on 4.0.0`."""
    before, now = change.shares
    if change.at_most:
        return f"{change.name} rose to {share(now)} of {change.of}, from too few to show"
    moved = "rose" if now > before else "fell"
    where = f", mostly on {change.where}" if change.where else ""
    return f"{change.name} {moved} from {share(before)} to {share(now)} of {change.of}{where}"


def mostly(before: float, versions: Mapping[str, Part], points: float) -> str:
    """The version on which most of a change of a share happened; empty if there is none.

    `versions` has users and installs of each version now. `before` is the share of the period of comparison.
    """
    installs = sum(of for _, of in versions.values())
    if not installs:
        return ""
    parts = {version: users - before * of for version, (users, of) in versions.items() if version != OTHER}
    version = max(parts, key=lambda one: parts[one] if points > 0 else -parts[one], default="")
    return version if version and parts[version] / (points * installs) > MOSTLY else ""
