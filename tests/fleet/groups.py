"""Groups of installs, and which of them may be told apart."""

from collections.abc import Mapping
from dataclasses import dataclass, field

Key = str | tuple[str, str]  # of one dimension, or of two

OTHER = "(other)"


@dataclass
class Group:
    """The installs behind one key in one bucket, those of them seen before today, and the uses of what is counted."""

    installs: set[str] = field(default_factory=set)
    uses: int = 0
    earlier: set[str] = field(default_factory=set)
    least: int = 0

    def size(self, k: int, *, steps: bool) -> int:
        """How many installs are told: of those that came today only every k-th makes a difference, with `steps`."""
        if not steps:
            return len(self.installs)
        return max(self.least, len(self.earlier) + (len(self.installs) - len(self.earlier)) // k * k)


def fold(groups: Mapping[Key, Group], k: int, *, steps: bool = False) -> dict[Key, Group]:
    """The groups that may be told apart, and under `(other)` the union of those that may not."""
    sizes = {key: group.size(k, steps=steps) for key, group in groups.items()}
    smallest_first = sorted(groups, key=lambda key: (sizes[key], key))
    folded: list[Key] = []
    other = Group()
    for key in smallest_first:
        if sizes[key] >= k and (not folded or other.size(k, steps=steps) >= k):
            break
        group = groups[key]
        folded.append(key)
        other = Group(
            other.installs | group.installs, other.uses + group.uses, other.earlier | group.earlier, sizes[key]
        )
    told = {key: group for key, group in groups.items() if key not in folded}
    return told | {OTHER: other} if folded else told
