"""Changes of shares between two periods: which are more than chance, and a sentence for each. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from dashboard.formatting import share
from dashboard.significance import (
    beyond_chance,
    distance,
    highest,
    least_distance,
    least_distance_of_changes,
    lowest,
)
from warehouse.queries.small_groups import OTHER

Part = tuple[int, int]  # installs, of


@dataclass(frozen=True)
class Change:
    """The share of something among installs, in the period of comparison and now.

    `kind` is Feature, Version, or the title of a dimension. `of` says whose installs, and `module` is their module,
    empty for all. With `at_most` the installs of the period of comparison are too few to be told: `before` is the most
    that they can be. `link` leads to the proof. Each number is rounded down by up to `rounding`.
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
    rounding: int = 0

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
        """How far it is from chance at the least, in standard errors."""
        return least_distance(*self.now, *self.before, self.rounding)


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
    """`bulk_email fell from 41% to 33% of bulk_mailer's installs, above all on 4.0.0`."""
    before, now = change.shares
    if change.at_most:
        return f"{change.name} rose to {share(now)} of {change.of}, from too few to show"
    moved = "rose" if now > before else "fell"
    where = f", above all on {change.where}" if change.where else ""
    return f"{change.name} {moved} from {share(before)} to {share(now)} of {change.of}{where}"


@dataclass(frozen=True)
class Users:
    """The users of a feature, and the installs, by version. The users of a version without a figure are `at_most`.

    Each number is rounded down by up to `rounding`.
    """

    users: Mapping[str, int]
    installs: Mapping[str, int]
    at_most: int = 0
    rounding: int = 0

    def of(self, version: str) -> Part:
        """The users of a version, or the most that they can be, and its installs."""
        installs = self.installs[version]
        return min(self.users.get(version, self.at_most), installs), installs

    def known(self, version: str) -> bool:
        """Whether the users of a version are told exactly."""
        return version in self.users or not self.at_most

    def others(self, version: str) -> Part:
        """The users and the installs of all other versions of which both are known."""
        parts = [self.of(one) for one in self.installs if one != version and self.known(one)]
        return sum(users for users, _ in parts), sum(installs for _, installs in parts)

    @property
    def sum_rounding(self) -> int:
        """By how much the numbers of all other versions may be rounded down together."""
        return self.rounding * max(0, len(self.installs) - 1)


def changed_above_all(before: Users, now: Users, points: float, since: Mapping[str, Users]) -> str:
    """The version whose share changed clearly more than that of the other versions together; empty if there is none.

    A version without installs before is compared by its share now, or of the days `since` it came out, if they are
    given. `points` is the change over all versions.
    """
    found = {}
    for version in now.installs:
        is_new = version not in before.installs
        today = since.get(version, now) if is_new else now
        # The most that they can be would be a rise now, and a fall before.
        exact = today if points > 0 else before
        if version not in today.installs or (version in exact.installs and not exact.known(version)):
            continue
        users, of = today.of(version)
        if is_new:
            part, rest = (users, of), today.others(version)
            low, high = (lowest, highest) if points > 0 else (highest, lowest)
            apart = distance(*low(part, today.rounding), *high(rest, today.sum_rounding))
        else:
            then, of_then = before.of(version)
            own = users / of - then / of_then
            most = max(before.sum_rounding, now.sum_rounding)
            others = before.others(version), now.others(version)
            apart = least_distance_of_changes((then, of_then), (users, of), *others, now.rounding, most)
            apart = apart if own * points > 0 else 0
        found[version] = apart if points > 0 else -apart
    version = max(found, key=found.__getitem__, default="")
    return version if version and found[version] >= beyond_chance(len(found)) else ""
