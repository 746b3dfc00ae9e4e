"""Links between pages: an address keeps the filters of the page that it is on, with some parameters changed. Pure."""

from collections.abc import Mapping
from urllib.parse import parse_qsl, urlencode

from dashboard.answer_rows import SUMS


def link(path: str, search: str | None, changes: Mapping[str, str] | None = None) -> str:
    """The address of a page with the parameters of `search`. A change to an empty text removes a parameter."""
    given = dict(parse_qsl((search or "").removeprefix("?"))) | dict(changes or {})
    query = urlencode({name: value for name, value in given.items() if value}, safe=",")
    return f"{path}?{query}" if query else path


def parameter(search: str | None, name: str) -> str:
    """The value of a parameter of an address, empty if it is not given."""
    return dict(parse_qsl((search or "").removeprefix("?"))).get(name, "")


def filter_link(path: str, search: str | None, dimension: str, value: str) -> str:
    """The address with a filter on a value more. Nothing can be filtered by `(other)` or `(rest)`: no link."""
    return "" if value in SUMS else link(path, search, {dimension: value})
