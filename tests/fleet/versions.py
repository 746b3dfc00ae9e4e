"""Series and the order of versions as the reference counts them: plain rules for the texts of the test fleet."""

import re
from functools import cache
from typing import Any

SERIES = {
    "php_series": "php",
    "whmcs_series": "whmcs",
    "version_series": "version",
    "database_series": "database",
    "web_server_series": "web_server",
    "os_release": "os_version",
}
COMPARED = (*SERIES, *SERIES.values())
ONE_NUMBER = ("debian", "almalinux", "rocky", "cloudlinux", "centos")


@cache
def series(dimension: str, reported: str, os: str = "") -> str:
    """The value of a series for what a beacon reports."""
    if dimension == "os_release":
        return f"{os} {reported.split('.')[0] if os in ONE_NUMBER else reported}".strip()
    product, numbers = _parts(dimension, reported)
    return "-".join(filter(None, (product, ".".join(numbers[:2]))))


@cache
def order(dimension: str, text: str) -> tuple[Any, ...]:
    """What values sort by: the lowest is absent, versions come after one another as they are released."""
    if dimension not in COMPARED:
        return (text,)
    return (*place(dimension, text), text) if text else ()


@cache
def place(dimension: str, text: str) -> tuple[Any, ...]:
    """A version's product, its numbers without trailing zeros, and whether it is a release."""
    if dimension == "os_release":
        product, _, text = text.partition(" ")
        numbers = text.split(".")
    else:
        product, numbers = _parts(dimension, text)
    values = [int(number) for number in numbers if number]
    while values and values[-1] == 0:
        values.pop()
    return product, values, "rc" not in text


def meets(dimension: str, operation: str, value: str, wanted: str) -> bool:
    """Whether a value fulfils a condition such as `php_series.lt=8.0`."""
    if operation == "in":
        return value in wanted.split(",")
    (product, *one), (other_product, *other) = place(dimension, value), place(dimension, wanted)
    if product != other_product:
        return False
    return {"lt": one < other, "le": one <= other, "ge": one >= other}[operation]


def _parts(dimension: str, text: str) -> tuple[str, list[str]]:
    """The product, where the dimension has one, and the numbers."""
    product = ""
    if text.endswith("MariaDB-log"):
        product, text = "mariadb", text.removeprefix("5.5.5-")
    elif dimension.startswith(("database", "web_server")):
        product, _, text = text.partition("-")
    numbers = re.match(r"[0-9.]*", text)
    assert numbers is not None
    return product, numbers[0].split(".")
