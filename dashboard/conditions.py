"""Filters in words, and the filters that a page suggests. Pure."""

from collections.abc import Mapping, Sequence

from dashboard.display_names import DIMENSIONS
from dashboard.formatting import count, plural
from warehouse.queries import dimensions
from warehouse.queries.dimensions import dimension_of

OF_VERSIONS = ("version", "version_series")
# What each module of an install reports for itself, beside its version.
OF_MODULES = ("license_status", "license_source")
_WORDS = {"lt": "below", "le": "up to", "ge": "from", "in": "one of", "": ""}


def in_words(name: str, value: str) -> str:
    """`PHP below 8.0`, `Country DE`."""
    dimension, _, operation = name.partition(".")
    return " ".join(filter(None, (DIMENSIONS[dimension], _WORDS[operation], value.replace(",", ", "))))


def all_in_words(conditions: Mapping[str, str]) -> str:
    """Several filters in words. An install must meet all of them."""
    return " and ".join(in_words(name, value) for name, value in sorted(conditions.items()))


def not_applied(conditions: Mapping[str, str]) -> str:
    """What a card says that does not apply some filters; nothing without them."""
    return f"Not filtered by {all_in_words(conditions)}." if conditions else ""


def among(conditions: Mapping[str, str], installs: str = "installs") -> str:
    """The installs that meet the filters: `installs with PHP below 8.0`."""
    return f"{installs} with {all_in_words(conditions)}" if conditions else installs


def coverage(answered: int, active: int, conditions: Mapping[str, str], *, rounded: bool = False) -> str:
    """`498 of 551 active installs with PHP 8.2 report it.` A sum of groups that are `rounded` down is too small."""
    who = among(conditions, plural(active, "active install"))
    return f"{'At least ' if rounded else ''}{count(answered)} of {who} report it."


def of_all(active: int, conditions: Mapping[str, str]) -> str:
    """What shares are of where an install counts under several values, so that they do not add up."""
    who = among(conditions, plural(active, "active install"))
    return f"Shares are of all {who}. An install counts under each value that it reported in the range."


def admits(conditions: Mapping[str, str], version: str) -> bool:
    """Whether a version meets the filters that are about versions."""
    return all(
        dimensions.matches(name, value, dimensions.roll_up(dimension_of(name), version))
        for name, value in conditions.items()
        if dimension_of(name) in OF_VERSIONS
    )


def base_in_words(conditions: Mapping[str, str]) -> str:
    """The installs that the users of a feature are a share of (`Filters.base`), after their number."""
    return "installs that matched the filters on some day" if conditions else "active installs"


def of_any_module(module: str, *names: str) -> str:
    """How an install with several modules counts by dimensions that each of them reports for itself; else nothing."""
    if module or not set(OF_MODULES) & set(names):
        return ""
    return (
        "An install with several modules counts once, by the latest report of any of them: choose a module for its own."
    )


def thresholds(name: str, values: Sequence[str], most: int) -> list[tuple[str, str]]:
    """Conditions that select the oldest of the values of a dimension of versions: below the second, below the third."""
    known = [value for value in values if dimensions.order(name, value)[0]]
    inner = sorted(known, key=lambda value: dimensions.order(name, value))[1:]
    return [(f"{dimension_of(name)}.lt", value) for value in inner[:most]]


def database_thresholds(values: Sequence[str], most: int) -> list[tuple[str, str]]:
    """The same for databases: those of each product, because versions of different products do not compare."""
    products: dict[str, list[str]] = {}
    for value in values:
        products.setdefault(value.rpartition("-")[0], []).append(value)
    return [one for _, found in sorted(products.items()) for one in thresholds("database_series", found, most)]
