"""Hides figures, so that none counts fewer than k installs and none can be computed from others of the answer. Pure.

An answer divides installs into groups that share no install, and its reader knows the totals of some of them. A group
under k is hidden. If a total and its shown groups would disclose the hidden ones, the next smallest is hidden too.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass


def hidden(groups: Mapping[str, int], totals: Collection[Sequence[str]], k: int) -> set[str]:
    """Return the names of the groups to hide.

    Each of `totals` names groups whose sum is known. The hidden groups of a total are empty, or at least two and
    together at least k. With k = 1 nothing is hidden.
    """
    found = {name for name, installs in groups.items() if installs < k and k > 1}
    before = -1
    while before < len(found):
        before = len(found)
        for names in totals:
            inside = [name for name in names if name in found]
            rest = sum(groups[name] for name in inside)
            shown = [name for name in names if name not in found]
            if shown and rest and (rest < k or len(inside) < 2):
                found.add(min(shown, key=lambda name: (groups[name], name)))
    return found


def part(installs: int, of: int, k: int) -> bool:
    """Return whether the number of installs that are part of a known number may be shown."""
    return "part" not in hidden({"part": installs, "rest": of - installs}, [("part", "rest")], k)


@dataclass(frozen=True)
class Folded:
    """Groups by key that may be shown, the sum of the others (None if it may not be shown), and their number."""

    shown: dict[str, tuple[int, ...]]
    other: tuple[int, ...] | None
    number: int


def fold(groups: Mapping[str, tuple[int, ...]], k: int) -> Folded:
    """Fold groups of which some part has 1 to k - 1 installs.

    The parts of a group share no install, nor do the groups. The smallest groups are folded too, until each part of
    the sum is empty or at least k.
    """
    folded = [key for key, parts in groups.items() if not _whole(parts, k)]
    rest = sorted(groups.keys() - set(folded), key=lambda key: (sum(groups[key]), key), reverse=True)
    other = _sum([groups[key] for key in folded])
    while rest and folded and not _whole(other, k):
        folded.append(rest.pop())
        other = _sum([groups[key] for key in folded])
    return Folded({key: groups[key] for key in rest}, other if folded and _whole(other, k) else None, len(folded))


def _whole(parts: Sequence[int], k: int) -> bool:
    return all(not 0 < installs < k for installs in parts)


def _sum(groups: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    return tuple(map(sum, zip(*groups, strict=True)))
