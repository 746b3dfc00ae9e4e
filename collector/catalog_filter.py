"""Removes from a beacon what the catalog does not declare. Pure."""

from collections.abc import Mapping
from datetime import date
from typing import Any

from core.catalog import Catalog, Kind

# Replaces a license source that is not declared, so that its install still counts. No source can have this name.
UNDECLARED = "(undeclared)"

Dropped = Mapping[Kind, int]


def declared(beacon: dict[str, Any], catalog: Catalog, today: date) -> tuple[dict[str, Any], Dropped]:
    """Return the part of a beacon to store, and the number of dropped items by kind.

    If the module is not declared, the beacon must not be stored at all.
    """
    if catalog.takes_all:
        return beacon, {}
    if not catalog.stores("module", beacon["module"]["name"], today):
        return beacon, {"module": 1}
    dropped: dict[Kind, int] = {}
    features = beacon.get("features", {})
    kept = {name: count for name, count in features.items() if catalog.stores("feature", name, today)}
    if len(kept) < len(features):
        dropped["feature"] = len(features) - len(kept)
        beacon = {**beacon, "features": kept}
    given = beacon["license"]["source"]
    if (source := allowed_source(given, catalog, today)) != given:
        dropped["source"] = 1
        beacon = {**beacon, "license": {**beacon["license"], "source": source}}
    return beacon, dropped


def allowed_source(source: str, catalog: Catalog, today: date) -> str:
    """Return the source if the catalog declares it, or else `UNDECLARED`."""
    return source if catalog.stores("source", source, today) else UNDECLARED


def allowed_corrections(
    corrections: dict[str, dict[str, str]], catalog: Catalog, today: date
) -> dict[str, dict[str, str]]:
    """Return an owner's corrections by plane, with `UNDECLARED` for a source that is not declared."""
    license = corrections["license"]
    if "source" not in license:
        return corrections
    return {**corrections, "license": {**license, "source": allowed_source(license["source"], catalog, today)}}
