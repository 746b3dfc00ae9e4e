"""Cursors: the place after which a list goes on. One belongs to its list and to the filters of that list. Pure."""

import base64
import binascii
import hashlib
from collections.abc import Mapping, Sequence
from typing import NoReturn

from warehouse.queries.dimensions import QueryError

# They may change from page to page.
_OF_A_PAGE = ("limit", "cursor")


def cursor(name: str, args: Mapping[str, str], place: Sequence[object]) -> str:
    """Return the `next_cursor` of a list with these parameters, after `place`. No part of it has a colon."""
    text = ":".join(map(str, (*place, _filters(name, args))))
    return base64.urlsafe_b64encode(text.encode()).decode()


def place(name: str, args: Mapping[str, str]) -> list[str] | None:
    """Return the place after which the next page begins, None at the first one. Raises `QueryError`."""
    if not args.get("cursor"):
        return None
    try:
        *found, filters = base64.urlsafe_b64decode(args["cursor"].encode()).decode().split(":")
    except (binascii.Error, ValueError):
        refuse()
    if filters != _filters(name, args):
        refuse()
    return found


def refuse() -> NoReturn:
    """Raise `QueryError`: it is no cursor of this list."""
    raise QueryError("bad_format", "cursor", "must be a next_cursor from an answer of this list with these filters")


def _filters(name: str, args: Mapping[str, str]) -> str:
    given = sorted(f"{each}={value}" for each, value in args.items() if value and each not in _OF_A_PAGE)
    return hashlib.sha256("\0".join((name, *given)).encode()).hexdigest()[:16]
