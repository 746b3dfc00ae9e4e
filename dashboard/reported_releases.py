"""`/api/v1/releases`: build servers report which version of a module is released, and since when."""

import logging
import re
import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import date
from typing import Any

import msgspec

from core.catalog import Catalog
from core.fields import MODULE, VERSION
from core.releases import Release, Releases
from warehouse.queries.metric_query import read_date
from warehouse.queries.metrics import QueryError

MOST = 500
FIELDS = {"module": MODULE, "version": VERSION, "released": r"\d{4}-\d{2}-\d{2}"}

log = logging.getLogger("pharos.dashboard")


def parse(body: bytes, today: date) -> list[Release]:
    """Read one release or up to `MOST` of them. `released` is today if it is missing. Raises `QueryError`."""
    try:
        given = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise QueryError("malformed_json", "body", "must be JSON") from None
    found = given if isinstance(given, list) else [given]
    if not 1 <= len(found) <= MOST:
        raise QueryError("too_many_items" if found else "out_of_range", "body", f"must be 1 to {MOST} releases")
    return [_release(each, today) for each in found]


def _release(given: Any, today: date) -> Release:
    if not isinstance(given, dict):
        raise QueryError("wrong_type", "body", "must be an object with module, version and released")
    if not given.keys() <= FIELDS.keys():
        raise QueryError("unknown_field", "body", f"must have no other fields than {', '.join(FIELDS)}")
    fields = {"released": today.isoformat(), **given}
    for name, pattern in FIELDS.items():
        if name not in fields:
            raise QueryError("missing_field", name, "must be given")
        if not isinstance(fields[name], str):
            raise QueryError("wrong_type", name, "must be a text")
        if not re.fullmatch(pattern, fields[name], re.ASCII):
            raise QueryError("bad_format", name, f"must match {pattern}")
    released = read_date(fields, "released")
    return Release(fields["module"], fields["version"], released or today)


def rows(catalog: Catalog) -> list[dict[str, str]]:
    """Return the declared and reported releases, newest first."""
    found = [
        {"module": module, "version": version, "released": day.isoformat()}
        for module in catalog.released_modules()
        for version, day in catalog.releases(module).items()
    ]
    found.sort(key=lambda row: (row["module"], row["version"]))
    found.sort(key=lambda row: row["released"], reverse=True)
    return found


def with_reported(catalog: Callable[[], Catalog], releases: Releases) -> Callable[[], Catalog]:
    """Return the catalog with the reported releases. Without their file it is the catalog alone."""

    def merged() -> Catalog:
        try:
            return replace(catalog(), reported=releases.reported())
        except (sqlite3.Error, OSError) as error:
            log.warning("reported releases cannot be read: %s", error)
            return catalog()

    return merged
