"""The dimensions of the read API: those that beacons report, and the series that versions roll up to. Pure.

A series is made from the reported text whenever it is asked for (`core/versions.py`), so a better rule also applies to
what was stored before. `warehouse/queries/group_counts.py` hands the result to SQL.
"""

import operator
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from core import versions
from core.fields import COUNTRY, DIMENSIONS
from core.versions import Version

# The license plane shares no key with the usage plane: a license source can be crossed only with what it holds itself.
LICENSE_DIMENSIONS = ("module", "version", "license_status", "license_source", COUNTRY, "version_series")


class QueryError(Exception):
    """A query that cannot be answered: a `reason` of the beacons' vocabulary, the parameter, and why in words."""

    def __init__(self, reason: str, param: str, detail: str) -> None:
        super().__init__(f"{param}: {detail}")
        self.reason, self.param, self.detail = reason, param, detail


@dataclass(frozen=True)
class _Versions:
    """A dimension of versions. `source` is the SQL of what is reported, `roll_up` makes the dimension's value of it."""

    source: str
    read: Callable[[str], Version | None]
    roll_up: Callable[[str], str] | None = None
    product: bool = False  # values name a product, and compare within it


_VERSIONS = {
    "version": _Versions("version", versions.read),
    "os_version": _Versions("os_version", versions.read),
    "whmcs": _Versions("whmcs", versions.read),
    "php": _Versions("php", versions.read),
    "database": _Versions("database", versions.read_database, product=True),
    "web_server": _Versions("web_server", versions.read_web_server, product=True),
    "php_series": _Versions("php", versions.read, versions.series),
    "whmcs_series": _Versions("whmcs", versions.read, versions.series),
    "version_series": _Versions("version", versions.read, versions.series),
    "database_series": _Versions("database", versions.read_database, versions.database_series, product=True),
    "web_server_series": _Versions("web_server", versions.read_web_server, versions.web_server_series, product=True),
    "os_release": _Versions("concat(os, ' ', os_version)", versions.read_os, versions.os_release, product=True),
}
SERIES = tuple(name for name, of in _VERSIONS.items() if of.roll_up)
ALL = (*DIMENSIONS, *SERIES)
COMPARED = tuple(_VERSIONS)
_OPERATORS: dict[str, Callable[[Any, Any], Any]] = {"lt": operator.lt, "le": operator.le, "ge": operator.ge}
OPERATORS = (*_OPERATORS, "in")
MOST_VALUES = 50
LONGEST = 64
# Each statement rolls up and sorts all texts of its dimensions. So many of them are done only once.
KEPT = 8192


def source(name: str) -> str:
    """The SQL of what is reported for a dimension."""
    return _VERSIONS[name].source if name in _VERSIONS else name


@lru_cache(KEPT)
def roll_up(name: str, reported: str) -> str:
    """The value of a dimension for what is reported."""
    rolled = _VERSIONS[name].roll_up if name in _VERSIONS else None
    return rolled(reported) if rolled else reported


@lru_cache(KEPT)
def order(name: str, reported: str) -> tuple[object, ...]:
    """What the reported texts of a dimension sort by: versions as versions, equal ones and other texts as text."""
    version = _VERSIONS[name].read(reported) if name in _VERSIONS else None
    return (version is not None, version.order if version else (), reported)


def parse_filter(name: str, value: str) -> None:
    """Check a filter: `php=8.2.12`, or a condition such as `php_series.lt=8.0`. Raises `QueryError`."""
    dimension, dot, operation = name.partition(".")
    values = value.split(",") if operation == "in" else [value]
    if len(values) > MOST_VALUES:
        raise QueryError("too_many_items", name, f"takes at most {MOST_VALUES} values")
    if any(len(one) > LONGEST or not one or not one.isprintable() for one in values):
        raise QueryError("bad_format", name, f"must be printable, {LONGEST} characters at most")
    if not dot:
        return
    if operation not in OPERATORS:
        raise QueryError("unknown_field", name, f"a condition is one of {', '.join(OPERATORS)}")
    if dimension not in COMPARED:
        raise QueryError(
            "out_of_range", name, f"{dimension} holds no versions; conditions are for {', '.join(COMPARED)}"
        )
    if operation != "in":
        version = _VERSIONS[dimension].read(value)
        if version is None or not version.numbers or (_VERSIONS[dimension].product and not version.product):
            wanted = "a product with its version" if _VERSIONS[dimension].product else "a version"
            raise QueryError("bad_format", name, f"must be {wanted}")


def is_condition(name: str) -> bool:
    """Whether a filter is more than an equality."""
    return "." in name


def dimension_of(name: str) -> str:
    """The dimension of a filter: `php_series` of `php_series.lt`."""
    return name.partition(".")[0]


def matches(name: str, wanted: str, value: str) -> bool:
    """Whether a value of a dimension meets a filter. A product's version is below no version of another product."""
    dimension, _, operation = name.partition(".")
    if operation == "in":
        return value in wanted.split(",")
    if not operation:
        return value == wanted
    one, other = _VERSIONS[dimension].read(value), _VERSIONS[dimension].read(wanted)
    if one is None or other is None or not one.numbers or one.product != other.product:
        return False
    return bool(_OPERATORS[operation](one.order, other.order))


def implied(stated: Collection[tuple[str, str]]) -> set[tuple[str, str]]:
    """What else is true of installs of which this is: their series, and the system of their release."""
    found = set()
    for name, value in stated:
        found |= {(series, roll_up(series, value)) for series in SERIES if source(series) == name}
        if name == "os_release":
            found.add(("os", value.partition(" ")[0]))
    known = dict(stated)
    if "os" in known and "os_version" in known:
        found.add(("os_release", roll_up("os_release", f"{known['os']} {known['os_version']}")))
    return found
