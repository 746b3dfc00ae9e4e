"""Whether a difference of two shares is more than chance. Pure."""

from math import sqrt
from statistics import NormalDist

Z95 = 1.96
# What tables of differences say of a row, each for itself.
CLEAR = {True: "yes", False: "no"}


def chance_note(rounding: int) -> str:
    """What tables of differences say of the rows that are not clear."""
    reason = "chance or rounding" if rounding else "chance"
    return f"Grey, not clear: {reason} may explain it (the difference is within 1.96 standard errors)."


def interval(part: int, of: int) -> tuple[float, float]:
    """The 95% interval of a share (Wilson 1927), which also holds for few installs. `of` is above 0."""
    share, z = part / of, Z95 * Z95 / of
    middle = (share + z / 2) / (1 + z)
    half = Z95 / (1 + z) * sqrt(share * (1 - share) / of + z / (4 * of))
    return max(0.0, middle - half), min(1.0, middle + half)


def distance(part: int, of: int, other_part: int, other_of: int) -> float:
    """How far two shares are apart, in standard errors. 0 where nothing is known."""
    if not of or not other_of:
        return 0.0
    pooled = (part + other_part) / (of + other_of)
    error = sqrt(pooled * (1 - pooled) * (1 / of + 1 / other_of)) if 0 < pooled < 1 else 0.0
    return (part / of - other_part / other_of) / error if error else 0.0


def least_distance(part: int, of: int, other_part: int, other_of: int, rounding: int = 0) -> float:
    """How far two shares are apart at the least, if each number is rounded down by up to `rounding`. Not below 0."""
    if part * other_of < other_part * of:
        part, of, other_part, other_of = other_part, other_of, part, of
    return max(0.0, distance(part, of + rounding, min(other_part + rounding, other_of), other_of))


def may_be_chance(part: int, of: int, other_part: int, other_of: int, rounding: int = 0) -> bool:
    """Whether chance, or rounding, may explain the difference of two shares: chance explains 5% of larger ones."""
    return least_distance(part, of, other_part, other_of, rounding) < Z95


def distance_of_changes(
    before: tuple[int, int], now: tuple[int, int], other_before: tuple[int, int], other_now: tuple[int, int]
) -> float:
    """How far two changes of shares are apart, in standard errors. 0 where nothing is known.

    Each share has one success and one failure more, so that 0 of few has an error, too (Agresti and Caffo 2000).
    """
    parts = (now, before, other_now, other_before)
    if not all(of for _, of in parts):
        return 0.0
    shares = [(part + 1) / (of + 2) for part, of in parts]
    error = sqrt(sum(share * (1 - share) / (of + 2) for share, (_, of) in zip(shares, parts, strict=True)))
    return (shares[0] - shares[1] - (shares[2] - shares[3])) / error


def least_distance_of_changes(
    before: tuple[int, int],
    now: tuple[int, int],
    other_before: tuple[int, int],
    other_now: tuple[int, int],
    rounding: int,
    other_rounding: int,
) -> float:
    """The same at the least, if each number is rounded down by up to `rounding`, and the others by `other_rounding`."""
    more = distance_of_changes(before, now, other_before, other_now) > 0
    low, high = (lowest, highest) if more else (highest, lowest)
    others = low(other_before, other_rounding), high(other_now, other_rounding)
    near = distance_of_changes(high(before, rounding), low(now, rounding), *others)
    return max(0.0, near) if more else min(0.0, near)


def lowest(part: tuple[int, int], rounding: int) -> tuple[int, int]:
    """The lowest share that it may be, if both numbers are rounded down by up to `rounding`."""
    return part[0], part[1] + rounding


def highest(part: tuple[int, int], rounding: int) -> tuple[int, int]:
    """The highest."""
    return min(part[0] + rounding, part[1]), part[1]


def together(both: int, expected: float, users: int, of: int) -> float:
    """How far the installs that use two features are from those that chance would make, in standard errors.

    The standard error is that of the hypergeometric distribution: `users` of `of` installs use the one feature, and
    `expected` says how many use the other.
    """
    if not users or of < 2:
        return 0.0
    error = sqrt(max(expected * (1 - users / of) * (1 - expected / users) * of / (of - 1), 0))
    return (both - expected) / error if error else 0.0


def least_together(both: int, expected: float, users: int, of: int, rounding: int = 0) -> float:
    """The same as a distance, at the least, if each number is rounded down by up to `rounding`. Not below 0."""
    if not users or not of:
        return 0.0
    others = expected * of / users
    if both > expected:
        users, others = min(users + rounding, of), min(others + rounding, of)
        return max(0.0, together(both, users * others / of, users, of))
    of += rounding
    return max(0.0, -together(both + rounding, users * others / of, users, of))


def beyond_chance(compared: int) -> float:
    """The distance that chance alone passes in 5% of cases with any of so many comparisons (Bonferroni)."""
    return NormalDist().inv_cdf(1 - 0.025 / max(compared, 1))
